import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as theirs
from torch import nn

from hpsearch.errors import DataError, InputError
from hpsearch.tasks import prepared
from hpsearch.tasks.classification import Classification
from hpsearch.tasks.labels import AT_ONCE, SCORES, LabelMeasure
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source
from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.trial import Objective, TrialKind, TrialState

ACCURACY = Objective("val_accuracy", "maximize")


def task(source=None, shares=None, **given):
    given.setdefault("objectives", (ACCURACY,))
    return Classification(source or Source("builtin", "iris"), shares or Shares(0.2, 0.2, 0), **given)


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris"])
def test_learns_every_built_in_set(tmp_path, train, name):
    made = task(Source("builtin", name), epochs=20)
    made.prepare(tmp_path)
    outcome, metrics = train(made, {"learning_rate": 0.01}, until=20)
    assert outcome.state is TrialState.COMPLETED
    assert set(metrics[0]) - set(DIAGNOSTIC_METRICS) == {"train_loss", "val_loss", "val_accuracy"}
    assert metrics[-1]["val_accuracy"] > 0.9


def test_only_a_re_test_sees_the_test_split_and_only_at_its_end(tmp_path, train):
    made = task(epochs=3, metrics=("val_f1",))
    made.prepare(tmp_path)
    _, searched = train(made)
    _, tested = train(made, kind=TrialKind.RETEST)
    assert [{name for name in step if name.startswith("test_")} for step in tested] == [
        set(),
        set(),
        {"test_loss", "test_accuracy", "test_f1"},
    ]
    assert [{name: value for name, value in step.items() if not name.startswith("test_")} for step in tested] == searched


def test_the_test_split_is_measured_at_the_step_that_counts(tmp_path, train):
    """A network that over-fits is examined as it was at its best, and goes on as it is."""
    at_best = (Objective("val_loss", "minimize", at="best"),)
    parameters = {"learning_rate": 0.05, "hidden_units": 64}

    def retested(objectives, until):
        made = task(Source("builtin", "wine"), epochs=15, objectives=objectives)
        made.prepare(tmp_path)
        return train(made, parameters, until=until, kind=TrialKind.RETEST)[1]

    steps = retested(at_best, 15)
    counts = min(range(15), key=lambda i: steps[i]["val_loss"]) + 1
    assert counts < 15, "else this shows nothing"
    last = retested((Objective("val_loss", "minimize"),), 15)[-1]
    there = retested((Objective("val_loss", "minimize"),), counts)[-1]
    assert steps[-1]["test_loss"] == there["test_loss"] != last["test_loss"]
    assert {k: v for k, v in steps[-1].items() if "test" not in k} == {k: v for k, v in last.items() if "test" not in k}


