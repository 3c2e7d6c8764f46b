"""Importance agrees with Optuna, which is asked here in its own words."""

from __future__ import annotations

import random
import warnings

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpsearch.search.history import History, TrialRecord
from hpsearch.search.importance import FEWEST_TRIALS, importance
from hpsearch.space import Categorical, Float, Int, SearchSpace
from hpsearch.trial import Objective, TrialKind, TrialState

SPACE = SearchSpace({"x": Float(-1.0, 1.0), "n": Int(1, 5), "kind": Categorical(("a", [1, 2])), "y": Float(0.1, 1.0, when={"kind": "a"})})
DISTRIBUTIONS = {
    "x": FloatDistribution(-1.0, 1.0), "n": IntDistribution(1, 5), "kind": CategoricalDistribution(["a", "json:[1, 2]"]),
    "y": FloatDistribution(0.1, 1.0),
}  # fmt: skip


def history(trials: int, *objectives: Objective) -> History:
    made, chance = History(objectives), random.Random(3)
    for number in range(trials):
        x, kind = chance.uniform(-1, 1), chance.choice(["a", [1, 2]])
        chosen = {"x": x, "n": chance.randint(1, 5), "kind": kind} | ({"y": chance.uniform(0.1, 1)} if kind == "a" else {})
        report = {"loss": x**2 + 0.01 * chance.random(), "size": chance.random()}
        made._trials[number] = TrialRecord(number, TrialKind.SEARCH, chosen, 0, 1, TrialState.COMPLETED, reports=(report,))
    return made


@pytest.mark.parametrize("objectives", [
    (Objective("loss", "minimize"),), (Objective("loss", "maximize"),), (Objective("loss", "minimize"), Objective("size", "maximize")),
])  # fmt: skip
def test_it_agrees_with_optuna(objectives: tuple[Objective, ...]) -> None:
    past = history(80, *objectives)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=[o.goal for o in objectives])
    for trial in past:
        told = {n: "json:[1, 2]" if v == [1, 2] else v for n, v in trial.parameters.items()}
        values = [trial.reports[0][o.metric] for o in objectives]
        study.add_trial(optuna.trial.create_trial(params=told, distributions={n: DISTRIBUTIONS[n] for n in told}, values=values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = optuna.importance.get_param_importances(study, evaluator=optuna.importance.PedAnovaImportanceEvaluator())
    assert importance(SPACE, past) == pytest.approx(expected)


def test_what_decides_comes_first() -> None:
    found = importance(SPACE, history(100, Objective("loss", "minimize")))
    assert next(iter(found)) == "x"
    assert found["x"] > 0.5
    assert sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_of_too_few_trials_nothing_is_said() -> None:
    assert importance(SPACE, history(FEWEST_TRIALS - 1, Objective("loss", "minimize"))) == {}
    assert importance(SearchSpace({}), history(50, Objective("loss", "minimize"))) == {}


def test_values_that_are_all_equal_are_no_error() -> None:
    past = history(20, Objective("n", "minimize"))
    past._trials = {n: TrialRecord(n, t.kind, t.parameters, 0, 1, t.state, reports=({"n": 1.0},)) for n, t in past.trials.items()}
    assert importance(SPACE, past).keys() == {"x", "n", "kind", "y"}
