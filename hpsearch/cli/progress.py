"""A sweep's progress, followed at the price of its open trials: what has ended is looked at once."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hpsearch.controller import Controller
from hpsearch.rules import Rules
from hpsearch.search.history import History, TrialRecord, best_of
from hpsearch.trial import TrialKind, TrialState

_RATE_WINDOW_S = 10.0


@dataclass
class Progress:
    """Fed with a history now and then; `counts` and `best` are as of the last one. Times in seconds of one monotonic clock."""

    controller: Controller
    counts: Counter[TrialState] = field(default_factory=Counter)
    best: TrialRecord | None = None
    baseline: TrialRecord | None = None
    open: list[TrialRecord] = field(default_factory=list)
    latest: deque[TrialRecord] = field(default_factory=lambda: deque(maxlen=16))
    seq: int = -1
    began: float | None = None
    _ended_steps: int = 0
    _ended_counted: int = 0
    _ended_retests: int = 0
    _seen: int = 0
    _working_since: float = 0.0
    _fraction_before: float = 0.0
    _steps_before: int | None = None
    _retests_before: tuple[int, int] | None = None
    _last_change: float = 0.0
    _steps: deque[tuple[float, int]] = field(default_factory=deque)

    @property
    def history(self) -> History:
        return self.controller.history

    def update(self, now: float) -> list[TrialRecord]:
        """Take in what was committed since; the trials that have ended in it, in order of their ends."""
        history = self.history
        if history.seq == self.seq:
            return []
        first, self.seq, self._last_change = self.seq < 0, history.seq, now
        numbers = [t.number for t in self.open] + list(range(self._seen, len(history)))
        records = [history.trials[number] for number in numbers]
        self._seen = len(history)
        self.open = [t for t in records if not t.state.is_terminal]
        ended = sorted((t for t in records if t.state.is_terminal), key=lambda t: (t.ended_ms or 0, t.number))
        self._count(history, ended)
        if first:
            self.began = now
        self._measure_speed(now)
        return [] if first else ended

    def _measure_speed(self, now: float) -> None:
        """From the first epoch on: workers that import torch say nothing of how long the rest will take."""
        if self._steps_before in (None, self.steps) or (self.retests is None) != (self._retests_before is None):
            self._steps.clear()
            self._working_since, self._fraction_before, self._steps_before = now, self.fraction(now), self.steps
            self._retests_before = self.retests
        self._steps.append((now, self.steps))
        while len(self._steps) > 2 and self._steps[1][0] < now - _RATE_WINDOW_S:
            self._steps.popleft()

    def _count(self, history: History, ended: Sequence[TrialRecord]) -> None:
        for trial in ended:
            self.counts[trial.state] += 1
            self._ended_steps += trial.step
            self._ended_counted += counts(trial)
            self._ended_retests += trial.kind is TrialKind.RETEST
            self.latest.append(trial)
        if any(t.state is TrialState.COMPLETED for t in ended):
            self.best = _best(history, [*([self.best] if self.best else []), *ended])
            if any(t.kind is TrialKind.BASELINE for t in ended):
                self.baseline = history.baseline()

    @property
    def steps(self) -> int:
        """Epochs reported so far."""
        return self._ended_steps + sum(t.step for t in self.open)

    @property
    def trials(self) -> int:
        """Trials that have ended and count towards the budget."""
        return self._ended_counted

    @property
    def retests(self) -> tuple[int, int] | None:
        """How many have ended, of how many, while some are still to be trained; None before and after."""
        under_way = sum(t.kind is TrialKind.RETEST for t in self.open)
        return (self._ended_retests, self._ended_retests + under_way) if under_way else None

    def state_counts(self) -> dict[str, int]:
        """Trials by state, in the order in which states are told."""
        counts = self.counts + Counter(t.state for t in self.open)
        return {str(state): counts[state] for state in TrialState if counts[state]}

    def steps_per_second(self, now: float) -> float:
        """Over the last ten seconds or so."""
        if not self._steps:
            return 0.0
        at, steps = self._steps[0]
        return (self.steps - steps) / (now - at) if now > at else 0.0

    def elapsed_s(self, now: float) -> float:
        """Since the work of this run began."""
        return now - self.began if self.began is not None else 0.0

    def fraction(self, now: float) -> float:
        """How much of the budget is spent, by whichever of its limits is nearest, in [0, 1]; when that is over, of the re-tests."""
        rules = self.controller.rules
        if self.retests is not None:
            return self._of_retests(rules, self.retests[1])
        shares = [share for share in (self._of_trials(rules), self._of_epochs(rules), self._of_time(rules, now)) if share is not None]
        return min(1.0, max(shares, default=0.0))

    def left_s(self, now: float) -> float | None:
        """The estimated rest, in seconds; None while there is nothing to go by."""
        rules = self.controller.rules
        done = self.fraction(now) - self._fraction_before
        estimates = []
        if rules.time_s is not None and self.retests is None:
            estimates.append(max(0.0, rules.time_s - self._active_s(now)))
        if done > 0.01:
            estimates.append((now - self._working_since) * (1 - self.fraction(now)) / done)
        return min(estimates) if estimates and done > 0.01 else None

    def _active_s(self, now: float) -> float:
        return self.history.active_ms / 1000 + (now - self._last_change)

    def _of_trials(self, rules: Rules) -> float | None:
        if rules.trials is None:
            return None
        begun = sum(t.step / max(1, rules.max_steps) for t in self.open)
        return (self._ended_counted + begun) / max(1, rules.trials)

    def _of_retests(self, rules: Rules, total: int) -> float:
        begun = sum(t.step / max(1, rules.max_steps) for t in self.open if t.kind is TrialKind.RETEST)
        return min(1.0, (self._ended_retests + begun) / total)

    def _of_epochs(self, rules: Rules) -> float | None:
        return None if rules.total_epochs is None else self.steps / max(1, rules.total_epochs)

    def _of_time(self, rules: Rules, now: float) -> float | None:
        return None if rules.time_s is None else self._active_s(now) / max(1e-9, rules.time_s)


def counts(trial: TrialRecord) -> bool:
    """Whether a trial counts towards the budget."""
    return trial.kind is not TrialKind.RETEST and trial.state is not TrialState.INFEASIBLE


def _best(history: History, candidates: Sequence[TrialRecord]) -> TrialRecord | None:
    """The best completed one by the first objective; a re-test is another measurement of one."""
    ended = [t for t in candidates if t.state is TrialState.COMPLETED and t.kind is not TrialKind.RETEST]
    rated = [(t, v) for t in ended if (v := history.values(t)) and not math.isnan(v[0])]
    return best_of(rated, history.objectives[0]) if rated else None
