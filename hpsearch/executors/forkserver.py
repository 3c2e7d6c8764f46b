"""A process that imports torch once and forks workers from it, so that a new worker is ready in milliseconds.

The standard library's fork server runs the caller's `__main__` again in each child, which costs a whole import of the command
line here and a crash where a user's script has no `if __name__ == "__main__"`. This one runs nothing but `worker.main`. It imports
and does nothing else: one tensor operation with several threads here would hang every child that uses two.

Protocol, on a socket that both ends hold: `F` with one file descriptor asks for a fork with that descriptor as its pipe, and is
answered by the pid; `W` with a pid ends that worker, if it has not ended yet, and is answered by its exit status as
`Popen.returncode` has it. The socket's end ends all.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import IO, NoReturn

from hpsearch.errors import HpsearchError

_NUMBER = struct.Struct("!q")
STARTS = 3
"""How often in a row the server may have been killed before a worker is asked for in vain; what always fails has another cause."""
GRACE_S = 0.2
"""How long a worker whose pipe has closed may take to exit by itself, before it is killed."""


class ForkServer:
    """The controller's handle. `start` returns at once; the first `fork` waits until the imports are done."""

    def __init__(self, preload: Sequence[str], log: Path) -> None:
        self._preload = preload
        self._log = log
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server (again)."""
        self.stop()
        ours, theirs = socket.socketpair()
        self._log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-P", "-m", "hpsearch.executors.forkserver", str(theirs.fileno()), *self._preload]
        with theirs, self._log.open("ab") as log:
            self._process = _spawn(command, theirs.fileno(), log)
        self._socket = ours

    def fork(self) -> tuple[int, Connection]:
        """A new worker's pid, and the pipe to it."""
        ours, theirs = Pipe()
        with theirs:
            for _ in range(STARTS):
                try:
                    return self._ask(b"F", [theirs.fileno()]), ours
                except OSError:
                    self.start()
        ours.close()
        raise HpsearchError(f"no worker process could be started; see {self._log}{_last_line(self._log)}")

    def end(self, pid: int) -> int:
        """Kill a worker, if it still lives; its exit status, negative for a signal."""
        try:
            return self._ask(b"W" + _NUMBER.pack(pid), [])
        except OSError:  # the server died and took its workers along
            return -signal.SIGKILL

    def stop(self) -> None:
        """End the server and all its workers."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _ask(self, question: bytes, descriptors: list[int]) -> int:
        if self._socket is None:
            raise OSError("not started")
        socket.send_fds(self._socket, [question], descriptors)
        answer = self._socket.recv(_NUMBER.size)
        if len(answer) < _NUMBER.size:
            raise OSError("the fork server ended")
        number: int = _NUMBER.unpack(answer)[0]
        return number


def _spawn(command: list[str], descriptor: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in a terminal reaches the controller alone, which ends things in order.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[descriptor], start_new_session=True)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    return next((f" ({line.strip()})" for line in reversed(lines) if line.strip()), "")


def _serve(control: socket.socket) -> None:
    workers: set[int] = set()
    try:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 1 + _NUMBER.size, 1)
            if not message:
                return
            if message[:1] == b"F":
                pid = _fork(control, descriptors[0])
                workers.add(pid)
                os.close(descriptors[0])
            else:
                pid = _reap(_NUMBER.unpack(message[1:])[0], workers)
            control.sendall(_NUMBER.pack(pid))
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _fork(control: socket.socket, descriptor: int) -> int:
    pid = os.fork()
    if pid == 0:
        control.close()
        _work(descriptor)
    return pid


def _work(descriptor: int) -> NoReturn:
    from hpsearch.executors import worker

    status = 1
    try:
        worker.main(Connection(descriptor))
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # never back into the server's loop


def _reap(pid: int, workers: set[int]) -> int:
    if pid not in workers:  # forked by a server before this one, which was killed
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return -signal.SIGKILL
    workers.discard(pid)
    deadline = time.monotonic() + GRACE_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main() -> None:
    """Import what workers need, then serve."""
    for module in sys.argv[2:]:
        importlib.import_module(module)
    _serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
