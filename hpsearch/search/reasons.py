"""Why a scheduler stopped a trial, in words. Worked out only when it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.search.schedulers import split
from hpsearch.trial import Json, Objective


@dataclass(frozen=True, slots=True)
class Case:
    """The trial that is stopped, among `trials` (Optuna's, itself included); `state` is what the pruner has written about it.

    `raw`: values are those of each step, even where the objective counts at its best.
    """

    objective: Objective
    trial: Any
    trials: Sequence[Any]
    state: Mapping[str, Json]
    options: Mapping[str, Json]
    raw: bool = False

    @property
    def step(self) -> int:
        return int(self.trial.last_step)

    @property
    def value(self) -> float:
        return float(self.trial.intermediate_values[self.step])

    @property
    def maximize(self) -> bool:
        return self.objective.goal == "maximize"

    @property
    def best_so_far(self) -> float:
        return float((max if self.maximize else min)(self.trial.intermediate_values.values()))

    @property
    def said(self) -> str:
        return self.told(self.value)

    def told(self, value: float) -> str:
        """`val_accuracy 0.61 at step 5`, or `(its best) until step 5`."""
        is_present = value == self.value and (self.raw or self.objective.at == "last")
        return f"{self.objective.metric} {value:.4g} {'at' if is_present else '(its best) until'} step {self.step}"


def in_words(scheduler: str, case: Case) -> str:
    """`val_accuracy 0.61 at step 5 is below the median 0.83 of 12 trials`."""
    reason = _REASONS.get(scheduler)
    return reason(case) if reason else f"stopped by {scheduler}"


def _percentile(case: Case) -> str:
    import numpy as np
    from optuna.trial import TrialState

    at_step = [
        t.intermediate_values[case.step] for t in case.trials if t.state == TrialState.COMPLETE and case.step in t.intermediate_values
    ]
    percentile = case.options.get("percentile", 50.0)
    bound = float(np.percentile(at_step, 100 - percentile if case.maximize else percentile))
    named = "median" if percentile == 50 else f"best {percentile:g}%"
    side = "below" if case.maximize else "above"
    return f"{case.told(case.best_so_far)} is {side} the {named} {bound:.4g} of {len(at_step)} trials"


def _halving(case: Case) -> str:
    rung = max((key for key in case.state if key.startswith("completed_rung_")), key=lambda key: int(key.rsplit("_", 1)[1]), default=None)
    if rung is None:
        return f"{case.said} does not pass its rung"
    reached = 1 + sum(rung in t.system_attrs for t in case.trials if t.number != case.trial.number)
    factor = case.options.get("reduction_factor", 4)
    return f"{case.said} is not in the best 1/{factor} of the {reached} trials that reached rung {int(rung.rsplit('_', 1)[1]) + 1}"


def _hyperband(case: Case) -> str:
    factor = case.options.get("reduction_factor", 3)
    return f"{case.said} is not in the best 1/{factor} of the trials of its bracket that reached its rung"


def _threshold(case: Case) -> str:
    lower = case.options.get("lower")
    if lower is not None and case.value < lower:
        return f"{case.said} is below {lower:g}"
    return f"{case.said} is above {case.options['upper']:g}"


def _patient(case: Case) -> str:
    patience = case.options["patience"]
    name, inner = split(case.options.get("wrapped_pruner"))
    stalled = f"{case.said}: no better for {patience} steps"
    if name is None:
        return stalled
    return f"{stalled}, and {in_words(name, replace(case, options=inner))}"


def _wilcoxon(case: Case) -> str:
    return f"{case.said}: worse than the best trial step by step (Wilcoxon's test, p < {case.options.get('p_threshold', 0.1):g})"


_REASONS: Mapping[str, Callable[[Case], str]] = {
    "median": _percentile,
    "percentile": _percentile,
    "successive_halving": _halving,
    "hyperband": _hyperband,
    "threshold": _threshold,
    "patient": _patient,
    "wilcoxon": _wilcoxon,
}
