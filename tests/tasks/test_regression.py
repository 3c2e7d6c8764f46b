import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics as theirs
from torch import nn

from hpsearch.errors import DataError
from hpsearch.tasks import prepared
from hpsearch.tasks.regression import Regression, RegressionMeasure
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source
from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.trial import Objective

RMSE = Objective("val_rmse", "minimize")


def task(source):
    return Regression(source, Shares(0.15, 0.15, 0), (RMSE,))


def test_learns_diabetes(tmp_path, train):
    made = task(Source("builtin", "diabetes"))
    made.prepare(tmp_path)
    _, metrics = train(made, {"hidden_units": 32}, until=20)
    assert set(metrics[0]) - set(DIAGNOSTIC_METRICS) == {"train_loss", "val_loss", "val_mse", "val_rmse", "val_mae", "val_r2"}
    assert metrics[-1]["val_r2"] > 0.3
    assert 40 < metrics[-1]["val_rmse"] < 75


class Fixed(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, _):
        return self.outputs


def test_measures_are_those_of_scikit_learn_in_the_targets_units():
    generator = torch.Generator().manual_seed(0)
    outputs, targets = (torch.randn(40, 1, generator=generator).double() for _ in range(2))
    deviation, mean = 25.0, 100.0
    measured = RegressionMeasure(torch.zeros(40, 1), targets, deviation)(Fixed(outputs))
    guessed, true = (tensor.numpy() * deviation + mean for tensor in (outputs, targets))
    assert measured == pytest.approx(
        {
            "val_loss": theirs.mean_squared_error(targets, outputs),
            "val_mse": theirs.mean_squared_error(true, guessed),
            "val_rmse": theirs.root_mean_squared_error(true, guessed),
            "val_mae": theirs.mean_absolute_error(true, guessed),
            "val_r2": theirs.r2_score(true, guessed),
        }
    )


def test_targets_are_standardised_on_training(tmp_path):
    made = task(Source("builtin", "diabetes"))
    made.prepare(tmp_path)
    targets = prepared.load_search(made.prepared.folder).targets
    assert targets["train"].shape == (made.meta["rows"]["train"], 1)
    assert targets["train"].mean() == pytest.approx(0, abs=1e-5)
    assert targets["train"].std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("y", "said"),
    [
        (["low", "high"] * 10, "target 'y' is not numeric .it holds 'low'.; use `kind: classification`"),
        ([2.5] * 20, "target 'y' is constant .2.5."),
        ([1, 2, 3], "3 rows cannot be split"),
    ],
)
def test_refuses_what_cannot_be_predicted(tmp_path, y, said):
    pd.DataFrame({"a": np.arange(len(y)), "y": y}).to_csv(tmp_path / "data.csv", index=False)
    with pytest.raises(DataError, match=said):
        task(Source("csv", str(tmp_path / "data.csv"), "y")).prepare(tmp_path / "prepared")
