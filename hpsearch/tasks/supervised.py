"""A command that runs under supervision, seen from the worker: its lines as they come, its end, and how it ended."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from hpsearch.errors import InputError
from hpsearch.tasks import supervisor
from hpsearch.tasks.command_output import Lines

GRACE_S = 5.0
"""Between SIGTERM and SIGKILL."""

MAX_OUTPUT = 64 * 2**20
"""Bytes that a command may print; who prints more does not know it, and would fill the disk."""

POLL_S = 0.1
"""How often the file of metrics is looked at; what is printed is heard at once."""

TAIL = 2000
"""Bytes of the last output that are kept for the reason of a failure."""


class Supervised:
    """A running command. Left as a context, nothing of it runs any more.

    Args:
        log: takes what it prints, as it comes.
        scratch: a folder that is removed if it is ended.
        metrics_file: is read along, line by line, as if it had been printed.
    """

    def __init__(
        self,
        words: Sequence[str],
        directory: Path,
        environment: Mapping[str, str],
        scratch: Path,
        metrics_file: Path,
        log: Callable[[bytes], object],
    ) -> None:
        self._log = log
        self._metrics_file = metrics_file
        self._read_so_far = 0
        self._printed = 0
        self._tail = b""
        self._lines = {"printed": Lines(), "file": Lines()}
        leash = [sys.executable, "-I", "-S", supervisor.__file__, str(GRACE_S), str(scratch)]
        self._process = subprocess.Popen(
            [*leash, *words],
            cwd=directory, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        while data := os.read(self._process.stdout.fileno(), 1 << 16):  # a full pipe would hold it up
            self._note(data)
        self._process.stdout.close()
        self._process.wait()

    def lines(self, until: float | None = None) -> Iterator[str]:
        """Each line, printed or in the file, as it comes; ends with the command, or at `until` (of `time.monotonic`).

        Raises:
            InputError: it has printed, or written into the file, more than MAX_OUTPUT.
        """
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        while until is None or time.monotonic() < until:
            ready, _, _ = select.select([output], [], [], POLL_S)
            data = os.read(output, 1 << 16) if ready else None
            if data:
                yield from self._heard(data)
            yield from self._read_file()
            if data == b"":
                yield from self._lines["printed"].end()
                yield from self._lines["file"].end()
                return

    @property
    def pid(self) -> int:
        """Of the supervisor, from which all that runs of the command descends."""
        return self._process.pid

    def wait(self) -> int:
        """The status of the command, which has ended or is ending: negative for a signal."""
        return self._process.wait()

    @property
    def last_line(self) -> str:
        """The last one printed that is not blank; empty where there is none."""
        lines = self._tail.decode("utf-8", errors="replace").replace("\r", "\n").split("\n")
        return next((" ".join(line.split()) for line in reversed(lines) if line.strip()), "")

    def _heard(self, data: bytes) -> Iterator[str]:
        self._note(data)
        if self._printed > MAX_OUTPUT:
            raise InputError(f"it printed more than {MAX_OUTPUT // 2**20} MiB; let it print less, or write to a file of its own")
        yield from self._lines["printed"].feed(data)

    def _note(self, data: bytes) -> None:
        if self._printed <= MAX_OUTPUT:
            self._log(data)
        self._printed += len(data)
        self._tail = (self._tail + data)[-TAIL:]

    def _read_file(self) -> Iterator[str]:
        if self._metrics_file.is_symlink() or not self._metrics_file.is_file():  # a pipe would be waited for
            return
        with contextlib.suppress(FileNotFoundError), self._metrics_file.open("rb") as file:
            file.seek(self._read_so_far)
            data = file.read(MAX_OUTPUT)
            yield from self._noted(data)

    def _noted(self, data: bytes) -> Iterator[str]:
        self._read_so_far += len(data)
        if self._read_so_far > MAX_OUTPUT:
            raise InputError(f"it wrote more than {MAX_OUTPUT // 2**20} MiB of metrics; let it report steps alone")
        yield from self._lines["file"].feed(data)


def describe_status(status: int) -> str:
    """`exited with status 3`, `was killed by SIGSEGV`."""
    return f"exited with status {status}" if status >= 0 else f"was killed by {signal.Signals(-status).name}"
