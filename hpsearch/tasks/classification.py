"""Classification of the rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.models.hyperparameter import complete
from hpsearch.tasks import CLASSIFICATION
from hpsearch.tasks.splits import Split, split_stratified
from hpsearch.tasks.supervised import Supervised, Tensors
from hpsearch.tasks.tables import Table
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.training.loop import Lesson
    from hpsearch.training.trial import Trial


class Classification(Supervised):
    """Predicts one of several classes; the training loss is cross-entropy."""

    kind = "classification"

    @property
    def outputs(self) -> int:
        return len(self.meta["classes"])

    def encode(self, table: Table) -> tuple[NDArray[Any], Split, dict[str, Json]]:
        """Targets are indices of the sorted classes."""
        names, labels = _classes(table)
        split = split_stratified(labels, tuple(map(str, names)), self.shares)
        counts = {"class_counts": np.bincount(labels).tolist(), "train_class_counts": np.bincount(labels[split.train]).tolist()}
        return labels, split, {"classes": names, **counts}

    def lesson(self, trial: Trial, data: Tensors) -> Lesson:
        import torch
        from torch.nn import functional

        from hpsearch.training.loop import Lesson
        from hpsearch.training.stopping import Patience

        chosen = complete(CLASSIFICATION.hyperparameters, trial.params)
        weight = torch.tensor(self._balance(), device=data.train_inputs.device) if chosen["class_weights"] == "balanced" else None
        smoothing = chosen["label_smoothing"]

        def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            return functional.cross_entropy(outputs, targets, weight, label_smoothing=smoothing)

        extra = tuple(name for name in SCORES if name in self.wanted)
        measure = Measure(data.validation_inputs, data.validation_targets, extra)
        return Lesson(data.train_inputs, data.train_targets, loss, measure, self.epochs, Patience(self.objectives[0], self.patience))

    def _balance(self) -> list[float]:
        """A weight for each class, inverse to its share of the training split; 1 on average over its rows."""
        counts = self.meta["train_class_counts"]
        return [sum(counts) / (len(counts) * count) for count in counts]


class Measure:
    """Loss and accuracy on the validation split, and what else is asked for."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, extra: tuple[str, ...]) -> None:
        self.inputs = inputs
        self.targets = targets
        self.extra = extra

    def __call__(self, model: nn.Module) -> dict[str, float]:
        from torch.nn import functional

        outputs = model(self.inputs)
        loss = float(functional.cross_entropy(outputs, self.targets))
        correct = int((outputs.argmax(1) == self.targets).sum())
        metrics = {"val_loss": loss, "val_accuracy": correct / len(self.targets)}
        if not self.extra:
            return metrics
        if not np.isfinite(loss):  # scikit-learn refuses NaN; the loss tells of it
            return metrics | dict.fromkeys(self.extra, float("nan"))
        probabilities, targets = outputs.softmax(1).double().cpu().numpy(), self.targets.cpu().numpy()
        return metrics | {name: SCORES[name](targets, probabilities) for name in self.extra}


def _balanced_accuracy(targets: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    from sklearn.metrics import balanced_accuracy_score

    return float(balanced_accuracy_score(targets, probabilities.argmax(1)))


def _f1(targets: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """The mean over classes."""
    from sklearn.metrics import f1_score

    return float(f1_score(targets, probabilities.argmax(1), average="macro", zero_division=0.0))


def _auroc(targets: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Of the second class for two; for more, the mean over classes of each against the rest."""
    from sklearn.metrics import roc_auc_score

    if probabilities.shape[1] == 2:
        return float(roc_auc_score(targets, probabilities[:, 1]))
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return float(roc_auc_score(targets, probabilities, multi_class="ovr", average="macro"))


SCORES: Mapping[str, Callable[[NDArray[np.int64], NDArray[np.float64]], float]] = {
    "val_balanced_accuracy": _balanced_accuracy,
    "val_f1": _f1,
    "val_auroc": _auroc,
}
"""Measures that scikit-learn gives, by name; it is imported when one is asked for."""


def _classes(table: Table) -> tuple[list[Json], NDArray[np.int64]]:
    """The classes, sorted, and each row's index among them."""
    target = table.target
    if target.dtype.kind == "f":
        if (target != np.round(target)).any():
            example = target[target != np.round(target)][0]
            raise DataError(f"target {table.target_name!r} is continuous (it holds {example:g}); use `kind: regression`, or give it labels")
        target = target.astype(np.int64)
    if target.dtype.kind not in "biu":
        target = np.array([str(value) for value in target])
    names, labels = np.unique(target, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"target {table.target_name!r} has one class only, {names[0]!s}; classification needs at least two")
    return names.tolist(), labels.astype(np.int64)
