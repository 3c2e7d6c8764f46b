"""What a trial uses of its machine: sampled beside the training, by a thread that sleeps nearly all the time."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch

from hpsearch.training.gpu import own_gpu
from hpsearch.trial import Sample

if TYPE_CHECKING:
    from psutil import Process

FIRST_S, EVERY_S = 1.0, 5.0
"""Seconds from an assignment's begin to the first sample, and from sample to sample: what is shorter than the first has none."""

TICK_S = 0.1
"""The times at which processes began are told in hundredths of a second."""

MOST_KEPT = 1_000
"""Samples that wait for the next report, an hour and a half of them; then the earliest are forgotten."""


class Usage:
    """Samples of one assignment, from when it is entered until it is left.

    Args:
        gpus: of the assignment; without any a GPU is looked at only if torch has begun to use one here.
        first_s, every_s: when.
    """

    def __init__(self, gpus: float = 0.0, *, first_s: float = FIRST_S, every_s: float = EVERY_S) -> None:
        self._gpus = gpus
        self._first_s, self._every_s = first_s, every_s
        self._found: deque[Sample] = deque(maxlen=MOST_KEPT)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="hpsearch-usage", daemon=True)
        self._processes = _Processes(os.getpid(), time.process_time())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=1.0)  # a driver that hangs holds up no worker

    def of(self, pid: int) -> None:
        """From now on the samples are of this process, and of what it starts, in place of the worker's own."""
        self._processes = _Processes(pid, 0.0)

    def take(self) -> tuple[Sample, ...]:
        """What has been found since the last call."""
        return tuple(self._found.popleft() for _ in range(len(self._found)))

    def _watch(self) -> None:
        wait_s = self._first_s
        while not self._over.wait(wait_s):
            try:
                self._found.append(Sample(int(time.time() * 1000), self._sample()))
            except ImportError:  # a bare machine without psutil
                return
            except (OSError, LookupError):  # a command has just ended
                pass
            wait_s = self._every_s

    def _sample(self) -> Mapping[str, float]:
        processes = self._processes
        used = processes.sample()
        if (self._gpus or torch.cuda.is_initialized()) and (gpu := own_gpu()) is not None:  # type: ignore[no-untyped-call]
            used |= gpu.sample(processes.pids)
        return used


class _Processes:
    """A process and what it has started since now.

    Args:
        root: its id.
        before_s: CPU time that it has used already.
    """

    def __init__(self, root: int, before_s: float) -> None:
        self.pids: frozenset[int] = frozenset({root})
        self._root = root
        self._cpu_s = {root: before_s}
        self._since = _clock()
        self._last = time.monotonic()

    def sample(self) -> dict[str, float]:
        """By MLflow's names: CPU time in percent of one core since the last sample, and resident memory, each of all of them together.

        Raises:
            LookupError: the process has ended.
        """
        import psutil

        try:
            family = self._family(psutil.Process(self._root))
        except psutil.Error as error:
            raise LookupError(self._root) from error
        cpu_s, resident = {}, 0
        for process in family:
            try:
                times = process.cpu_times()
                resident += process.memory_info().rss
                cpu_s[process.pid] = times.user + times.system
            except psutil.Error:  # it has ended meanwhile
                continue
        return {"cpu_utilization_percentage": self._percent(cpu_s), "system_memory_usage_megabytes": resident / 1e6}

    def _family(self, root: Process) -> list[Process]:
        """Without what was there before, such as the projector where the sweep itself is the worker."""
        import psutil

        since = self._since - TICK_S + (psutil.boot_time() if _HAS_BOOT_CLOCK else 0.0)
        return [root, *(process for process in _descendants(root) if process.create_time() > since)]

    def _percent(self, cpu_s: Mapping[int, float]) -> float:
        used_s = sum(now - self._cpu_s.get(pid, 0.0) for pid, now in cpu_s.items())
        now = time.monotonic()
        percent = 100 * max(0.0, used_s) / (now - self._last)
        self.pids, self._cpu_s, self._last = frozenset(cpu_s), dict(cpu_s), now
        return percent


def _descendants(root: Process) -> list[Process]:
    """psutil reads all processes of the machine for that, which takes twenty times as long where Linux tells of one's own."""
    import psutil

    if not Path(f"/proc/{root.pid}/task/{root.pid}/children").exists():
        return list(root.children(recursive=True))
    found, waiting = [], [root.pid]
    while waiting:
        for pid in _started_by(waiting.pop()):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(psutil.Process(pid))
                waiting.append(pid)
    return found


def _started_by(pid: int) -> Iterator[int]:
    """Its children, each of which one of its threads has started."""
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, thread.read_text().split())


_HAS_BOOT_CLOCK = hasattr(time, "CLOCK_BOOTTIME")


def _clock() -> float:
    """When processes begin is counted from a time of boot that Linux rounds to seconds: so is this."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if _HAS_BOOT_CLOCK else time.time()
