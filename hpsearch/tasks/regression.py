"""Regression: a number for each row of a table, each image or each sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.tasks import tables
from hpsearch.tasks.answers import Answer, Numbers
from hpsearch.tasks.data_task import PREFIX, Data, DataTask, Encoded
from hpsearch.tasks.encoding import encode_inputs
from hpsearch.tasks.findings import examine, find_number_leaks, find_still
from hpsearch.tasks.mistakes import Mistakes, Residuals
from hpsearch.tasks.prepared import Arrays
from hpsearch.tasks.splits import Scale, split_rows
from hpsearch.tasks.tables import Table
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.training.loop import Learner, Measure
    from hpsearch.training.trial import Trial


class Regression(DataTask[Table]):
    """Predicts a number, standardised on the training split; the loss is the mean squared error."""

    kind = "regression"

    @property
    def outputs(self) -> int:
        return 1

    def read(self) -> Table:
        return tables.read(self.source)

    def encode(self, raw: Table) -> Encoded:
        """Targets are standardised, (rows, 1)."""
        target = _numbers(raw)
        split = split_rows(len(target), self.shares)
        if np.ptp(target[split.train]) == 0:
            raise DataError(f"target {raw.target_name!r} is constant in the training split ({target[split.train][0]:g}); give more data")
        scale = Scale.fit(target[split.train], "rows")
        targets = scale.apply(target)[:, None]
        warnings = [*examine(raw, split, target), *find_number_leaks(raw, target), *find_still(raw.target_name, target, split, "r2")]
        encoded = encode_inputs(raw, split)
        meta = {**encoded.meta, "target_mean": float(scale.mean), "target_deviation": float(scale.deviation)}
        splits = {"train": targets[split.train], "validation": targets[split.validation], "test": targets[split.test]}
        return Encoded(meta, *Arrays(encoded.splits, splits).parts(), encoded.kept, warnings)

    def answer(self, parameters: Mapping[str, Json], kept: Json, model: nn.Module, data: Data) -> Answer:
        return Numbers(self.meta["target_mean"], self.meta["target_deviation"])

    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        from hpsearch.training.loop import Lesson, Student

        return Student(trial, model, Lesson(data.inputs["train"], data.targets["train"], _loss, self.epochs))

    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        return RegressionMeasure(data.inputs[split], data.targets[split], self.meta["target_deviation"], PREFIX[split])

    def mistakes(self, trial: Trial, model: nn.Module, data: Data, split: str) -> Mistakes | None:
        mean, deviation = self.meta["target_mean"], self.meta["target_deviation"]
        both = (data.targets[split], model(data.inputs[split]))
        true, predicted = (values[:, 0].double().cpu().numpy() * deviation + mean for values in both)
        return Residuals.of(split, self.meta["target"], true, predicted)


def _loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    from torch.nn import functional

    return functional.mse_loss(model(x), y)


def _numbers(table: Table) -> NDArray[np.float64]:
    target: NDArray[Any] = table.labels
    if target.dtype.kind not in "biuf":
        raise DataError(f"target {table.target_name!r} is not numeric (it holds {target[0]!r}); use `kind: classification`")
    if target.min() == target.max():
        raise DataError(f"target {table.target_name!r} is constant ({target[0]:g}): there is nothing to predict")
    return target.astype(np.float64)


class RegressionMeasure:
    """Errors on a split: the loss of the standardised target, all else in the target's own units (mse squared)."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, deviation: float, prefix: str = "val_") -> None:
        self.inputs = inputs
        self.targets = targets
        self.deviation = deviation
        self.prefix = prefix
        self.variance = float(targets.double().var(correction=0))

    def __call__(self, model: nn.Module) -> dict[str, float]:
        difference = model(self.inputs) - self.targets
        loss = float(difference.square().mean())
        mse = loss * self.deviation**2
        mae = float(difference.abs().mean()) * self.deviation
        r2 = 1 - loss / self.variance if self.variance > 0 else 0.0  # as scikit-learn has it where the target does not vary
        measured = {"loss": loss, "mse": mse, "rmse": mse**0.5, "mae": mae, "r2": r2}
        return {self.prefix + name: value for name, value in measured.items()}
