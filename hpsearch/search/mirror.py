"""The history in Optuna's words, kept up to date as it grows.

Each record becomes a `FrozenTrial` once, and again only when it has changed, which records show by identity. What is handed out depends
on the history alone: a mirror that has seen others, or this one at an earlier time, gives the same as a new one.

| ours | told to Optuna as |
| --- | --- |
| waiting, running, paused | RUNNING, with its parameters and the values so far |
| completed | COMPLETE; without values (PRUNED) where one is not finite |
| pruned, timed out | PRUNED, with its finite values |
| diverged, out of memory | PRUNED without values, which ranks below all that got somewhere |
| infeasible | PRUNED with a constraint above 0 |
| failed, cancelled | FAIL |
| a re-test | not at all |

An intermediate value is the objective at that step, where it is finite; where the objective counts at its best, its best until there: what
the trial would be worth if it ended there (but for schedulers that look for stagnation). There are none with several objectives. Steps
count from 1.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from itertools import accumulate, compress
from operator import is_not
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as Told

from hpsearch.search.history import History, TrialRecord
from hpsearch.search.ranking import evenly, ranking
from hpsearch.search.view import EPOCH
from hpsearch.space import SearchSpace
from hpsearch.space.distributions import encode
from hpsearch.trial import Objective, TrialKind, TrialState

_S = TrialState
TOLD: Mapping[TrialState, Told] = {
    _S.WAITING: Told.RUNNING,
    _S.RUNNING: Told.RUNNING,
    _S.PAUSED: Told.RUNNING,
    _S.COMPLETED: Told.COMPLETE,
    _S.PRUNED: Told.PRUNED,
    _S.TIMED_OUT: Told.PRUNED,
    _S.DIVERGED: Told.PRUNED,
    _S.OUT_OF_MEMORY: Told.PRUNED,
    _S.INFEASIBLE: Told.PRUNED,
    _S.FAILED: Told.FAIL,
    _S.CANCELLED: Told.FAIL,
}
_NO_VALUES = frozenset({_S.DIVERGED, _S.OUT_OF_MEMORY, _S.INFEASIBLE, _S.FAILED, _S.CANCELLED})
INFEASIBLE: Mapping[str, float] = {"constraints:space": 1.0}
"""The system attribute that `FrozenTrial.set_constraint("space", 1.0)` writes."""


class Mirror:
    """`distributions`: those of the space, by name. `raw`: intermediate values are those of each step alone."""

    def __init__(
        self, space: SearchSpace, objectives: tuple[Objective, ...], distributions: Mapping[str, Any], *, raw: bool = False
    ) -> None:
        self.directions = [StudyDirection.MAXIMIZE if o.goal == "maximize" else StudyDirection.MINIMIZE for o in objectives]
        self._space = space
        self._objectives = objectives
        self._distributions = distributions
        self._raw = raw or objectives[0].at == "last"
        self._forget()

    def _forget(self) -> None:
        self._history: History | None = None
        self._records: list[TrialRecord] = []
        self._told: dict[int, FrozenTrial] = {}
        self._open: dict[int, FrozenTrial] = {}
        self._completed: list[FrozenTrial] = []
        self._finished: list[FrozenTrial] = []
        self._ranking = ranking(self.directions)

    def follow(self, history: History) -> None:
        """Become the mirror of `history`."""
        if history is self._history:
            return
        records = list(history.trials.values())
        known = self._records
        changed = list(compress(range(len(known)), map(is_not, known, records)))
        if len(records) < len(known) or any(_is_another(known[i], records[i]) for i in changed):
            self._forget()
            changed = []
        for i in (*changed, *range(len(self._records), len(records))):
            self._take(records[i])
        self._history, self._records = history, records

    def trial(self, number: int) -> FrozenTrial:
        """The trial of that number, which is not a re-test."""
        return self._told[number]

    def all(self) -> list[FrozenTrial]:
        return list(self._told.values())

    def completed(self) -> list[FrozenTrial]:
        return list(self._completed)

    def some(self, most: int) -> list[FrozenTrial]:
        """The trials under way, and at most `most` of the finished ones: a tenth of `most` are the best, the rest spread evenly over time.

        Where there are no more than `most`, all are given. See docs/decisions/bounded-history.md.
        """
        if len(self._finished) <= most:
            finished = self._finished
        else:
            best = {trial.number: trial for trial in self._ranking.best(-(-most // 10))}
            for trial in evenly(self._finished, most - len(best)):
                best[trial.number] = trial
            finished = list(best.values())
        return sorted([*finished, *self._open.values()], key=_number)

    def _take(self, record: TrialRecord) -> None:
        if record.kind == TrialKind.RETEST:
            return
        trial = self._told[record.number] = self._tell(record)
        self._open.pop(record.number, None)
        match trial.state:
            case Told.RUNNING:
                self._open[record.number] = trial
            case Told.COMPLETE | Told.PRUNED:
                if trial.state == Told.COMPLETE:
                    bisect.insort(self._completed, trial, key=_number)
                bisect.insort(self._finished, trial, key=_number)
                self._ranking.add(trial)

    def _tell(self, record: TrialRecord) -> FrozenTrial:
        state, values = TOLD[record.state], None
        silent = record.state in _NO_VALUES
        if state == Told.COMPLETE:
            values = record.values(self._objectives)
            if values is None or not all(map(math.isfinite, values)):
                state, values, silent = Told.PRUNED, None, True
        parameters = {n: encode(p, record.parameters[n]) for n, p in self._space.parameters.items() if n in record.parameters}
        return FrozenTrial(
            number=record.number,
            trial_id=record.number,
            state=state,
            value=None,
            values=values,
            datetime_start=EPOCH,
            datetime_complete=EPOCH if state.is_finished() else None,
            params=parameters,
            distributions={name: self._distributions[name] for name in parameters},
            user_attrs={},
            system_attrs={**record.search_state, **(INFEASIBLE if record.state == _S.INFEASIBLE else {})},
            intermediate_values={} if silent else self._intermediate(record),
        )

    def _intermediate(self, record: TrialRecord) -> dict[int, float]:
        if len(self._objectives) > 1:
            return {}
        objective = self._objectives[0]
        values = (report.get(objective.metric, math.nan) for report in record.reports)
        finite = {step: value for step, value in enumerate(values, 1) if math.isfinite(value)}
        if self._raw:
            return finite
        return dict(zip(finite, accumulate(finite.values(), max if objective.goal == "maximize" else min), strict=True))


def _is_another(known: TrialRecord, record: TrialRecord) -> bool:
    """Whether `record` cannot be what `known` has become: then this is the history of another sweep, or an earlier one of this."""
    return known.state.is_terminal or (known.number, known.kind) != (record.number, record.kind)


def _number(trial: FrozenTrial) -> int:
    return int(trial.number)
