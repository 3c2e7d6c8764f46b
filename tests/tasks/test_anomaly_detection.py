from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from hpsearch.errors import DataError
from hpsearch.models.autoencoder import Reconstruction
from hpsearch.tasks import prepared
from hpsearch.tasks.anomaly_detection import AnomalyDetection, AnomalyMeasure, split_normal
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source, read
from hpsearch.trial import Objective, TrialKind, TrialState

AUROC = Objective("val_auroc", "maximize")


def task(normal, shares=None, source=None, **given):
    return AnomalyDetection(
        source or Source("builtin", "digits"), shares or Shares(0.2, 0.2, 0), (AUROC,), model="autoencoder", normal=normal, **given
    )


def test_training_has_normal_rows_alone_and_each_row_is_somewhere(tmp_path):
    made = task([0, 1])
    made.prepare(tmp_path)
    search, test = prepared.load_search(made.prepared.folder), prepared.load_test(made.prepared.folder)
    assert set(search.targets["train"]) == {0}
    rows = made.meta["rows"]
    assert sum(rows.values()) == 1797
    anomalies = {"train": 0, "validation": int(search.targets["validation"].sum()), "test": int(test.targets["test"].sum())}
    assert made.meta["anomalies"] == anomalies
    assert sum(anomalies.values()) == 1797 - 360  # digits has 178 zeros and 182 ones
    assert abs(anomalies["validation"] - anomalies["test"]) <= 1


def test_without_a_test_split_all_anomalies_are_for_validation():
    anomalous = np.array([0] * 20 + [1] * 7)
    split = split_normal(anomalous, Shares(0.25, 0.0, 0))
    assert len(split.test) == 0
    assert anomalous[split.validation].sum() == 7
    assert anomalous[split.train].sum() == 0


@pytest.mark.slow
def test_finds_what_it_has_never_seen(tmp_path, train):
    made = task([0, 1, 2, 3, 4], epochs=10)
    made.prepare(tmp_path)
    outcome, metrics = train(made, {"learning_rate": 0.005, "bottleneck": 16}, until=10)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    assert metrics[-1]["val_auroc"] > 0.85


def test_test_rows_change_nothing_that_a_search_sees(tmp_path):
    random = np.random.default_rng(0)
    kinds = np.array([0] * 40 + [1] * 10)
    test = split_normal(kinds, Shares(0.2, 0.2, 0)).test
    frame = pd.DataFrame({"a": random.standard_normal(50), "b": random.standard_normal(50), "y": kinds})
    other = frame.copy()
    other.loc[test, ["a", "b"]] *= 1000
    seen = []
    for name, each in (("a.csv", frame), ("b.csv", other)):
        each.to_csv(tmp_path / name, index=False)
        made = task([0], source=Source("csv", str(tmp_path / name), "y"))
        made.prepare(tmp_path / "prepared")
        seen.append((prepared.load_search(made.prepared.folder).inputs, made.meta["mean"], made.meta["deviation"]))
    for split in ("train", "validation"):
        np.testing.assert_array_equal(seen[0][0][split], seen[1][0][split])
    assert seen[0][1:] == seen[1][1:]


def test_a_published_test_set_stays_one():
    table = read(Source("builtin", "digits"))
    published = np.arange(1500, 1797)
    encoded = task([0, 1]).encode(replace(table, test_rows=published))
    assert len(encoded.test.inputs["test"]) == 297
    assert encoded.search.targets["train"].sum() == 0
    assert encoded.search.targets["validation"].sum() == (table.target[:1500] > "1").sum()
    zeros = np.flatnonzero(table.target == "0")
    with pytest.raises(DataError, match="published test set has only normal rows"):
        task([0, 1]).encode(replace(table, test_rows=zeros))


def test_a_re_test_is_measured_on_the_test_split_after_its_last_step(tmp_path, train):
    made = task([0, 1, 2, 3, 4])
    made.prepare(tmp_path)
    _, metrics = train(made, until=2, kind=TrialKind.RETEST)
    assert not any(name.startswith("test_") for name in metrics[0])
    assert {name for name in metrics[1] if name.startswith("test_")} == {"test_loss", "test_auroc", "test_average_precision"}


class Zero(nn.Module):
    def forward(self, x):
        return Reconstruction(torch.zeros_like(x), x, None)


def test_measures_are_those_of_scikit_learn():
    inputs = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    anomalous = torch.arange(50) % 3 == 0
    scores = (inputs**2).mean(1).numpy()
    measured = AnomalyMeasure(inputs, anomalous.long(), "val_")(Zero())
    assert measured == pytest.approx(
        {
            "val_loss": scores[~anomalous.numpy()].mean(),
            "val_auroc": roc_auc_score(anomalous, scores),
            "val_average_precision": average_precision_score(anomalous, scores),
        }
    )


@pytest.mark.parametrize(
    ("normal", "said"),
    [
        ([], "say which values of target 'y' are normal, as in `normal: [0]`; it has 0, 1, 2"),
        ([11], "normal: unknown value of target 'y' '11'"),
        (list(range(10)), "are normal, and nothing is left to be found"),
    ],
)
def test_says_what_is_wrong(tmp_path, normal, said):
    with pytest.raises(DataError) as error:
        task(normal).prepare(tmp_path)
    assert said in str(error.value)


def test_a_single_anomaly_cannot_be_divided():
    with pytest.raises(DataError, match="1 anomalous rows cannot be divided between validation and test"):
        split_normal(np.array([0] * 30 + [1]), Shares(0.2, 0.2, 0))
