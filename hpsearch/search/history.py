"""The committed past of a sweep, as the search sees it: immutable, in ledger order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from hpsearch.events import (
    Answered,
    Assigned,
    Begun,
    Ended,
    Event,
    Measured,
    Reported,
    SweepExtended,
    SweepOpened,
    TrialCreated,
    may_be_from_outside,
)
from hpsearch.trial import TRANSITIONS, Checkpoint, Json, Memory, Objective, SearchState, TrialKind, TrialState


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """One trial as of some event. `reports[i]` are the metrics of step i + 1.

    `gpus`: the part of a GPU that its attempt was given, where the controller chose it; `least_gpus`: what the next one needs at least.
    """

    number: int
    kind: TrialKind
    parameters: Mapping[str, Json]
    seed: int
    until_step: int
    state: TrialState = TrialState.WAITING
    reason: str | None = None
    parent: int | None = None
    attempt: int = 0
    retries: int = 0
    reports: tuple[Mapping[str, float], ...] = ()
    checkpoint: Checkpoint | None = None
    gpus: float = 0.0
    least_gpus: float = 0.0
    memory: Memory | None = None
    stop: str | None = None
    search_state: Mapping[str, Json] = field(default_factory=dict)
    created_ms: int = 0
    begun_ms: int | None = None
    ended_ms: int | None = None

    @property
    def step(self) -> int:
        """The last step that was reported; 0 before the first."""
        return len(self.reports)

    def curve(self, metric: str) -> list[float]:
        """A metric step by step; NaN where a report has none."""
        return [report.get(metric, math.nan) for report in self.reports]

    def values(self, objectives: tuple[Objective, ...]) -> tuple[float, ...] | None:
        """The trial's objectives at its last step (or its best, where the objective says so); None before the first report."""
        if not self.reports:
            return None
        return tuple(self._value(objective) for objective in objectives)

    def _value(self, objective: Objective) -> float:
        if objective.at == "last":
            return self.reports[-1].get(objective.metric, math.nan)
        seen = [v for v in self.curve(objective.metric) if not math.isnan(v)]
        if not seen:
            return math.nan
        return max(seen) if objective.goal == "maximize" else min(seen)


