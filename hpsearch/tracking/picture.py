"""What MLflow should show of a sweep, folded from its events. Nothing here knows MLflow."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from hpsearch.diagnosis import diagnose
from hpsearch.events import Ended, Event, Reported, Sampled, SweepClosed, SweepOpened, SweepState, TrialCreated
from hpsearch.ledger.face import Sweep
from hpsearch.provenance import Dataset
from hpsearch.search.history import History, TrialRecord
from hpsearch.tracking import note
from hpsearch.tracking.keys import (
    MAX_TAG,
    MODEL,
    MODEL_KEY,
    NOTE,
    PARENT_RUN,
    SWEEP_KEY,
    SYSTEM,
    TRIAL_KEY,
    cut,
    fitting_name,
    param,
    sweep_key,
    trial_key,
)
from hpsearch.tracking.model import Registered
from hpsearch.tracking.origin import Input, Session, dataset_of, inputs_of, source_tags
from hpsearch.tracking.summary import Summary
from hpsearch.trial import MLFLOW_STATUS, Json, Objective, TrialKind, TrialState
from hpsearch.winner import choose

Of: TypeAlias = int | None
"""Whose run: a trial's, by number, or the sweep's own (None), which is the parent of all others."""

SWEEP_STATUS: Mapping[SweepState, str] = {
    "created": "SCHEDULED",
    "running": "RUNNING",
    "stopped": "KILLED",
    "completed": "FINISHED",
    "failed": "FAILED",
}


@dataclass(frozen=True, slots=True)
class Point:
    """One value of one metric. `at_ms` is the ledger's time: a replay gives the same point, which MLflow keeps once."""

    key: str
    value: float
    at_ms: int
    step: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run as it should be, without its points. `end_ms` is None while it may go on."""

    name: str
    start_ms: int
    status: str
    end_ms: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    inputs: tuple[Input, ...] = ()


class Picture:
    """A sweep as of some event."""

    def __init__(self, sweep: Sweep, objectives: tuple[Objective, ...]) -> None:
        self.sweep = sweep
        self.key = sweep_key(sweep)
        self.history = History(objectives)
        self.children: defaultdict[int, list[int]] = defaultdict(list)
        """The re-tests of a trial."""
        self.sessions: list[Session] = []
        """The runs of the sweep, so far."""
        self.state: SweepState = "created"
        self.report: str | None = None
        """The link to the sweep's page among the artifacts of its run."""
        self.model: Registered | None = None
        """Where the winner's network is in the model registry."""
        self.trials: tuple[str, str] | None = None
        """The links to all trials in MLflow's UI, as a table and as charts."""
        self._reason: str | None = None
        self._ended_ms: int | None = None
        self._ended_trials = 0
        self._best: dict[str, float] = {}
        self._summary = Summary(sweep.config)
        self._samples: dict[int, int] = defaultdict(int)

    @property
    def seq(self) -> int:
        return self.history.seq

    @property
    def dataset(self) -> Dataset | None:
        """What is trained on; None where that is the affair of other people's code."""
        return dataset_of(self.sessions)

    @property
    def has_ended(self) -> bool:
        """Whether no controller runs it, as far as the events tell."""
        return self.state not in ("created", "running")

    def apply(self, events: Sequence[Event]) -> dict[Of, list[Point]]:
        """Add `events`; gives the runs that they touch, with the new points of each."""
        self.history = self.history.apply(events)
        touched: dict[Of, list[Point]] = defaultdict(list)
        for event in events:
            touched[None] += self._of_sweep(event)
            if (trial := getattr(event.body, "trial", None)) is not None:
                touched[trial] += self._system(event.body) if isinstance(event.body, Sampled) else [*points(event), *self._value(event)]
        return dict(touched)

    def wanted(self, of: Of, parent_run: str | None) -> Wanted:
        """How a run should be now. `parent_run`: that of `parent`, for a trial's."""
        return self._sweep_run() if of is None else self._trial_run(self.history.trials[of], parent_run)

    def parent(self, of: int) -> Of:
        """Whose run a trial's is the child of: the sweep's; a re-test's is its origin's."""
        return self.history.trials[of].parent

    def _of_sweep(self, event: Event) -> Iterator[Point]:
        match event.body:
            case TrialCreated(trial, parent=int(parent)):
                self.children[parent].append(trial)
            case SweepOpened() as opened:
                self.state, self._reason, self._ended_ms = "running", None, None
                self.sessions.append(Session(event.at_ms, opened))
            case SweepClosed(state, reason):
                self.state, self._reason, self._ended_ms = state, reason, event.at_ms
            case Ended(trial, state=state) if state.is_terminal:
                self._ended_trials += 1
                if state is TrialState.COMPLETED:
                    yield from self._improvements(self.history.trials[trial], event.at_ms)
        for name, value in self._summary.after(event).items():
            yield Point(name, value, event.at_ms, self._ended_trials)

    def _system(self, sampled: Sampled) -> list[Point]:
        """A trial's samples are counted through all its attempts, so that MLflow takes the latest for the latest."""
        step = self._samples[sampled.trial]
        self._samples[sampled.trial] += 1
        return [Point(f"{SYSTEM}{name}", float(value), sampled.taken_ms, step) for name, value in sampled.used.items()]

    def _value(self, event: Event) -> Iterator[Point]:
        """`<metric>_at_best` of a trial that completed, where its value is that of its best step: MLflow itself sorts by the last."""
        if isinstance(event.body, Ended) and event.body.state is TrialState.COMPLETED:
            trial = self.history.trials[event.body.trial]
            for objective, value in zip(self.history.objectives, self.history.values(trial) or (), strict=False):
                if objective.at == "best" and not math.isnan(value):
                    yield Point(value_key(objective), value, event.at_ms, trial.step)

    def _improvements(self, trial: TrialRecord, at_ms: int) -> Iterator[Point]:
        """`best_<metric>` has a point for each improvement; its step counts the trials that have ended, so the last one is the best."""
        if trial.kind is TrialKind.RETEST:
            return
        for objective, value in zip(self.history.objectives, self.history.values(trial) or (), strict=False):
            best = self._best.get(objective.metric)
            if not math.isnan(value) and (best is None or objective.better(value, best)):
                self._best[objective.metric] = value
                yield Point(fitting_name(f"best_{objective.metric}"), value, at_ms, self._ended_trials)

    def _trial_run(self, trial: TrialRecord, parent_run: str | None) -> Wanted:
        tags = {
            SWEEP_KEY: self.key,
            TRIAL_KEY: trial_key(self.key, trial.number),
            PARENT_RUN: parent_run or "",
            "hpsearch.kind": str(trial.kind),
            "hpsearch.state": str(trial.state),
            "hpsearch.attempts": str(trial.attempt),
            "hpsearch.reason": cut(trial.reason or "", MAX_TAG),
            **diagnosis_tags(trial),
        }
        return Wanted(
            name=run_name(trial),
            start_ms=trial.created_ms,
            status=MLFLOW_STATUS[trial.state],
            end_ms=trial.ended_ms,
            params={fitting_name(name): param(value) for name, value in trial.parameters.items()},
            tags=tags,
        )

    def _note(self, best: Sequence[TrialRecord]) -> str:
        said = self.model.said if self.model else None
        return note.markdown(self.sweep.name, self.state, self.history, best, choose(self.history), self.report, said, self.trials)

    def _sweep_run(self) -> Wanted:
        best = self.history.best()
        tags = {
            SWEEP_KEY: self.key,
            "hpsearch.kind": "sweep",
            "hpsearch.state": self.state,
            "hpsearch.reason": cut(self._reason or "", MAX_TAG),
            "hpsearch.budget": budget(self.sweep.config, self.history),
            "hpsearch.best_trial": ", ".join(str(t.number) for t in best[:20]),
            NOTE: cut(self._note(best), MAX_TAG),
            **({MODEL: cut(self.model.uri, MAX_TAG), MODEL_KEY: self.model.key} if self.model else {}),
        }
        return Wanted(
            name=self.sweep.name,
            start_ms=self.sweep.created_ms,
            status=SWEEP_STATUS[self.state],
            end_ms=self._ended_ms,
            params=sweep_params(self.sweep.config),
            tags={**user_tags(self.sweep.config), **source_tags(self.sessions), **tags},
            inputs=inputs_of(self.dataset),
        )


