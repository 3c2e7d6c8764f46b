"""Which trials a sampler must not miss when it cannot be shown all of them.

Both classes give the same answer whatever the order in which trials were added.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Protocol, TypeVar

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

T = TypeVar("T")


class Ranking(Protocol):
    def add(self, trial: FrozenTrial) -> None: ...

    def best(self, most: int) -> list[FrozenTrial]: ...


class ByValue(Ranking):
    """One objective, in the order in which TPE fills its good set: completed by value, pruned by how far they came, infeasible last."""

    def __init__(self, direction: StudyDirection) -> None:
        self._sign = -1.0 if direction == StudyDirection.MAXIMIZE else 1.0
        self._keys: list[tuple[float, ...]] = []
        self._trials: list[FrozenTrial] = []

    def add(self, trial: FrozenTrial) -> None:
        key = self._key(trial)
        place = bisect.bisect(self._keys, key)
        self._keys.insert(place, key)
        self._trials.insert(place, trial)

    def best(self, most: int) -> list[FrozenTrial]:
        return self._trials[:most]

    def _key(self, trial: FrozenTrial) -> tuple[float, ...]:
        if trial.constraints:
            return (2, 0, 0, trial.number)
        if trial.state == TrialState.COMPLETE:
            return (0, self._sign * trial.value, 0, trial.number)
        if not trial.intermediate_values:
            return (1, 1, 0, trial.number)
        step = trial.last_step
        return (1, -step, self._sign * trial.intermediate_values[step], trial.number)


class ByDomination(Ranking):
    """Several objectives: the Pareto front of the completed trials."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._signs = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in directions]
        self._front: list[tuple[tuple[float, ...], int, FrozenTrial]] = []

    def add(self, trial: FrozenTrial) -> None:
        if trial.state != TrialState.COMPLETE:
            return
        costs = tuple(sign * value for sign, value in zip(self._signs, trial.values, strict=True))
        if any(_dominates(other, costs) for other, _, _ in self._front):
            return
        self._front = [entry for entry in self._front if not _dominates(costs, entry[0])]
        bisect.insort(self._front, (costs, trial.number, trial))

    def best(self, most: int) -> list[FrozenTrial]:
        """All of the front, or trials spread evenly along it by the first objective."""
        return [trial for _, _, trial in evenly(self._front, most)]


def _dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def ranking(directions: Sequence[StudyDirection]) -> Ranking:
    return ByValue(directions[0]) if len(directions) == 1 else ByDomination(directions)


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most `most` of the items, evenly spaced, with the first and the last; the last alone where there is room for one."""
    if len(items) <= most:
        return list(items)
    if most < 2:
        return list(items[len(items) - most :])
    return [items[i * (len(items) - 1) // (most - 1)] for i in range(most)]
