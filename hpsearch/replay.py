"""One trial again, from nothing, beside its record: with the same seed it should come out the same. The ledger is only read."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.config.home import Home
from hpsearch.errors import InputError
from hpsearch.executors.job import Job
from hpsearch.overview import Overview
from hpsearch.plan import Plan, make_plan
from hpsearch.search.history import TrialRecord
from hpsearch.trial import Answer, Assignment, Continue, Outcome, Report, Resources, Stop

Steps = Sequence[Mapping[str, float]]
"""The metrics of steps 1, 2, …"""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first point that is not the same. `metric` None: the step was not reached again; a value None: there is none."""

    step: int
    metric: str | None
    recorded: float | None
    replayed: float | None


@dataclass(frozen=True, slots=True)
class Replayed:
    """What is on record, what came out now, and how that ended."""

    recorded: Steps
    replayed: Steps
    outcome: Outcome

    @property
    def points(self) -> int:
        """How many numbers were to be compared."""
        return sum(map(len, self.recorded))

    @property
    def difference(self) -> Difference | None:
        """The first one, step by step; None where all is the same, bit for bit."""
        for i, recorded in enumerate(self.recorded):
            if i == len(self.replayed):
                return Difference(i + 1, None, None, None)
            if (metric := _first_other(recorded, self.replayed[i])) is not None:
                return Difference(i + 1, metric, recorded.get(metric), self.replayed[i].get(metric))
        return None


def _first_other(a: Mapping[str, float], b: Mapping[str, float]) -> str | None:
    return next((name for name in {**a, **b} if name not in a or name not in b or not _is_same(a[name], b[name])), None)


def _is_same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def replay(seen: Overview, trial: TrialRecord) -> Replayed:
    """Train a trial again in a folder that is gone afterwards, as far as it got, in one go however many attempts it took.

    Raises:
        InputError: it has reported nothing, its data have changed since, or they cannot be read.
    """
    if not trial.reports:
        raise InputError(f"trial {trial.number} of sweep {seen.sweep.name!r} has reported nothing ({trial.state}); choose one that trained")
    plan = make_plan(seen.config)
    with tempfile.TemporaryDirectory(prefix="hpsearch-replay-") as folder:
        home = Home(Path(folder), "", "")
        plan.prepare(home)
        _refuse_other_data(seen, plan)
        channel = _Recorder(trial)
        outcome = _job(plan, home).train(_assignment(seen, trial), channel)
    return Replayed(trial.reports, channel.steps, outcome)


def _refuse_other_data(seen: Overview, plan: Plan) -> None:
    before, now = seen.history.data_digest, plan.task.data_digest
    if before is not None and before != now:
        raise InputError(
            f"the data of sweep {seen.sweep.name!r} have changed since it was begun (SHA-256 {before[:12]}… then, {now[:12]}… now), "
            "and so would every number: put the old ones back"
        )


def _job(plan: Plan, home: Home) -> Job:
    """With all that a trial writes in the home, whatever storage its sweep has."""
    return Job(plan.task, home.checkpoints, home.logs, plan.config.training.checkpoint_every, home.outputs)


def _assignment(seen: Overview, trial: TrialRecord) -> Assignment:
    gpus = seen.config.resources.gpus
    needed = Resources(seen.config.resources.cpus, 1.0 if gpus == "auto" else gpus)
    return Assignment(trial.number, 1, trial.kind, trial.parameters, trial.seed, trial.until_step, resources=needed)


class _Recorder:
    """A channel that keeps what is reported, and stops the training where the record ends."""

    def __init__(self, trial: TrialRecord) -> None:
        self.steps: list[Mapping[str, float]] = []
        self._trial = trial

    def report(self, report: Report, last: bool) -> Answer:
        self.steps.append(report.metrics)
        return Stop("the record ends here") if report.step >= self._trial.step else Continue(self._trial.until_step)