def test_prepares_splits_standardised_on_training_alone(tmp_path):
    made = task(Source("builtin", "wine"))
    made.prepare(tmp_path)
    data = prepared.load_search(made.prepared.folder)
    assert made.meta["rows"] == {"train": 106, "validation": 36, "test": 36}
    np.testing.assert_allclose(data.inputs["train"].mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(data.inputs["train"].std(axis=0), 1, atol=1e-5)
    assert abs(data.inputs["validation"].mean(axis=0)).max() > 1e-3
    assert made.meta["class_counts"] == [59, 71, 48]
    assert json.loads((made.prepared.folder / "meta.json").read_text())["digest"] == made.data_digest


def test_prepared_twice_is_prepared_once_and_other_splits_are_apart(tmp_path):
    first, again, other = task(), task(), task(shares=Shares(0.2, 0.2, 1))
    for each in (first, again, other):
        each.prepare(tmp_path)
    assert first.prepared == again.prepared
    assert other.prepared.folder != first.prepared.folder
    assert other.data_digest == first.data_digest


def test_pickles_small(tmp_path):
    made = task(Source("builtin", "digits"))
    made.prepare(tmp_path)
    assert len(pickle.dumps(made)) < 10_000
    assert pickle.loads(pickle.dumps(made)).static_metrics({}) == made.static_metrics({})


def test_counts_parameters_without_training(tmp_path):
    made = task()
    made.prepare(tmp_path)
    assert made.static_metrics({"hidden_units": 10, "num_layers": 1}) == {"parameters": 4 * 10 + 10 + 10 * 3 + 3}
    with pytest.raises(InputError, match="hidden_units must be"):
        made.static_metrics({"hidden_units": 0})


def csv(tmp_path, y):
    pd.DataFrame({"a": np.arange(len(y)), "y": y}).to_csv(tmp_path / "data.csv", index=False)
    return task(Source("csv", str(tmp_path / "data.csv"), "y"))


def test_labels_of_any_kind(tmp_path):
    for y, classes in [
        (["no", "yes"] * 10, ["no", "yes"]),
        ([7, 3] * 10, [3, 7]),
        ([0.0, 2.0] * 10, [0, 2]),
        ([True, False] * 10, [False, True]),
    ]:
        made = csv(tmp_path, y)
        made.prepare(tmp_path / "prepared")
        assert made.meta["classes"] == classes
        assert made.outputs == 2


@pytest.mark.parametrize(
    ("y", "said"),
    [
        ([1] * 20, "target 'y' has one class only, 1"),
        (np.linspace(0, 1, 20), "target 'y' is continuous"),
        ([0] * 18 + [1] * 2, "class '1' has 2 rows"),
    ],
)
def test_refuses_what_cannot_be_classified(tmp_path, y, said):
    with pytest.raises(DataError, match=said):
        csv(tmp_path, y).prepare(tmp_path / "prepared")
    assert not (tmp_path / "prepared").exists()


class Fixed(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, _):
        return self.outputs


@pytest.mark.parametrize("classes", [2, 4])
def test_measures_are_those_of_scikit_learn(classes):
    outputs = torch.randn(60, classes, generator=torch.Generator().manual_seed(0)).double()
    targets = torch.arange(60) % classes
    measured = LabelMeasure(torch.zeros(60, 1), targets, tuple(SCORES))(Fixed(outputs))
    probabilities, guesses = outputs.softmax(1).numpy(), outputs.argmax(1).numpy()
    scores = probabilities[:, 1] if classes == 2 else probabilities
    assert measured == pytest.approx(
        {
            "val_loss": theirs.log_loss(targets, probabilities),
            "val_accuracy": theirs.accuracy_score(targets, guesses),
            "val_balanced_accuracy": theirs.balanced_accuracy_score(targets, guesses),
            "val_f1": theirs.f1_score(targets, guesses, average="macro"),
            "val_auroc": theirs.roc_auc_score(targets, scores, multi_class="ovr"),
        }
    )


class Doubled(nn.Module):
    """Notes how many examples it was given each time."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, x):
        self.seen.append(len(x))
        return 2 * x


def test_a_large_split_is_measured_in_parts():
    outputs = torch.randn(2 * AT_ONCE + 1, 3, generator=torch.Generator().manual_seed(0)).double()
    targets, model = torch.arange(len(outputs)) % 3, Doubled()
    measured = LabelMeasure(outputs, targets, ("auroc",))(model)
    assert model.seen == [AT_ONCE, AT_ONCE, 1]
    probabilities = (2 * outputs).softmax(1).numpy()
    assert measured == pytest.approx(
        {
            "val_loss": theirs.log_loss(targets, probabilities),
            "val_accuracy": theirs.accuracy_score(targets, probabilities.argmax(1)),
            "val_auroc": theirs.roc_auc_score(targets, probabilities, multi_class="ovr"),
        }
    )


def test_extra_metrics_come_when_asked_for_and_are_nan_when_the_loss_is(tmp_path, train):
    made = task(metrics=("val_f1",), objectives=(ACCURACY, Objective("val_auroc", "maximize")))
    made.prepare(tmp_path)
    _, metrics = train(made)
    assert set(metrics[0]) - set(DIAGNOSTIC_METRICS) == {"train_loss", "val_loss", "val_accuracy", "val_f1", "val_auroc"}
    measured = LabelMeasure(torch.zeros(4, 1), torch.arange(4) % 2, ("f1",))(Fixed(torch.full((4, 2), float("nan"))))
    assert np.isnan(measured["val_f1"])


def test_balanced_class_weights_count_each_class_the_same(tmp_path, train):
    """One class is nine times as frequent and the inputs say nothing: unweighted, the network learns 0.9; balanced, 0.5.

    One row is another, as it is refused to train where all are alike.
    """
    rows = np.arange(200)
    pd.DataFrame({"a": (rows == 17).astype(float), "y": (rows % 10 == 0).astype(int)}).to_csv(tmp_path / "d.csv", index=False)
    made = task(Source("csv", str(tmp_path / "d.csv"), "y"), epochs=30)
    made.prepare(tmp_path)
    final = {}
    for weights in ("none", "balanced"):
        _, metrics = train(made, {"class_weights": weights, "learning_rate": 0.01, "num_layers": 0, "batch_size": 1000}, until=300)
        final[weights] = metrics[-1]["val_loss"]
    assert final["none"] == pytest.approx(-(0.9 * np.log(0.9) + 0.1 * np.log(0.1)), abs=0.01)
    assert final["balanced"] == pytest.approx(np.log(2), abs=0.02)


def test_label_smoothing_bounds_the_training_loss_from_below(tmp_path, train):
    made = task(epochs=30)
    made.prepare(tmp_path)
    _, metrics = train(made, {"label_smoothing": 0.3, "learning_rate": 0.01}, until=30)
    entropy = -(0.8 * np.log(0.8) + 2 * 0.1 * np.log(0.1))
    assert metrics[-1]["train_loss"] > entropy


def test_early_stopping_looks_at_the_objective(tmp_path, train):
    made = task(patience=1, epochs=50)
    made.prepare(tmp_path)
    outcome, metrics = train(made, {"learning_rate": 1e-9}, until=50)
    assert outcome.reason.startswith("early stopping: val_accuracy")
    assert len(metrics) == 2