def diagnosis_tags(trial: TrialRecord) -> dict[str, str]:
    """What is to be found in a trial that has ended: the names, and each with its reason; empty where there is nothing."""
    found = diagnose(trial.reports, trial.state, trial.reason) if trial.state.is_terminal else []
    return {
        "hpsearch.diagnosis": ", ".join(finding.name for finding in found),
        "hpsearch.diagnosis_reason": cut("; ".join(f"{finding.name}: {finding.reason}" for finding in found), MAX_TAG),
    }


def run_name(trial: TrialRecord) -> str:
    """`baseline`, `trial 17`, `retest 61`; a second baseline has its number too."""
    if trial.kind is TrialKind.BASELINE and trial.number == 0:
        return "baseline"
    return f"{'trial' if trial.kind is TrialKind.SEARCH else trial.kind} {trial.number}"


def value_key(objective: Objective) -> str:
    """The metric of a trial's run whose last point is the trial's value."""
    return fitting_name(objective.metric if objective.at == "last" else f"{objective.metric}_at_best")


def points(event: Event) -> list[Point]:
    """The points of a report; of any other event none."""
    if not isinstance(event.body, Reported):
        return []
    step = event.body.step
    return [Point(fitting_name(key), float(value), event.at_ms, step) for key, value in event.body.metrics.items()]


