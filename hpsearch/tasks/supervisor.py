"""Runs a command so that nothing of it outlives its end: `python supervisor.py GRACE_S SCRATCH WORD…`, a program of its own.

It needs the standard library alone, and lives between a worker and the command. Standard input is its leash: when that is closed, or
the worker has ended by whatever signal, all processes that the command has started get SIGTERM and, GRACE_S seconds later, SIGKILL;
and the folder SCRATCH is removed, for there may be no worker any more to do it. What a command leaves running when it ends by itself
is ended too. On Linux processes that have put themselves into a session of their own are found as well, since orphans are handed to
this process (PR_SET_CHILD_SUBREAPER); elsewhere only the command's process group is.

It ends as the command did: with its status, or by its signal.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # <linux/prctl.h>
LEFT_RUNNING_S = 1.0
"""The grace of what is still there when the command has ended by itself."""
GIVE_UP_S = 10.0
"""For how long to wait after SIGKILL: a process that hangs in the kernel cannot be ended by anybody."""
NOT_STARTED = 127


class Command:
    """The command's first process and all that it starts."""

    def __init__(self, words: list[str]) -> None:
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)
        self.status: int | None = None
        """As `os.waitpid` gives it; None while it runs."""

    def reap(self) -> None:
        """Take note of what has ended, orphans too."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return
                if pid == self.process.pid:
                    self.status = status

    def end(self, grace_s: float) -> None:
        """SIGTERM to all, then SIGKILL to those that are left after `grace_s`."""
        self._signal(signal.SIGTERM)
        if not self._are_gone_within(grace_s):
            deadline = time.monotonic() + GIVE_UP_S
            while time.monotonic() < deadline and not self._are_gone_within(0.05):
                self._signal(signal.SIGSTOP)  # what forks faster than it is killed stops forking
                self._signal(signal.SIGKILL)

    def _are_gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while True:
            self.reap()
            if self.status is not None and not any(descendants()):
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)

    def _signal(self, number: signal.Signals) -> None:
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
        for pid in descendants():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)


def descendants() -> Iterable[int]:
    """The processes below this one, on Linux."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and (parent := _parent(entry)) is not None:
                children.setdefault(parent, []).append(int(entry.name))
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        yield from below
        waiting += below


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):  # it has ended meanwhile
        return None


def adopt_orphans() -> None:
    """Processes whose parent has ended become this one's children. Linux has that since 3.4."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """What a SIGKILL of this process leaves behind, the kernel ends: the command itself at least."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def leave_as(status: int) -> None:
    """End with the status, or by the signal, with which the command did."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        os._exit(code)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)


def main() -> None:
    grace_s, scratch, *words = sys.argv[1:]
    adopt_orphans()
    awake, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    try:
        command = Command(words)
    except OSError as error:
        print(f"{words[0]} cannot be started: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(NOT_STARTED)
    while command.status is None:
        ready, _, _ = select.select([0, awake], [], [])
        if 0 in ready:
            command.end(float(grace_s))
            shutil.rmtree(scratch, ignore_errors=True)
            break
        os.read(awake, 4096)
        command.reap()
    command.end(LEFT_RUNNING_S)
    leave_as(command.status if command.status is not None else signal.SIGKILL)


if __name__ == "__main__":
    main()
