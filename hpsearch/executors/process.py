"""Runs assignments in worker processes on this machine: alive across trials, replaced at once when they crash or must be ended."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Self

from hpsearch.executors import worker
from hpsearch.executors.forkserver import ForkServer
from hpsearch.executors.job import Job, Room
from hpsearch.trial import Assignment, Control, Done, Outcome, Place, Report, TrialState, Wait

TICK_S = 0.1
FLUSH_S = 0.001
"""While an answer waits for room in its pipe."""
PRELOAD = ("hpsearch.training.preload", "hpsearch.executors.worker")


class ProcessExecutor:
    """Places with a worker process each, once it has something to do; by default as many as the cores allow."""

    def __init__(self, job: Job, room: Room) -> None:
        self._job = job
        task = type(job.task).__module__
        self._server = ForkServer((*PRELOAD, *([task] if task.startswith("hpsearch.") else [])), job.logs / "workers.log")
        workers = room.workers or max(1, (os.cpu_count() or 1) // room.resources.cpus)
        self._slots = [_Slot(Place(f"worker-{i + 1}")) for i in range(workers)]

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def run(self, controller: Control) -> None:
        """Work until the controller has no more."""
        while True:
            for assignment in controller.tick():
                self._abort(controller, assignment)
            if self._fill(controller):
                return
            self._listen(controller)

    def _fill(self, controller: Control) -> bool:
        """Give work to every place that has none; whether there is none for anybody any more."""
        now = time.monotonic()
        for slot in self._slots:
            if slot.assignment is not None or now < slot.asks_at:
                continue
            match controller.next(slot.place):
                case Assignment() as assignment:
                    self._start(slot, assignment)
                case Wait(seconds):
                    slot.asks_at = now + seconds
                case Done():
                    slot.asks_at = now + TICK_S
                    if all(other.assignment is None for other in self._slots):
                        return True
        return False

    def _start(self, slot: _Slot, assignment: Assignment) -> None:
        slot.assignment = assignment
        slot.outbox.clear()  # answers to the assignment before
        if slot.pipe is None:
            slot.pid, slot.pipe = self._server.fork()
            _send(slot.pipe, self._job)
        _send(slot.pipe, assignment)

    def _listen(self, controller: Control) -> None:
        """Take in what workers have said, all of it in one go, so that the reports share a transaction."""
        for slot in self._slots:
            slot.flush()
        heard = {slot.pipe: slot for slot in self._slots if slot.pipe is not None}
        ready = wait(list(heard), timeout=self._patience())
        inbox = [(heard[pipe], message) for pipe in ready if isinstance(pipe, Connection) for message in _receive(pipe)]
        for slot, message in inbox:
            if isinstance(message, worker.Began) and slot.assignment:
                controller.begin(slot.assignment, f"{socket.gethostname()}:{slot.pid}", message.from_step)
        self._answer(controller, [(slot, m.report) for slot, m in inbox if isinstance(m, worker.Reported)])
        for slot, message in inbox:
            if isinstance(message, worker.Finished):
                _end(controller, slot, message.outcome)
            elif message is None:
                self._bury(controller, slot)

    def _patience(self) -> float:
        now = time.monotonic()
        asking = [slot.asks_at - now for slot in self._slots if slot.assignment is None]
        flushing = [FLUSH_S for slot in self._slots if slot.outbox]
        return max(0.0, min([TICK_S, *asking, *flushing]))

    def _answer(self, controller: Control, reports: Sequence[tuple[_Slot, Report]]) -> None:
        if not reports:
            return
        answers = controller.report([(slot.assignment, report) for slot, report in reports if slot.assignment])
        for (slot, report), answer in zip(reports, answers, strict=True):
            slot.outbox.append(worker.Answered(report.step, answer))
            slot.flush()

    def _abort(self, controller: Control, assignment: Assignment) -> None:
        for slot in self._slots:
            if slot.assignment == assignment:
                self._lose(slot)
                _end(controller, slot, Outcome(TrialState.FAILED, "aborted"))

    def _bury(self, controller: Control, slot: _Slot) -> None:
        status = self._lose(slot)
        cause = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"exited with status {status}"
        _end(controller, slot, Outcome(TrialState.FAILED, f"its worker process {cause}"))

    def _lose(self, slot: _Slot) -> int:
        """Be rid of a worker; its exit status. The place forks another when it next has something to do."""
        assert slot.pipe is not None
        slot.pipe.close()
        slot.pipe = None
        slot.outbox.clear()
        return self._server.end(slot.pid)


class _Slot:
    """A place, and what is there now."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.pipe: Connection | None = None
        self.pid = 0
        self.assignment: Assignment | None = None
        self.asks_at = 0.0
        self.outbox: deque[worker.Answered] = deque()

    def flush(self) -> None:
        """Send answers while there is room for them: a worker that waits for room for its reports does not empty its own pipe."""
        while self.outbox and self.pipe is not None and select.select([], [self.pipe], [], 0.0)[1]:
            _send(self.pipe, self.outbox.popleft())


def _end(controller: Control, slot: _Slot, outcome: Outcome) -> None:
    assignment, slot.assignment = slot.assignment, None
    slot.asks_at = 0.0
    if assignment is not None:
        controller.end(assignment, outcome)


def _send(pipe: Connection, message: Job | Assignment | worker.Answered) -> None:
    try:
        pipe.send(message)
    except OSError:  # the worker is gone: its end of the pipe says so next
        return


def _receive(pipe: Connection) -> list[worker.Began | worker.Reported | worker.Finished | None]:
    """All that is there to read; None at last where the worker is gone."""
    messages: list[worker.Began | worker.Reported | worker.Finished | None] = []
    try:
        while pipe.poll():
            messages.append(pipe.recv())
    except (EOFError, OSError):
        messages.append(None)
    return messages
