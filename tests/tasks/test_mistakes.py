"""What a re-test gets wrong is counted as scikit-learn counts it, and agrees with the metrics that it reports."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix

from hpsearch.tasks import mistakes
from hpsearch.tasks.classification import Classification
from hpsearch.tasks.clustering import Clustering
from hpsearch.tasks.forecasting import Forecasting
from hpsearch.tasks.mistakes import MOST_PAIRS, Confusion, Residuals
from hpsearch.tasks.regression import Regression
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source
from hpsearch.tasks.text_classification import TextClassification
from hpsearch.trial import Objective, TrialKind, TrialState

RANDOM = np.random.default_rng(0)


def left(tmp_path: Path, train, made, parameters=None, kind=TrialKind.RETEST):
    """(what the training left, its last metrics)"""
    made.prepare(tmp_path / "prepared")
    outcome, metrics = train(made, parameters, until=2, kind=kind)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    found = [path.parent for path in tmp_path.rglob(mistakes.FILE)]
    return (mistakes.read(found[0]) if found else None), metrics[-1]


def test_pairs_of_classes_are_counted_as_scikit_learn_counts_them():
    true, predicted = RANDOM.integers(0, 4, 500), RANDOM.integers(0, 4, 500)
    found = Confusion.of("test", ["a", "b", "c", 3], true, predicted)
    np.testing.assert_array_equal(found.counts, confusion_matrix(true, predicted))
    assert found.classes == ("a", "b", "c", "3")


@pytest.mark.parametrize(("test", "split"), [(0.2, "test"), (0.0, "validation")])
def test_a_classifications_agree_with_its_accuracy_on_what_the_search_has_not_seen(tmp_path, train, test, split):
    made = Classification(Source("builtin", "iris"), Shares(0.2, test, 0), (Objective("val_accuracy", "maximize"),))
    found, metrics = left(tmp_path, train, made, {"learning_rate": 0.02})
    counts = np.array(found.counts)
    assert (found.split, counts.sum()) == (split, 30)
    assert metrics[f"{'test' if split == 'test' else 'val'}_accuracy"] == pytest.approx(np.trace(counts) / counts.sum())
    assert counts.sum(axis=1).tolist() == [10, 10, 10]


def test_a_search_leaves_none(tmp_path, train):
    made = Classification(Source("builtin", "iris"), Shares(0.2, 0.2, 0), (Objective("val_accuracy", "maximize"),))
    assert left(tmp_path, train, made, kind=TrialKind.SEARCH)[0] is None


def test_a_text_classifications(tmp_path, train):
    made = TextClassification(Source("builtin", "reviews"), Shares(0.2, 0.2, 0), (Objective("val_accuracy", "maximize"),), model="cnn")
    found, metrics = left(tmp_path, train, made, {"channels": 4, "embedding_size": 4})
    assert metrics["test_accuracy"] == pytest.approx(np.trace(found.counts) / np.sum(found.counts))


def test_a_regressions_are_in_the_targets_own_units(tmp_path, train):
    made = Regression(Source("builtin", "diabetes"), Shares(0.2, 0.2, 0), (Objective("val_rmse", "minimize"),))
    found, metrics = left(tmp_path, train, made)
    errors = np.array(found.predicted) - np.array(found.true)
    assert metrics["test_rmse"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-4)
    assert 25 <= min(found.true) < max(found.true) <= 346, "of the published data"


def test_a_forecasts_are_of_the_first_step_ahead(tmp_path, train):
    series = np.sin(np.arange(200) / 5) * 30 + 100
    pd.DataFrame({"load": series}).to_csv(tmp_path / "series.csv", index=False)
    made = Forecasting(
        Source("csv", str(tmp_path / "series.csv"), "load"), Shares(0.2, 0.2, 0), (Objective("val_rmse", "minimize"),), horizon=3
    )
    found, _ = left(tmp_path, train, made, {"window": 8})
    np.testing.assert_allclose(found.true, series[160:198], rtol=1e-4)
    assert (found.target, found.split) == ("load", "test")


def test_a_task_without_such_a_picture_leaves_none(tmp_path, train):
    made = Clustering(Source("builtin", "iris"), Shares(0.2, 0.2, 0), (Objective("val_nmi", "maximize"),), model="autoencoder")
    assert left(tmp_path, train, made)[0] is None


def test_of_very_many_numbers_some_are_kept_from_first_to_last():
    true = np.arange(100_000.0)
    found = Residuals.of("test", "y", true, true + 1)
    assert (len(found.true), found.true[0], found.true[-1]) == (MOST_PAIRS, 0, 99_999)
    assert set(np.subtract(found.predicted, found.true)) == {1}


@pytest.mark.parametrize(
    "found", [Confusion("test", ("<b>", "b"), ((1, 0), (2, 3))), Residuals("validation", "y", (1.0,), (float("inf"),))]
)
def test_what_is_written_is_read(tmp_path, found):
    (tmp_path / mistakes.FILE).write_text(mistakes.to_json(found))
    assert mistakes.read(tmp_path) == found


GOOD = json.loads(mistakes.to_json(Confusion("test", ("a", "b"), ((1, 0), (2, 3)))))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "null", "{}", "\xff", "[" * 100_000, '{"kind": "other"}', '{"kind": []}', '{"kind": "confusion"}',
        json.dumps(GOOD | {"more": 1}), json.dumps(GOOD | {"counts": [[1]]}), json.dumps(GOOD | {"counts": [[1, "2"], [3, 4]]}),
        json.dumps(GOOD | {"counts": [[1, -2], [3, 4]]}), json.dumps(GOOD | {"counts": 3}), json.dumps(GOOD | {"classes": [1, 2]}),
        json.dumps(GOOD | {"split": 3}), json.dumps({"kind": "residuals", "split": "test", "target": "y", "true": ["a"], "predicted": [1]}),
        json.dumps({"kind": "residuals", "split": "test", "target": "y", "true": [1], "predicted": []}),
    ],
)  # fmt: skip
def test_what_is_something_else_is_left_alone(tmp_path, text):
    (tmp_path / mistakes.FILE).write_text(text, encoding="latin-1")
    assert mistakes.read(tmp_path) is None


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").write_text(json.dumps(GOOD))
    (tmp_path / mistakes.FILE).symlink_to(tmp_path / "elsewhere")
    assert mistakes.read(tmp_path) is None
