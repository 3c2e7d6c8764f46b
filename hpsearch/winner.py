"""The policy after the budget: the best few are trained again on fresh seeds, the baselines with them, and the best mean wins.

All is a function of the history alone: `Retests.due` says what is still to be trained, `choose` which trial has won and how sure that is.
See docs/decisions/the-winner.md.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hpsearch.confidence import Interval, intervals
from hpsearch.events import TrialCreated
from hpsearch.search.history import History, TrialRecord
from hpsearch.trial import Json, Objective, TrialKind, TrialState, derive_seed

Verdict: TypeAlias = Literal["better", "indistinguishable", "worse"]

TEST = "test_"
"""What metrics of the test split begin with."""


@dataclass(frozen=True, slots=True)
class Retests:
    """Who is trained again, once the search is over: the best `top` trials and every baseline, `seeds` times each, for all `max_steps`."""

    top: int
    seeds: int
    seed: int
    max_steps: int

    def due(self, history: History) -> list[TrialCreated]:
        """The re-tests that are not there yet. One that failed is there: it is not made up for."""
        if not self.top:
            return []
        made = Counter(trial.parent for trial in history if trial.kind is TrialKind.RETEST)
        parents = {trial.number: trial for trial in (*contenders(history, self.top), *_baselines(history))}
        missing = [(parent, i) for parent in parents.values() for i in range(made[parent.number], self.seeds)]
        return [self._created(len(history) + n, parent, i) for n, (parent, i) in enumerate(missing)]

    def _created(self, number: int, parent: TrialRecord, index: int) -> TrialCreated:
        seed = derive_seed(self.seed, "retest", parent.number, index)
        return TrialCreated(number, TrialKind.RETEST, parent.parameters, seed, self.max_steps, parent=parent.number)


def contenders(history: History, top: int) -> list[TrialRecord]:
    """The best `top` configurations by the first objective; of several objectives, those of the Pareto front. Of equal ones the best."""
    objective = history.objectives[0]
    among = history.best() if len(history.objectives) > 1 else [t for t in _completed(history) if t.kind is not TrialKind.RETEST]
    ranked = sorted(
        ((_cost(objective, value), t.number, t) for t in among if (value := _value(history, t)) is not None), key=lambda r: r[:2]
    )
    distinct: dict[str, TrialRecord] = {}
    for _, _, trial in ranked:
        distinct.setdefault(json.dumps(dict(trial.parameters), sort_keys=True), trial)
    return list(distinct.values())[:top]


def _baselines(history: History) -> list[TrialRecord]:
    return [trial for trial in _completed(history) if trial.kind is TrialKind.BASELINE]


def _completed(history: History) -> list[TrialRecord]:
    return history.in_state(TrialState.COMPLETED)


def _value(history: History, trial: TrialRecord) -> float | None:
    """The first objective, where it is a number."""
    values = history.values(trial)
    return None if values is None or math.isnan(values[0]) else values[0]


def _cost(objective: Objective, value: float) -> float:
    return -value if objective.goal == "maximize" else value


@dataclass(frozen=True, slots=True)
class Retested:
    """A trial and what its trainings on fresh seeds came to.

    Args:
        asked: how many there were; `values` are the first objectives of those that completed.
        test: the mean of each metric of the test split.
    """

    trial: TrialRecord
    asked: int
    values: tuple[float, ...]
    test: Mapping[str, float]

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The winner beside the best baseline. `gain` is positive where the winner is better; `interval` None: one seed tells nothing."""

    baseline: Retested
    gain: float
    interval: Interval | None

    @property
    def verdict(self) -> Verdict:
        if self.interval is not None and self.interval.low > 0:
            return "better"
        return "worse" if self.interval is not None and self.interval.high < 0 else "indistinguishable"


@dataclass(frozen=True, slots=True)
class Winner:
    """The trial with the best mean over fresh seeds, how sure that mean is, and what it gains on the baseline, if there is one."""

    chosen: Retested
    metric: str
    interval: Interval | None
    against: Comparison | None

    @property
    def trial(self) -> TrialRecord:
        return self.chosen.trial

    def in_words(self) -> list[str]:
        """Who has won, and what it gained on the baseline."""
        return [_won(self), *([] if self.against is None else [_gained(self, self.against)])]

    def to_json(self) -> dict[str, Json]:
        chosen, against = self.chosen, self.against
        return {
            "trial": self.trial.number,
            "params": dict(self.trial.parameters),
            "metric": self.metric,
            "seeds": chosen.asked,
            "values": list(chosen.values),
            "mean": chosen.mean,
            "interval": _pair(self.interval),
            "test": dict(chosen.test),
            "baseline": against
            and {"trial": against.baseline.trial.number, "mean": against.baseline.mean, "test": dict(against.baseline.test)},
            "gain": against and {"mean": against.gain, "interval": _pair(against.interval)},
            "verdict": against and against.verdict,
        }


