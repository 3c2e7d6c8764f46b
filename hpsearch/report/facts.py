"""A sweep's ledger, put together for the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from hpsearch.cost import Cost
from hpsearch.events import Event, SweepOpened, may_be_from_outside
from hpsearch.ledger.face import Ledger
from hpsearch.overview import Attempt, Overview, attempts_by_trial, overview
from hpsearch.search.history import TrialRecord
from hpsearch.trial import TrialKind, TrialState
from hpsearch.winner import Winner, choose

MOST_POINTS = 600
"""Trials in a figure that has a mark for each: more are no longer told apart, and slow."""

WENT_WRONG = (TrialState.FAILED, TrialState.DIVERGED, TrialState.OUT_OF_MEMORY, TrialState.TIMED_OUT)


class Clock:
    """Seconds for which controllers had run the sweep: the nights between a stop and a resume do not count."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._sessions: list[list[int]] = []
        for event in events:
            if isinstance(event.body, SweepOpened):
                self._sessions.append([event.at_ms, event.at_ms])
            elif self._sessions and not may_be_from_outside(event.body):
                self._sessions[-1][1] = max(self._sessions[-1][1], event.at_ms)

    @property
    def total_s(self) -> float:
        """Until the last event."""
        return sum(end - begin for begin, end in self._sessions) / 1000

    @property
    def breaks_s(self) -> list[float]:
        """Where it was resumed."""
        return [self(begin) for begin, _ in self._sessions[1:]]

    def __call__(self, at_ms: int) -> float:
        """What it showed at that moment."""
        return sum(max(0, min(at_ms, end) - begin) for begin, end in self._sessions) / 1000


@dataclass(frozen=True)
class Facts:
    """One sweep. Only trials that compete are `rated`: re-tests are other measurements of them."""

    seen: Overview
    clock: Clock
    attempts: Mapping[int, Sequence[Attempt]]
    cost: Cost

    @classmethod
    def read(cls, ledger: Ledger, name: str) -> Facts:
        """As committed now. Raises `InputError` where there is no such sweep."""
        seen = overview(ledger, ledger.find(name))
        events = ledger.events(seen.sweep.id, limit=seen.history.seq)
        cost = Cost.of(seen.sweep.config)
        cost.add(events)
        return cls(seen, Clock(events), attempts_by_trial(events), cost)

    @property
    def name(self) -> str:
        return self.seen.sweep.name

    @property
    def is_running(self) -> bool:
        return self.seen.state == "running"

    @cached_property
    def rated(self) -> list[TrialRecord]:
        """The trials that compete and have reported, by number."""
        return [t for t in self.seen.history if t.kind is not TrialKind.RETEST and t.reports]

    @cached_property
    def ended(self) -> list[TrialRecord]:
        """The trials that have ended, in that order; without re-tests and those that were never begun."""
        return self.seen.ended()

    @cached_property
    def best(self) -> list[TrialRecord]:
        """The best trial, or the Pareto front."""
        return self.seen.history.best()

    @cached_property
    def winner(self) -> Winner | None:
        """Who has won the re-tests, once all have ended."""
        return choose(self.seen.history)

    @property
    def leading(self) -> list[TrialRecord]:
        """The winner; without re-tests the best trial, or the Pareto front."""
        return self.best if self.winner is None else [self.winner.trial]

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """What was to be beaten; of several objectives, the first baseline that was measured."""
        if len(self.seen.history.objectives) == 1:
            return self.seen.history.baseline()
        return next((t for t in self.seen.history.in_state(TrialState.COMPLETED) if t.kind is TrialKind.BASELINE), None)

    def value(self, trial: TrialRecord, objective: int = 0) -> float | None:
        """A trial's value of one objective; None before its first report."""
        values = self.seen.history.values(trial)
        return None if values is None else values[objective]

    def some(self, trials: Sequence[TrialRecord], most: int = MOST_POINTS) -> list[TrialRecord]:
        """At most `most` of the trials, by number: a third the best of them, the others spread evenly over the search."""
        if len(trials) <= most:
            return list(trials)
        sign = -1 if self.seen.history.objectives[0].goal == "maximize" else 1
        ranked = sorted(trials, key=lambda t: (sign * v if (v := self.value(t)) is not None and v == v else float("inf"), t.number))
        winners = {t.number for t in self.best}
        front = [t for t in trials if t.number in winners]
        best = {t.number: t for t in (*front[: most // 3], *ranked[: most // 3])}
        others = [t for t in trials if t.number not in best]
        room = most - len(best)
        chosen = [others[i * len(others) // room] for i in range(room)]
        return sorted([*best.values(), *chosen], key=lambda t: t.number)
