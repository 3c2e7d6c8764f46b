"""Regression: a number for each row of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.tasks.splits import Scale, Split, split_rows
from hpsearch.tasks.supervised import Supervised, Tensors
from hpsearch.tasks.tables import Table
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.training.loop import Lesson
    from hpsearch.training.trial import Trial


class Regression(Supervised):
    """Predicts a number, standardised on the training split; the loss is the mean squared error."""

    kind = "regression"

    @property
    def outputs(self) -> int:
        return 1

    def encode(self, table: Table) -> tuple[NDArray[Any], Split, dict[str, Json]]:
        """Targets are standardised, (rows, 1)."""
        if table.target.dtype.kind not in "biuf":
            raise DataError(f"target {table.target_name!r} is not numeric (it holds {table.target[0]!r}); use `kind: classification`")
        target = table.target.astype(np.float64)
        if target.min() == target.max():
            raise DataError(f"target {table.target_name!r} is constant ({target[0]:g}): there is nothing to predict")
        split = split_rows(len(target), self.shares)
        scale = Scale.fit(target[split.train])
        described = {"target_mean": float(scale.mean), "target_deviation": float(scale.deviation)}
        return scale.apply(target)[:, None], split, described

    def lesson(self, trial: Trial, data: Tensors) -> Lesson:
        from torch.nn import functional

        from hpsearch.training.loop import Lesson
        from hpsearch.training.stopping import Patience

        measure = Measure(data.validation_inputs, data.validation_targets, self.meta["target_deviation"])
        stopping = Patience(self.objectives[0], self.patience)
        return Lesson(data.train_inputs, data.train_targets, functional.mse_loss, measure, self.epochs, stopping)


class Measure:
    """Errors on the validation split: the loss of the standardised target, all else in the target's own units (val_mse squared)."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, deviation: float) -> None:
        self.inputs = inputs
        self.targets = targets
        self.deviation = deviation
        self.variance = float(targets.double().var(correction=0))

    def __call__(self, model: nn.Module) -> dict[str, float]:
        difference = model(self.inputs) - self.targets
        loss = float(difference.square().mean())
        mse = loss * self.deviation**2
        mae = float(difference.abs().mean()) * self.deviation
        r2 = 1 - loss / self.variance if self.variance > 0 else 0.0  # as scikit-learn has it where the target does not vary
        return {"val_loss": loss, "val_mse": mse, "val_rmse": mse**0.5, "val_mae": mae, "val_r2": r2}
