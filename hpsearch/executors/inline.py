"""Runs assignments one after another in the calling process: for debugging, and where reproducing a sweep matters more than speed."""

from __future__ import annotations

import os
import socket
import time
from typing import Self

from hpsearch.executors.job import Job, Room
from hpsearch.trial import Answer, Assignment, Control, Done, Outcome, Place, Report, Stop, Wait


class InlineExecutor:
    """One place, whatever `room` says, and no processes.

    A time-out or a cancellation takes effect at the next report: there is nobody else to end a training.
    """

    def __init__(self, job: Job, room: Room | None = None) -> None:
        self._job = job

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def run(self, controller: Control) -> None:
        """Work until the controller has no more."""
        place = Place("inline")
        while True:
            controller.tick()
            match controller.next(place):
                case Assignment() as assignment:
                    controller.end(assignment, self._train(controller, assignment))
                case Wait(seconds):
                    time.sleep(seconds)
                case Done():
                    return

    def _train(self, controller: Control, assignment: Assignment) -> Outcome:
        from_step = assignment.checkpoint.step if assignment.checkpoint else 0
        controller.begin(assignment, f"{socket.gethostname()}:{os.getpid()}", from_step)
        channel = _Direct(controller, assignment)
        outcome = self._job.train(assignment, channel)
        if channel.broken is not None:
            raise channel.broken
        return outcome


class _Direct:
    """A channel that is a function call. `broken`: what the controller failed with, which is no failure of the training."""

    def __init__(self, controller: Control, assignment: Assignment) -> None:
        self.broken: Exception | None = None
        self._controller = controller
        self._assignment = assignment

    def report(self, report: Report, last: bool) -> Answer:
        try:
            return self._answer(report)
        except Exception as error:
            self.broken = error
            return Stop("the controller failed")

    def _answer(self, report: Report) -> Answer:
        answer = self._controller.report([(self._assignment, report)])[0]
        if self._assignment in self._controller.tick():
            return Stop("aborted")
        return answer
