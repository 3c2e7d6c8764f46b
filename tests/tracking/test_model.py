"""Which network of a sweep is registered, and under which names."""

from __future__ import annotations

from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.events import Ended
from hpsearch.tracking.model import fitting_model_name, median_of, problem_of_name
from hpsearch.trial import Objective, TrialKind, TrialState


@pytest.mark.parametrize(
    ("goal", "values", "expected"),
    [
        ("maximize", [0.7, 0.9, 0.8], 0.8),
        ("minimize", [0.7, 0.9, 0.8], 0.8),
        ("maximize", [0.6, 0.9, 0.7, 0.8], 0.8),
        ("minimize", [0.6, 0.9, 0.7, 0.8], 0.7),
        ("maximize", [0.7, None, 0.9, 0.5], 0.7),
        ("maximize", [float("nan"), 0.4, 0.3], 0.4),
        ("maximize", [0.5], 0.5),
    ],
)
def test_it_is_the_median_of_the_seeds_whatever_the_test_split_says(
    story: Any, goal: Any, values: list[float | None], expected: float
) -> None:
    origin = story.trial()
    for value in values:
        number = story.start(TrialKind.RETEST, origin)
        if value is None:
            story.commit(Ended(number, 1, TrialState.FAILED, "it fell"))
            continue
        story.report(number, 1, val_accuracy=value, test_accuracy=1 - value)
        story.commit(Ended(number, 1, TrialState.COMPLETED))
    story.trial(kind=TrialKind.RETEST, parent=story.trial())
    history = ledgers.fold(story.ledger, story.sweep.id, (Objective("val_accuracy", goal),))
    assert history.values(median_of(history, history.trials[origin])) == (expected,)


@pytest.mark.parametrize("name", ["digits-mlp", "ünï cöde", 'o\'neil "x"', "a.b", "<b>", "x.."])
def test_names_that_mlflow_takes(name: str) -> None:
    assert problem_of_name(name) is None


@pytest.mark.parametrize("name", ["a/b", "a:b", ".", "..", "../x", "..x", "models:/x", "/"])
def test_names_that_it_does_not_take_have_one_that_it_does(name: str) -> None:
    assert problem_of_name(name)
    assert problem_of_name(fitting_model_name(name)) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a/b", "a:b", ".", "..", "..x", "a.b", "<b>", 'o\'neil "x"', "x..", "a..b"])
def test_mlflow_itself_says_the_same_of_a_name(name: str) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.utils.validation import _validate_model_name

    try:
        _validate_model_name(name)
        is_taken = True
    except MlflowException:
        is_taken = False
    assert (problem_of_name(name) is None) is is_taken
