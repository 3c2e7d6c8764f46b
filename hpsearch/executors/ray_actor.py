"""What runs on a cluster's node: an actor that trains assignment after assignment, each in a thread, and tells of it in batches.

Tune calls `step` again and again; each call gives what the training has said since, and returns as soon as there is something. Answers
come by calls of `answer`, which Ray delivers before the next `step`.
"""

from __future__ import annotations

import atexit
import importlib
import os
import queue
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import ray
from ray import tune

from hpsearch.executors.job import Job
from hpsearch.tasks import Task
from hpsearch.training.artifacts import is_plain
from hpsearch.trial import Answer, Assignment, Continue, Outcome, Report, TrialState

BATCH_S = 0.05
"""For how long reports are gathered before Tune hears of them: a call through Tune costs some milliseconds, an epoch perhaps fewer.

Those of epochs that last longer are told at once."""

ANSWER_SHARE = 0.02
"""For what share of the last step's duration a training waits for an answer before it goes on; a later one takes effect a step later."""

MAX_LOG_PART = 2**20
"""Bytes of a trial's log that one batch brings to the controller."""

SAID = "said"
TICKET = "ticket"
"""Keys of Tune's results and configurations."""


@dataclass(frozen=True)
class Ticket:
    """An assignment on its way through Tune, which looks into plain dictionaries."""

    assignment: Assignment


@dataclass(frozen=True)
class Began:
    """Training starts, after `from_step`, on `worker` (host:pid) of the node `node`."""

    from_step: int
    worker: str
    node: str


@dataclass(frozen=True)
class Batch:
    """What a training has said, and printed, since the batch before. `files`: with its outcome, the artifacts that it left, by name."""

    began: Began | None = None
    reports: tuple[Report, ...] = ()
    outcome: Outcome | None = None
    log: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Carried:
    """A task's prepared folder, for nodes that do not see the driver's disk. `content` is Ray's reference to {file name: bytes}."""

    folder: Path | None
    content: Any

    @classmethod
    def of(cls, task: Task) -> Self:
        """Put it where all nodes can get it."""
        folder = task.folder
        if folder is None:
            return cls(None, None)
        return cls(folder, ray.put({file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}))

    def lay(self, task: Task, scratch: Path) -> None:
        """Have the task use the folder where it is seen, else a copy of it on this node; so too the user's code, which Ray has copied."""
        if task.code is not None and not task.code.exists():
            task.move(Path.cwd())
        if self.folder is None or self.folder.exists():
            return
        copy = scratch / self.folder.name
        copy.mkdir()
        for name, content in ray.get(self.content).items():
            (copy / name).write_bytes(content)
        task.move(copy)


@dataclass(frozen=True)
class _Reported:
    report: Report
    waits: bool


class Worker(tune.Trainable):  # type: ignore[misc]
    """One place on a node. It lives on from assignment to assignment (`reuse_actors`)."""

    def setup(self, config: dict[str, Any], job: Job, carried: Carried) -> None:
        """Tune's: made for its first assignment."""
        importlib.import_module("hpsearch.training.preload")  # torch, before a time-out counts
        scratch = Path(tempfile.mkdtemp(prefix="hpsearch-"))
        atexit.register(shutil.rmtree, scratch, ignore_errors=True)  # Tune calls `cleanup` of some actors alone
        carried.lay(job.task, scratch)
        self._job = replace(job, outputs=scratch / "outputs", scratch=job.scratch and scratch / "trials")
        self._log = _Log(scratch / "trial.log")
        self._began: Began | None = None
        self._begin(config)

    def reset_config(self, config: dict[str, Any]) -> bool:
        """Tune's: given its next assignment."""
        self._begin(config)
        return True

    def step(self) -> dict[str, Any]:
        """Tune's: what has been said since."""
        began, self._began = self._began, None
        batch = Batch(began) if began is not None else self._gather()
        return {SAID: batch}

    def answer(self, answers: Sequence[tuple[int, Answer]]) -> None:
        """The controller's answers to reports, by step. Ray delivers them before the next `step`."""
        for step, answer in answers:
            self._answers.put((step, answer))

    def _begin(self, config: dict[str, Any]) -> None:
        assignment = config[TICKET].assignment
        self._trial = assignment.trial
        self._said: queue.Queue[_Reported | Outcome] = queue.Queue()
        self._answers: queue.Queue[tuple[int, Answer]] = queue.Queue()
        self._log.begin()
        node = ray.get_runtime_context().get_node_id()
        step = assignment.checkpoint.step if assignment.checkpoint else 0
        self._began = Began(step, f"{socket.gethostname()}:{os.getpid()}", node)
        threading.Thread(target=self._train, args=(assignment, self._said, self._answers), name="hpsearch-training", daemon=True).start()

    def _train(self, assignment: Assignment, said: queue.Queue[Any], answers: queue.Queue[Any]) -> None:
        try:
            outcome = self._job.train(assignment, _Queued(said, answers))
        except BaseException as error:  # whatever it is, the controller must hear of it
            outcome = Outcome(TrialState.FAILED, f"{type(error).__name__}: {error}")
        sys.stdout.flush()
        sys.stderr.flush()
        said.put(outcome)

    def _gather(self) -> Batch:
        reports: list[Report] = []
        deadline = None
        while True:
            try:
                said = self._said.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return Batch(reports=tuple(reports), log=self._log.part())
            if isinstance(said, Outcome):
                return Batch(reports=tuple(reports), outcome=said, log=self._log.part(), files=self._files())
            reports.append(said.report)
            if said.waits or said.report.duration_s > BATCH_S:
                return Batch(reports=tuple(reports), log=self._log.part())
            deadline = deadline or time.monotonic() + BATCH_S

    def _files(self) -> dict[str, bytes]:
        folder = self._job.outputs_of(self._trial)
        files = {file.name: file.read_bytes() for file in folder.glob("*") if is_plain(file.name)}
        shutil.rmtree(folder, ignore_errors=True)
        return files


class _Queued:
    """A channel over two queues."""

    def __init__(self, said: queue.Queue[Any], answers: queue.Queue[tuple[int, Answer]]) -> None:
        self._said = said
        self._answers = answers

    def report(self, report: Report, last: bool) -> Answer | None:
        """The answer to this report, or to an earlier one that came late and was not a plain `Continue`; None when there is none yet."""
        self._said.put(_Reported(report, last))
        deadline = time.monotonic() + ANSWER_SHARE * report.duration_s
        while True:
            try:
                step, answer = self._answers.get(timeout=None if last else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return None
            if step == report.step or not isinstance(answer, Continue):
                return answer


class _Log:
    """What trials print on this node: into a file of their own, and from there to the controller, part by part."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sent = 0

    def begin(self) -> None:
        """From now on what is printed is of the next trial."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.close(descriptor)
        self._sent = 0

    def part(self) -> bytes:
        """What has been printed since, as much as fits into a batch."""
        with self.path.open("rb") as file:
            file.seek(self._sent)
            data = file.read(MAX_LOG_PART)
        self._sent += len(data)
        return data
