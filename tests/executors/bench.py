"""A sweep on an executor, without a sweep file: what is done is an exercise, what is searched a table."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import exercises

from hpsearch.controller import Controller
from hpsearch.events import Reported
from hpsearch.executors.job import Job, Room
from hpsearch.ledger import fold, holder
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.rules import Rules
from hpsearch.search.history import History
from hpsearch.trial import Answer, Continue, Objective, Resources, Start

STEPS = 6
TOTALS = (Objective("total", "maximize"),)


class Steadily:
    """Starts trials of `STEPS` steps; stops or pauses where `answers` says."""

    def __init__(self, answers: dict[tuple[int, int], Answer] | None = None) -> None:
        self.answers = answers or {}

    def propose(self, history: History) -> Start:
        return Start({"x": len(history)}, STEPS)

    def judge(self, history: History, reported: Reported) -> Answer:
        return self.answers.get((reported.trial, reported.step), Continue(STEPS))


class Bench:
    """A sweep on an executor, and what came of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger = MemoryLedger()
        self.sweep = self.ledger.create("s", {}, [])
        self.controller: Controller | None = None

    def run(
        self,
        kind,
        task=None,
        *,
        workers=2,
        resources=None,
        search=None,
        beside: Callable[[Controller], None] = lambda _: None,
        **rules,
    ) -> History:
        resources = resources or Resources()
        job = Job(task or exercises.Counts(), self.folder / "checkpoints", self.folder / "logs", 0.0, self.folder / "outputs")
        lease = self.ledger.acquire(self.sweep.id, "controller", holder(), 60.0)
        history = fold(self.ledger, self.sweep.id, TOTALS)
        self.controller = Controller(
            self.ledger,
            lease,
            history,
            search or Steadily(),
            Rules(**{"seed": 0, "max_steps": STEPS, "trials": 4, "resources": resources, **rules}),
        )
        try:
            with kind(job, Room(workers, resources)) as executor:
                self.controller.open()
                threading.Thread(target=beside, args=(self.controller,), daemon=True).start()
                executor.run(self.controller)
        except BaseException:
            self.controller.abandon()
            raise
        self.controller.close()
        return self.controller.history

    def bodies(self, kind):
        return [event.body for event in self.ledger.events(self.sweep.id) if isinstance(event.body, kind)]