class History:
    """A fold of a sweep's events. `apply` gives a new one; nothing that was handed out ever changes."""

    __slots__ = ("_last_ms", "_trials", "active_ms", "data_digest", "extended_to", "objectives", "search_state", "seq")

    def __init__(self, objectives: tuple[Objective, ...]) -> None:
        self.objectives = objectives
        self.seq = 0
        self.search_state: Mapping[str, Json] = {}
        self.active_ms = 0
        """For how long controllers have run the sweep, as far as events tell; the time between two of them does not count."""
        self.extended_to = SweepExtended()
        """The budget's totals that were raised above the sweep file's."""
        self.data_digest: str | None = None
        """Of the data that the sweep was begun with."""
        self._last_ms = 0
        self._trials: dict[int, TrialRecord] = {}

    @property
    def trials(self) -> Mapping[int, TrialRecord]:
        """All trials by number, in the order of their creation."""
        return MappingProxyType(self._trials)

    def __len__(self) -> int:
        return len(self._trials)

    def __iter__(self) -> Iterator[TrialRecord]:
        return iter(self._trials.values())

    def in_state(self, *states: TrialState) -> list[TrialRecord]:
        return [t for t in self._trials.values() if t.state in states]

    def values(self, trial: TrialRecord) -> tuple[float, ...] | None:
        return trial.values(self.objectives)

    def best(self, among: Iterable[TrialRecord] | None = None) -> list[TrialRecord]:
        """The completed trial with the best objective (the first of equals); for several objectives, the Pareto front. NaN is out.

        Args:
            among: which trials; by default all.
        """
        candidates = self._candidates(self if among is None else among)
        rated = [(t, v) for t in candidates if (v := self.values(t)) and not any(map(math.isnan, v))]
        if len(self.objectives) == 1:
            return [best_of(rated, self.objectives[0])] if rated else []
        return [t for t, v in rated if not any(self._dominates(other, v) for _, other in rated)]

    def baseline(self) -> TrialRecord | None:
        """What is to be beaten: the best completed baseline; None where there is none, or no single objective to compare by."""
        rated = [(t, v) for t in self._candidates(self) if t.kind is TrialKind.BASELINE and (v := self.values(t)) and not math.isnan(v[0])]
        return best_of(rated, self.objectives[0]) if rated and len(self.objectives) == 1 else None

    def _candidates(self, among: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Re-tests are other measurements of a trial, not further candidates."""
        return [t for t in among if t.state is TrialState.COMPLETED and t.kind is not TrialKind.RETEST]

    def _dominates(self, a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        pairs = list(zip(self.objectives, a, b, strict=True))
        return any(o.better(x, y) for o, x, y in pairs) and not any(o.better(y, x) for o, x, y in pairs)

    def apply(self, events: Iterable[Event]) -> History:
        """This history with `events` added, which follow its own without a gap."""
        new = History(self.objectives)
        for slot in self.__slots__:
            setattr(new, slot, getattr(self, slot))
        new._trials = dict(self._trials)
        for event in events:
            assert event.seq == new.seq + 1, (event, new.seq)
            new.seq = event.seq
            new._fold(event)
        return new

    def _fold(self, event: Event) -> None:
        body = event.body
        self._pass_time(event)
        match body:
            case SweepOpened():
                self.data_digest = self.data_digest or body.data_digest
            case SweepExtended():
                self.extended_to = _furthest(self.extended_to, body)
            case TrialCreated():
                self._trials[body.trial] = TrialRecord(
                    body.trial, body.kind, body.parameters, body.seed, body.until_step, body.state, body.reason, body.parent,
                    created_ms=event.at_ms, ended_ms=event.at_ms if body.state.is_terminal else None,
                )  # fmt: skip
                self._remember(body.trial, body.search_state)
            case Assigned():
                self._move(
                    body.trial, TrialState.RUNNING, attempt=body.attempt, until_step=body.until_step, begun_ms=None, reason=None,
                    gpus=body.gpus,
                )  # fmt: skip
                self._remember(body.trial, body.search_state)
            case Begun():
                self._change(body.trial, begun_ms=event.at_ms)
            case Reported():
                record = self._trials[body.trial]
                assert body.step == record.step + 1, (event, record.step)
                self._change(body.trial, reports=(*record.reports, body.metrics), checkpoint=body.checkpoint or record.checkpoint)
            case Measured():
                self._change(body.trial, memory=_most(self._trials[body.trial].memory, Memory(body.peak_bytes, body.total_bytes)))
            case Answered():
                if body.until_step is not None:
                    self._change(body.trial, until_step=body.until_step)
                if body.answer == "stop":
                    self._change(body.trial, stop=body.reason)
                self._remember(body.trial, body.search_state)
            case Ended():
                record = self._trials[body.trial]
                self._move(
                    body.trial, body.state, reason=body.reason, checkpoint=body.checkpoint or record.checkpoint,
                    retries=record.retries + body.retry, least_gpus=min(1.0, 2 * record.gpus) if body.starved else record.least_gpus,
                    ended_ms=event.at_ms if body.state.is_terminal else None,
                )  # fmt: skip

    def _pass_time(self, event: Event) -> None:
        if isinstance(event.body, SweepOpened):
            self._last_ms = event.at_ms
        elif self._last_ms and not may_be_from_outside(event.body):
            self.active_ms += max(0, event.at_ms - self._last_ms)
            self._last_ms = event.at_ms

    def _move(self, trial: int, state: TrialState, **changes: object) -> None:
        assert state in TRANSITIONS[self._trials[trial].state], (trial, self._trials[trial].state, state)
        self._change(trial, state=state, **changes)

    def _change(self, trial: int, **changes: object) -> None:
        self._trials[trial] = replace(self._trials[trial], **changes)  # type: ignore[arg-type]

    def _remember(self, trial: int, state: SearchState) -> None:
        if state.sweep:
            self.search_state = {**self.search_state, **state.sweep}
        if state.trial:
            record = self._trials[trial]
            self._change(trial, search_state={**record.search_state, **state.trial})


def best_of(rated: list[tuple[TrialRecord, tuple[float, ...]]], objective: Objective) -> TrialRecord:
    """The trial with the best first value, the earliest of equals; `rated` is not empty."""
    sign = 1 if objective.goal == "maximize" else -1
    return max(rated, key=lambda pair: (sign * pair[1][0], -pair[0].number))[0]


def _most(before: Memory | None, now: Memory) -> Memory:
    return now if before is None or now.peak_bytes > before.peak_bytes else before


def _furthest(a: SweepExtended, b: SweepExtended) -> SweepExtended:
    return SweepExtended(_larger(a.trials, b.trials), _larger(a.total_epochs, b.total_epochs), _larger(a.time_s, b.time_s))


_Number = TypeVar("_Number", int, float)


def _larger(a: _Number | None, b: _Number | None) -> _Number | None:
    return b if a is None else a if b is None else max(a, b)
