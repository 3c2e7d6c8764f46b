"""Forecasting: the next steps of a series from a window of those before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, InputError
from hpsearch.models.hyperparameter import complete
from hpsearch.models.inputs import Inputs
from hpsearch.tasks.answers import Answer, Numbers
from hpsearch.tasks.data_task import PREFIX, Data, DataTask, Encoded
from hpsearch.tasks.findings import constant_columns, find_still
from hpsearch.tasks.forms import Column, Form, Steps, make_frame
from hpsearch.tasks.hyperparameters import FORECASTING_HYPERPARAMETERS
from hpsearch.tasks.mistakes import Mistakes, Residuals
from hpsearch.tasks.prepared import Arrays, Kept
from hpsearch.tasks.series import Series, find_uneven, read_series
from hpsearch.tasks.splits import Scale, Split
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.config import SweepConfig
    from hpsearch.tasks.predictor import Given
    from hpsearch.training.loop import Learner, Measure
    from hpsearch.training.trial import Trial

LONGEST = 100_000
"""Steps before the test that are kept as they were given: no window is longer."""


@dataclass
class Forecasting(DataTask[Series]):
    """Predicts `horizon` steps at once; trained on the mean squared error of the standardised target.

    The splits are three stretches of time, test last. A window may look back into an earlier stretch; what is predicted never lies in it.

    Args:
        horizon: steps.
        season: steps after which the naive forecast repeats what was.
        time: the column that orders the rows.
    """

    kind = "forecasting"

    horizon: int = 1
    season: int = 1
    time: str | None = None

    @classmethod
    def from_config(cls, config: SweepConfig) -> Self:
        task = config.task
        time = None if isinstance(task.data, str) or task.data is None else task.data.time
        return replace(super().from_config(config), horizon=task.horizon or 1, season=task.season or 1, time=time)

    @property
    def outputs(self) -> int:
        return self.horizon

    def depends_on(self) -> list[Json]:
        return [*super().depends_on(), self.time]

    def inputs(self, parameters: Mapping[str, Json]) -> Inputs:
        window: int = complete(FORECASTING_HYPERPARAMETERS, parameters)["window"]
        columns: int = self.meta["inputs"]["shape"][1]
        return Inputs("sequence", (window, columns))

    def read(self) -> Series:
        return read_series(self.source, self.time)

    def encode(self, raw: Series) -> Encoded:
        """Each split is a stretch of the standardised series, (steps, columns); windows are cut when it is known how long they are."""
        cuts = _cuts(len(raw.values), self.shares.validation, self.shares.test)
        scale = Scale.fit(raw.values[: cuts[0]], "rows")
        if float(np.ptp(raw.values[: cuts[0], 0])) == 0:
            raise DataError(f"target {raw.names[0]!r} is constant in the training stretch: there is nothing to predict")
        parts = np.split(scale.apply(raw.values), cuts)
        splits = dict(zip(("train", "validation", "test"), parts, strict=True))
        warnings = constant_columns(raw.names, raw.values, np.arange(cuts[0]))
        warnings += find_still(raw.names[0], raw.values[:, 0], Split(*np.split(np.arange(len(raw.values)), cuts)), "skill")
        warnings += find_uneven(raw.moments) if raw.moments is not None else []
        meta = {
            "inputs": Inputs("sequence", (1, len(raw.names))).to_json(),
            "features": list(raw.names),
            "target_mean": float(scale.mean[0]),
            "target_deviation": float(scale.deviation[0]),
            "rows": {name: len(part) for name, part in splits.items()},
        }
        columns = tuple(map(Column, raw.names, raw.types))
        seen = make_frame(
            [(column.name, column.type, raw.values[max(0, cuts[1] - LONGEST) : cuts[1], i]) for i, column in enumerate(columns)]
        )
        return Encoded(meta, *Arrays(splits, {}).parts(), Kept(Steps(columns, scale, 1).to_json(), seen), warnings)

    def form(self, parameters: Mapping[str, Json], kept: Json) -> Form:
        return replace(Steps.from_json(kept), window=self.inputs(parameters).shape[0])

    def example(self, parameters: Mapping[str, Json], kept: Given, data: Data) -> tuple[Given, torch.Tensor]:
        """The last window before the test."""
        window = self.inputs(parameters).shape[0]
        assert not isinstance(kept, np.ndarray), "a series is kept as a table"
        return kept[-window:].reset_index(drop=True), _joined(data.inputs["train"], data.inputs["validation"])[-window:][None]

    def answer(self, parameters: Mapping[str, Json], kept: Json, model: nn.Module, data: Data) -> Answer:
        return Numbers(self.meta["target_mean"], self.meta["target_deviation"])

    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        from hpsearch.training.loop import Lesson, Student

        inputs, targets = self._windows(trial, data.inputs["train"])
        return Student(trial, model, Lesson(inputs, targets, _loss, self.epochs))

    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        inputs, targets = self._windows(trial, self._with_past(data, split, self._window(trial)))
        past = self._with_past(data, split, max(self.season, 1))[:, 0]
        naive = seasonal_naive(past, len(targets), self.horizon, self.season)
        return ForecastMeasure(inputs, targets, naive, self.meta["target_deviation"], PREFIX[split])

    def mistakes(self, trial: Trial, model: nn.Module, data: Data, split: str) -> Mistakes | None:
        """Of the first step ahead."""
        inputs, targets = self._windows(trial, self._with_past(data, split, self._window(trial)))
        mean, deviation = self.meta["target_mean"], self.meta["target_deviation"]
        true, predicted = (values[:, 0].double().cpu().numpy() * deviation + mean for values in (targets, model(inputs)))
        return Residuals.of(split, self.meta["features"][0], true, predicted)

    def _with_past(self, data: Data, split: str, steps: int) -> torch.Tensor:
        """A split's stretch, and so many steps before it."""
        before = data.inputs["train"] if split == "validation" else _joined(data.inputs["train"], data.inputs["validation"])
        return _joined(before[-steps:], data.inputs[split])

    def _window(self, trial: Trial) -> int:
        return self.inputs(trial.params).shape[0]

    def _windows(self, trial: Trial, series: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(windows, window, columns) and (windows, horizon) of a series (steps, columns)."""
        window = self._window(trial)
        count = len(series) - window - self.horizon + 1
        if count < 2:
            raise InputError(
                f"window: {window} steps and {self.horizon} to predict do not fit twice into {len(series)} steps; "
                "give more data, a smaller window or a smaller horizon"
            )
        inputs = series[: len(series) - self.horizon].unfold(0, window, 1).transpose(1, 2).contiguous()
        return inputs, series[window:, 0].unfold(0, self.horizon, 1).contiguous()


def _joined(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([first, second])


def _loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    return functional.mse_loss(model(x), y)


def _cuts(steps: int, validation: float, test: float) -> list[int]:
    """Where validation and test begin."""
    for_validation, for_test = round(steps * validation), round(steps * test)
    if min(for_validation, steps - for_validation - for_test) < 2:
        raise DataError(f"{steps} steps are too few for {for_validation} of validation and {for_test} of test; give more data")
    return [steps - for_validation - for_test, steps - for_test]


def seasonal_naive(past: torch.Tensor, windows: int, horizon: int, season: int) -> torch.Tensor:
    """(windows, horizon): what was a season before, or so many seasons as it takes for it to be known.

    Args:
        past: (season + steps,); window `i` predicts steps `season + i` and following.

    Reference: Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", section 5.2.
    """
    import torch

    ahead = torch.arange(horizon, device=past.device) % season
    return past[torch.arange(windows, device=past.device)[:, None] + ahead[None, :]]


class ForecastMeasure:
    """Errors over all predicted steps, in the target's units but for the loss. `skill`: 0.3 is an RMSE 30 % under the naive one."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, naive: torch.Tensor, deviation: float, prefix: str) -> None:
        self.inputs = inputs
        self.targets = targets
        self.deviation = deviation
        self.prefix = prefix
        self.naive = _rmse(naive.cpu().numpy(), targets.cpu().numpy())

    def __call__(self, model: nn.Module) -> dict[str, float]:
        from sklearn.metrics import mean_absolute_error

        predicted, targets = model(self.inputs).cpu().numpy(), self.targets.cpu().numpy()
        measured = dict.fromkeys(("loss", "mae", "rmse", "skill"), float("nan"))
        if np.isfinite(predicted).all():
            rmse = _rmse(predicted, targets)
            mae = float(mean_absolute_error(targets, predicted)) * self.deviation
            skill = 1 - rmse / self.naive if self.naive > 0 else 0.0
            measured = {"loss": rmse**2, "mae": mae, "rmse": rmse * self.deviation, "skill": skill}
        return {self.prefix + name: value for name, value in measured.items()}


def _rmse(predicted: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    from sklearn.metrics import mean_squared_error

    return float(np.sqrt(mean_squared_error(targets, predicted)))
