"""Which hyperparameters decide whether a trial is among the best.

Reference: Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", arXiv 2304.10255; as
Optuna has it, hyperparameters under conditions included (arXiv 2601.20800).
"""

from __future__ import annotations

import warnings

from hpsearch.search.history import History
from hpsearch.space import SearchSpace

FEWEST_TRIALS = 10
"""Completed ones: of fewer the best tenth is a single trial, which says nothing of the others."""


def importance(space: SearchSpace, history: History) -> dict[str, float]:
    """By hyperparameter its share, most important first; the shares sum to 1. Empty where too few trials have completed.

    It is the importance for being among the best tenth; with several objectives, for being on or near the Pareto front.
    """
    import optuna

    from hpsearch.search.mirror import Mirror
    from hpsearch.space.distributions import to_optuna

    mirror = Mirror(space, history.objectives, {name: to_optuna(parameter) for name, parameter in space.parameters.items()})
    mirror.follow(history)
    completed = mirror.completed()
    if len(completed) < FEWEST_TRIALS or not space.parameters:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)  # of values that are all equal: then all shares are
        study = _study(mirror.directions, completed)
        shares = optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
    return {name: float(share) for name, share in sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))}


def _study(directions: list[object], trials: list[object]) -> object:
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(directions=directions)
        study.add_trials(trials)
    finally:
        optuna.logging.set_verbosity(before)
    return study
