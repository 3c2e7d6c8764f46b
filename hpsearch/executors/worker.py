"""What runs in a worker process: one job, then assignment after assignment until the pipe closes.

To the controller, for each assignment: `Began`, `Reported`…, `Finished`. From it: the job, assignments, and an `Answered` for each report.
"""

from __future__ import annotations

import os
import select
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from hpsearch.executors.job import Job
from hpsearch.trial import Answer, Assignment, Continue, Outcome, Report

ANSWER_SHARE = 0.02
"""For what share of the last step's duration a worker waits for an answer before it goes on; a later one takes effect a step later."""


@dataclass(frozen=True, slots=True)
class Began:
    """Training starts, after `from_step`."""

    from_step: int


@dataclass(frozen=True, slots=True)
class Reported:
    """A step was completed."""

    report: Report


@dataclass(frozen=True, slots=True)
class Finished:
    """The assignment ended."""

    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to the report of `step`."""

    step: int
    answer: Answer


def main(pipe: Connection) -> None:
    """Work until the controller closes the pipe, or is gone."""
    try:
        job: Job = pipe.recv()
        while True:
            assignment = _next_assignment(pipe)
            _print_to(job.log_file(assignment.trial))
            pipe.send(Began(assignment.checkpoint.step if assignment.checkpoint else 0))
            outcome = job.train(assignment, _Piped(pipe))
            sys.stdout.flush()
            sys.stderr.flush()
            pipe.send(Finished(outcome))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


def _next_assignment(pipe: Connection) -> Assignment:
    while not isinstance(message := pipe.recv(), Assignment):
        pass  # an answer to the last assignment that came too late
    return message


class _Piped:
    """A channel over the worker's pipe."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def report(self, report: Report, last: bool) -> Answer | None:
        """The answer to this report, or to an earlier one that came late and was not a plain `Continue`; None when there is none yet."""
        self._pipe.send(Reported(report))
        deadline = time.monotonic() + ANSWER_SHARE * report.duration_s
        while last or self._answers_within(deadline - time.monotonic()):
            answered: Answered = self._pipe.recv()
            if answered.step == report.step or not isinstance(answered.answer, Continue):
                return answered.answer
        return None

    def _answers_within(self, seconds: float) -> bool:
        """`Connection.poll` would wait for whole milliseconds, where an epoch of a small network takes ten."""
        return bool(select.select([self._pipe], [], [], max(0.0, seconds))[0])


def _print_to(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
