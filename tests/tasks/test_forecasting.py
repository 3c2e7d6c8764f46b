import itertools

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error
from torch import nn

from hpsearch.errors import DataError
from hpsearch.tasks import prepared
from hpsearch.tasks.forecasting import Forecasting, ForecastMeasure, seasonal_naive
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.synthetic import seasons
from hpsearch.tasks.tables import Source
from hpsearch.trial import Objective, TrialState

SKILL = Objective("val_skill", "maximize")
FRAME = pd.DataFrame({"date": pd.date_range("2026-01-01", periods=60).astype(str), "load": np.arange(60.0), "wind": np.arange(60) % 7 / 3})


def task(source=None, **given):
    return Forecasting(source or Source("builtin", "seasons"), Shares(0.2, 0.2, 0), (SKILL,), model="mlp", **given)


def csv(tmp_path, frame=FRAME, target="load", **given):
    frame.to_csv(tmp_path / "series.csv", index=False)
    return task(Source("csv", str(tmp_path / "series.csv"), target), time="date", **given)


def unscaled(made, values, column=0):
    scale = np.arange(36.0) if column == 0 else None
    return np.asarray(values) * scale.std() + scale.mean()


class Trial:
    def __init__(self, params):
        self.params = params


def test_windows_are_those_of_brute_force_and_predict_what_follows(tmp_path):
    made = csv(tmp_path, horizon=3)
    made.prepare(tmp_path / "prepared")
    series = torch.from_numpy(prepared.load_search(made.prepared.folder).inputs["train"])
    inputs, targets = made._windows(Trial({"window": 5}), series)
    assert inputs.shape == (36 - 5 - 3 + 1, 5, 2)
    for index in range(len(inputs)):
        assert torch.equal(inputs[index], series[index : index + 5])
        assert torch.equal(targets[index], series[index + 5 : index + 8, 0])


def test_the_splits_are_stretches_of_time_scaled_by_the_first(tmp_path):
    made = csv(tmp_path, FRAME.sample(frac=1, random_state=0))
    made.prepare(tmp_path / "prepared")
    search, test = prepared.load_search(made.prepared.folder), prepared.load_test(made.prepared.folder)
    whole = np.concatenate([search.inputs["train"], search.inputs["validation"], test.inputs["test"]])[:, 0]
    np.testing.assert_allclose(unscaled(made, whole), np.arange(60), rtol=1e-5, atol=1e-4)
    assert [len(part) for part in (search.inputs["train"], search.inputs["validation"], test.inputs["test"])] == [36, 12, 12]
    assert made.meta["features"] == ["load", "wind"]


@pytest.mark.parametrize(("season", "horizon"), [(1, 1), (1, 4), (5, 3), (3, 7)])
def test_the_naive_forecast_repeats_the_last_season(season, horizon):
    past = torch.arange(40.0)
    naive = seasonal_naive(past, 10, horizon, season)
    for window in range(10):
        for step in range(horizon):
            at = season + window + step
            while at >= season + window:
                at -= season
            assert naive[window, step] == past[at]


class Fixed(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.outputs = outputs

    def forward(self, _):
        return self.outputs


def test_measures_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    predicted, targets, naive = (torch.randn(20, 4, generator=generator) for _ in range(3))
    measured = ForecastMeasure(torch.zeros(20, 1), targets, naive, 3.0, "val_")(Fixed(predicted))
    mse = mean_squared_error(targets, predicted)
    assert measured == pytest.approx(
        {
            "val_loss": mse,
            "val_mae": 3 * mean_absolute_error(targets, predicted),
            "val_rmse": 3 * mse**0.5,
            "val_skill": 1 - (mse / mean_squared_error(targets, naive)) ** 0.5,
        },
        rel=1e-5,
    )


@pytest.mark.slow
def test_beats_the_naive_forecast(tmp_path, train):
    made = task(epochs=5, horizon=6, season=24)
    made.prepare(tmp_path)
    outcome, metrics = train(made, {"window": 24, "learning_rate": 0.005}, until=5)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    assert metrics[-1]["val_skill"] > 0.2


def test_the_made_series_is_always_the_same():
    np.testing.assert_array_equal(seasons(), seasons())
    assert np.corrcoef(seasons()[:-24, 0], seasons()[24:, 0])[0, 1] > 0.4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"date": ["2026-01-01"] * 60}, "'2026-01-01' in data row 2 was there before; it must hold numbers or ISO dates"),
        ({"date": ["soon", *FRAME["date"][1:]]}, "'soon' in data row 1 is no moment"),
        ({"wind": [np.nan, *FRAME["wind"][1:]]}, "column 'wind' has 1 missing or infinite values of 60"),
        ({"wind": ["calm"] * 60}, "column 'wind' is not numeric (it holds 'calm'); leave it out"),
        ({"load": 1.0}, "target 'load' is constant in the training stretch"),
    ],
)
def test_says_what_is_wrong(tmp_path, change, said):
    with pytest.raises(DataError) as error:
        csv(tmp_path, FRAME.assign(**change)).prepare(tmp_path / "prepared")
    assert said in str(error.value)


def test_a_window_longer_than_the_series_says_so(tmp_path, train):
    made = csv(tmp_path)
    made.prepare(tmp_path / "prepared")
    outcome, _ = train(made, {"window": 36}, until=1)
    assert outcome.state is TrialState.FAILED
    assert "window: 36 steps and 1 to predict do not fit twice into 36 steps" in outcome.reason


def warnings_of(tmp_path, frame, **given):
    made = csv(tmp_path, frame, **given)
    made.prepare(tmp_path / "prepared")
    return list(made.warnings)


@pytest.mark.parametrize("frequency", ["D", "MS", "QS", "YS", "30min"])
def test_even_steps_of_time_are_passed_in_silence(tmp_path, frequency):
    dates = pd.date_range("2020-01-01", periods=60, freq=frequency)
    assert warnings_of(tmp_path, FRAME.assign(date=dates.astype(str))) == []
    assert warnings_of(tmp_path, FRAME.assign(date=dates.tz_localize("Europe/Berlin").astype(str))) == []


def test_missing_steps_of_time_are_counted_in_any_order_of_the_file(tmp_path):
    dates = pd.date_range("2024-01-01", periods=63, freq="D").delete([10, 11, 30])
    (found,) = warnings_of(tmp_path, FRAME.assign(date=dates.astype(str)).sample(frac=1, random_state=0))
    assert found.startswith("steps of time that are far from the usual 1 d: 2 of 59 (the first, after 2024-01-10, is 3 d);")
    business = pd.date_range("2024-01-01", periods=60, freq="B")
    weekends = sum((b - a).days > 1 for a, b in itertools.pairwise(business))
    (found,) = warnings_of(tmp_path, FRAME.assign(date=business.astype(str)))
    assert f"usual 1 d: {weekends} of 59 (the first, after 2024-01-05, is 3 d)" in found
    (found,) = warnings_of(tmp_path, FRAME.assign(date=[*range(30), *range(31, 61)]))
    assert "usual 1: 1 of 59 (the first, after 29, is 2)" in found


def test_a_column_and_a_stretch_that_stand_still(tmp_path):
    load = np.concatenate([np.arange(36.0), np.full(24, 7.0)])
    assert warnings_of(tmp_path, FRAME.assign(load=load, wind=1.5)) == [
        "column 'wind': constant, so that nothing can be learned from it; leave it out",
        "target 'load' is constant in the validation split (7) and the test split (7): skill is 0 there, whatever is predicted",
    ]