def sweep_params(config: Mapping[str, Json]) -> dict[str, str]:
    """What a sweep was asked, flat: `search.sampler`, `space.dropout`, …. The budget, which may be raised, is a tag."""
    flat = {
        **_flat("task", config.get("task")),
        **_flat("objective", config.get("objective")),
        **_flat("training", config.get("training")),
        **_flat("search", config.get("search")),
        **{f"space.{name}": value for name, value in (config.get("space") or {}).items()},
    }
    return {fitting_name(name): param(value) for name, value in flat.items()}


def budget(config: Mapping[str, Json], history: History) -> str:
    """`60 trials or 1800 s`, as extended; whichever is spent first."""
    asked, extended = config.get("budget") or {}, history.extended_to
    limits = (
        (asked.get("trials"), extended.trials, "trials"),
        (asked.get("total_epochs"), extended.total_epochs, "epochs"),
        (asked.get("time"), extended.time_s, "s"),
    )
    return " or ".join(f"{max(limit, longer or 0):.15g} {unit}" for limit, longer, unit in limits if limit is not None)


def _flat(name: str, value: Json) -> dict[str, Json]:
    if not isinstance(value, Mapping):
        return {} if value is None or value == [] else {name: value}
    return {key: leaf for inner, v in value.items() for key, leaf in _flat(f"{name}.{inner}", v).items()}


def user_tags(config: Mapping[str, Json]) -> dict[str, str]:
    """The sweep file's `tracking.tags`."""
    tags = (config.get("tracking") or {}).get("tags") or {}
    return {fitting_name(k): cut(v if isinstance(v, str) else json.dumps(v), MAX_TAG) for k, v in tags.items()}


def objectives_of(config: Mapping[str, Json]) -> tuple[Objective, ...]:
    """The objectives of a sweep file as resolved JSON: one mapping, or a list of them."""
    found = config["objective"]
    return tuple(Objective(o["metric"], o["goal"], o.get("at", "last")) for o in (found if isinstance(found, list) else [found]))


def experiment_name(sweep: Sweep) -> str:
    """The sweep file's `tracking.experiment`, else the sweep's own name."""
    return (sweep.config.get("tracking") or {}).get("experiment") or sweep.name
