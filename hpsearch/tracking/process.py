"""The projector beside a sweep: a process of its own, so that MLflow's imports, waits and failures are not the controller's.

MLflow is not imported here. The two speak in lines of JSON: what to do on its standard input (addresses may hold passwords, which
arguments and environments would show), where things are and what fails on its standard output. See `__main__.py`.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO

from hpsearch.tracking.files import TrialFiles
from hpsearch.trial import Json

_COMMAND = (sys.executable, "-P", "-m", "hpsearch.tracking")
_RESTART_AFTER_S = (0.1, 0.5, 2.0, *[10.0] * 100)
"""Seconds before each restart; after the last one `sync` has to do it."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """Where a sweep is in MLflow, and why not all of it is (None: all that was in the ledger when it was last looked at).

    `registering`: what is being done to register its model. `model`: where that is, as `Registered.to_json` has it.
    """

    experiment_id: str | None = None
    run_id: str | None = None
    seq: int = 0
    up_to_date: bool = False
    error: str | None = None
    registering: str | None = None
    model: Mapping[str, Json] | None = None


class ProjectorProcess:
    """Started early, because importing MLflow takes a while; told of its sweep when that exists; started again when it dies.

    None of its methods waits for MLflow except `finish`.
    """

    def __init__(
        self, tracking_uri: str, artifacts: Path | None = None, log: Path | None = None, command: Sequence[str] = _COMMAND
    ) -> None:
        self.tracked = Tracked()
        """What is known now."""
        self._said = [_line(store={"tracking_uri": tracking_uri, "artifacts": str(artifacts) if artifacts else None})]
        self._log = log
        self._command = tuple(command)
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._is_finishing = False
        self._thread = threading.Thread(target=self._tend, name="projector", daemon=True)

    @classmethod
    def start(cls, tracking_uri: str, artifacts: Path | None = None, log: Path | None = None) -> ProjectorProcess:
        """Start the process; it imports MLflow, and makes the store if there is none.

        Args:
            tracking_uri: of MLflow.
            artifacts: the folder for artifacts, where the store is no server.
            log: the file for whatever it prints; nowhere by default.
        """
        projector = cls(tracking_uri, artifacts, log)
        projector._spawn()
        projector._thread.start()
        return projector

    def open(self, ledger_url: str, sweep: str, files: TrialFiles | None = None) -> None:
        """From now on MLflow follows the sweep of this name, whose trials leave their files there."""
        self._say(_line(open={"ledger_url": ledger_url, "sweep": sweep, "files": files and files.to_json()}))

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def finish(self, patience_s: float) -> Tracked:
        """Let it write what the ledger has, and end; give up when there was no progress for `patience_s`."""
        self._is_finishing = True
        self._say(_line(finish=True))
        before = self.tracked
        while not self._over.wait(patience_s) and self.tracked != before:
            before = self.tracked
        self.close()
        return self.tracked

    def close(self) -> None:
        """End it at once. What it has not written is in the ledger."""
        with self._lock:
            self._over.set()
            if self._process is not None:
                self._process.kill()
        self._thread.join(timeout=5)

    def __enter__(self) -> ProjectorProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _say(self, line: str) -> None:
        with self._lock:
            self._said.append(line)
            self._write(line)

    def _write(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # dead: its successor is told everything again
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def _spawn(self) -> None:
        with self._lock, _log_file(self._log) as log:
            if self._over.is_set():
                return
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8",
                start_new_session=True,  # Ctrl-C is for the controller, which then lets it finish
            )  # fmt: skip
            for line in self._said:
                self._write(line)

    def _tend(self) -> None:
        """Listen. When the process ends before its work is done, start another."""
        delays = iter(_RESTART_AFTER_S)
        while not self._over.is_set():
            assert self._process is not None
            status = self._listen(self._process)
            if self._over.is_set() or (delay := next(delays, None)) is None:
                break
            self.tracked = replace(self.tracked, up_to_date=False, error=f"the process that writes to MLflow ended with {status}")
            self._over.wait(0.1 if self._is_finishing else delay)
            self._spawn()
        self._over.set()

    def _listen(self, process: subprocess.Popen[str]) -> int:
        """To its end; returns its exit status."""
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            self._hear(line)
        process.stdout.close()
        with contextlib.suppress(OSError):  # closing writes again what it died too early to read
            process.stdin.close()
        return process.wait()

    def _hear(self, line: str) -> None:
        """One line of its standard output; what is cut short by its death says nothing."""
        with contextlib.suppress(ValueError):
            heard = json.loads(line)
            done = heard.pop("done", False)
            self.tracked = replace(self.tracked, **heard)
            if done:
                self._over.set()


def _line(**message: Json) -> str:
    return json.dumps(message) + "\n"


@contextlib.contextmanager
def _log_file(path: Path | None) -> Iterator[IO[bytes] | int]:
    if path is None:
        yield subprocess.DEVNULL
        return
    with path.open("ab") as file:
        yield file
