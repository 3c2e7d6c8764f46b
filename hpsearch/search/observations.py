"""The past as a Gaussian process can use it.

Optuna's GPSampler learns from completed trials alone, so after a trial that was pruned, diverged or broke a constraint it would propose
nearly the same again. Here a pruned trial counts with its last value, one without any (diverged, out of memory) with the worst value of
the others, and an infeasible one like that and as a violated constraint, which then every observation has.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


def observations(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> list[FrozenTrial]:
    """The trials with every finished one as COMPLETE; unchanged while there is no value at all. The given ones are not touched."""
    rated = {trial.number: values for trial in trials if (values := _values(trial)) is not None}
    if not rated:
        return list(trials)
    ends = [max if direction == StudyDirection.MINIMIZE else min for direction in directions]
    worst = [end(column) for end, column in zip(ends, zip(*rated.values(), strict=True), strict=True)]
    constrained = any(trial.constraints for trial in trials)
    return [_observed(trial, rated.get(trial.number, worst), constrained) for trial in trials]


def _values(trial: FrozenTrial) -> list[float] | None:
    if trial.state == TrialState.COMPLETE:
        return list(trial.values)
    if trial.state == TrialState.PRUNED and trial.intermediate_values:
        return [trial.intermediate_values[trial.last_step]]
    return None


def _observed(trial: FrozenTrial, values: list[float], constrained: bool) -> FrozenTrial:
    if trial.state == TrialState.RUNNING:
        return trial
    observed = copy.copy(trial)
    observed.state, observed.values = TrialState.COMPLETE, values
    if constrained and not trial.constraints:
        observed.system_attrs = {}
        observed.set_constraint("space", -1.0)
    return observed