def choose(history: History) -> Winner | None:
    """The winner among all that were re-tested; None before all re-tests have ended, or where none completed.

    Those that came through on all their seeds go before those that did not. The test split has no part in it.
    """
    retested = _retested(history)
    if not retested:
        return None
    objective = history.objectives[0]
    ranked = sorted(retested, key=lambda r: (r.asked - len(r.values), _cost(objective, r.mean), r.trial.number))
    chosen, baselines = ranked[0], [r for r in ranked if r.trial.kind is TrialKind.BASELINE]
    interval = _interval(retested, [{r.trial.number: 1.0} for r in retested], {chosen.trial.number: 1.0})
    return Winner(chosen, objective.metric, interval, _compared(objective, retested, chosen, baselines[0]) if baselines else None)


def _retested(history: History) -> list[Retested]:
    """By the trial that they are of; empty while one of them has not ended."""
    made: dict[int, list[TrialRecord]] = {}
    for trial in history:
        if trial.kind is TrialKind.RETEST and trial.parent is not None:
            made.setdefault(trial.parent, []).append(trial)
    if any(not trial.state.is_terminal for each in made.values() for trial in each):
        return []
    found = (_summed_up(history, history.trials[parent], each) for parent, each in sorted(made.items()))
    return [retested for retested in found if retested.values]


def _summed_up(history: History, parent: TrialRecord, made: Sequence[TrialRecord]) -> Retested:
    ended = [(t, value) for t in made if t.state is TrialState.COMPLETED and (value := _value(history, t)) is not None]
    last = [t.reports[-1] for t, _ in ended]
    names = [name for name in (last[0] if last else {}) if name.startswith(TEST)]
    test = {name: math.fsum(report.get(name, math.nan) for report in last) / len(last) for name in names}
    return Retested(parent, len(made), tuple(value for _, value in ended), test)


def _compared(objective: Objective, retested: Sequence[Retested], chosen: Retested, baseline: Retested) -> Comparison:
    """As sure as it is when any other and any baseline might have been the best."""
    if chosen is baseline:
        return Comparison(baseline, 0.0, Interval(0.0, 0.0))
    sign = 1.0 if objective.goal == "maximize" else -1.0
    others = [r.trial.number for r in retested if r.trial.kind is not TrialKind.BASELINE]
    beside = [r.trial.number for r in retested if r.trial.kind is TrialKind.BASELINE]
    pairs = [{a: sign, b: -sign} for a in others for b in beside]
    interval = _interval(retested, pairs, {chosen.trial.number: sign, baseline.trial.number: -sign})
    return Comparison(baseline, sign * (chosen.mean - baseline.mean), interval)


def _interval(retested: Sequence[Retested], contrasts: Sequence[Mapping[int, float]], wanted: Mapping[int, float]) -> Interval | None:
    """Of one of the weighted sums of means, so wide that all hold together; weights by trial. Of a single value nobody can tell."""
    groups = {r.trial.number: r.values for r in retested if len(r.values) > 1}
    known = [weights for weights in contrasts if weights.keys() <= groups.keys()]
    if wanted not in known:
        return None
    found = intervals(list(groups.values()), [[weights.get(number, 0.0) for number in groups] for weights in known])
    return found[known.index(wanted)]


def _won(winner: Winner) -> str:
    chosen = winner.chosen
    seeds = f"{len(chosen.values)} of {chosen.asked}" if len(chosen.values) < chosen.asked else str(chosen.asked)
    text = f"trial {winner.trial.number}, {winner.metric} {chosen.mean:.4g} on average over {seeds} fresh seed{'s' * (chosen.asked != 1)}"
    if winner.interval is not None:
        text += f" (95 % interval {_range(winner.interval, 4)})"
    tested = ", ".join(f"{name} {value:.4g}" for name, value in chosen.test.items())
    return f"{text}; on the test split {tested}" if tested else text


def _gained(winner: Winner, against: Comparison) -> str:
    baseline = f"the baseline's {against.baseline.mean:.4g}"
    if winner.trial.number == against.baseline.trial.number:
        return "it is the baseline itself: no other trial has a better mean"
    if against.interval is None:
        return f"cannot be told from {baseline}: one seed says nothing of chance"
    if against.verdict == "indistinguishable":
        reach = _range(against.interval, 3)
        return f"cannot be told from {baseline}: the gain of {against.gain:.3g} may be anything from {reach} (95 % interval)"
    interval = against.interval if against.verdict == "better" else Interval(-against.interval.high, -against.interval.low)
    return f"{against.verdict} than {baseline} by {abs(against.gain):.3g} (95 % interval {_range(interval, 3)})"


def _range(interval: Interval, digits: int) -> str:
    return f"{interval.low:.{digits}g} to {interval.high:.{digits}g}"


def _pair(interval: Interval | None) -> Json:
    return interval and [interval.low, interval.high]
