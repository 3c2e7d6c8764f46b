"""What all classifications share, whatever they classify: classes, loss, and measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.models.hyperparameter import complete
from hpsearch.tasks.hyperparameters import LABEL_HYPERPARAMETERS
from hpsearch.tasks.mistakes import MOST_CLASSES, Confusion
from hpsearch.tasks.splits import Split
from hpsearch.trial import Json, Objective

if TYPE_CHECKING:
    import torch
    from torch import nn


def find_classes(target: NDArray[Any], name: str) -> tuple[list[Json], NDArray[np.int64]]:
    """The classes, sorted, and each row's index among them. `name` is the target's, for messages.

    Raises:
        DataError: numbers that are no labels, or one class only.
    """
    if target.dtype.kind == "f":
        if (target != np.round(target)).any():
            example = target[target != np.round(target)][0]
            raise DataError(f"target {name!r} is continuous (it holds {example:g}); use `kind: regression`, or give it labels")
        target = target.astype(np.int64)
    if target.dtype.kind not in "biu":
        target = np.array([str(value) for value in target])
    names, labels = np.unique(target, return_inverse=True)
    if len(names) < 2:
        raise DataError(f"target {name!r} has one class only, {names[0]!s}; classification needs at least two")
    return names.tolist(), labels.astype(np.int64)


def describe_classes(names: Sequence[Json], labels: NDArray[np.int64], split: Split) -> dict[str, Json]:
    """What meta.json says of them."""
    return {
        "classes": list(names),
        "class_counts": np.bincount(labels).tolist(),
        "train_class_counts": np.bincount(labels[split.train], minlength=len(names)).tolist(),
    }


AT_ONCE = 1024
"""Examples that are measured together: long texts of a whole split would not fit into memory."""

RARE = 10
"""Times that the largest class has the rows of one that is rare."""

FAIR_TO_RARE = frozenset({"val_balanced_accuracy", "val_f1", "val_auroc"})
"""Metrics in which a rare class counts as much as another."""


def find_rare(names: Sequence[Json], counts: Sequence[int], objectives: Sequence[Objective]) -> list[str]:
    """A warning of classes that accuracy hardly notices, unless an objective does."""
    if FAIR_TO_RARE & {objective.metric for objective in objectives}:
        return []
    largest = max(counts)
    rare = sorted((count, str(name)) for name, count in zip(names, counts, strict=True) if count * RARE <= largest)
    if not rare:
        return []
    shown = ", ".join(f"{name!r} has {count:,}" for count, name in rare[:5]) + (", ..." if len(rare) > 5 else "")
    are = "1 class has" if len(rare) == 1 else f"{len(rare)} classes have"
    return [
        f"{are} at most a tenth of the rows of the largest, {str(names[counts.index(largest)])!r} with {largest:,} of {sum(counts):,}: "
        f"{shown}; accuracy hardly notices: put `class_weights: balanced` into the space, and take val_balanced_accuracy for the objective"
    ]


def find_absent(names: Sequence[Json], labels: NDArray[np.int64], split: Split) -> list[str]:
    """A warning of classes that a published test set has not; a split of our own has all."""
    absent = [str(name) for name, count in zip(names, np.bincount(labels[split.test], minlength=len(names)), strict=True) if not count]
    if not absent or not len(split.test):
        return []
    return [f"the published test set has no rows of {len(absent)} of {len(names)} classes ({', '.join(map(repr, absent[:5]))})"]


class LabelLoss:
    """The cross-entropy of a batch, with LABEL_HYPERPARAMETERS. `counts`: examples of each class in the training split."""

    def __init__(self, parameters: Mapping[str, Json], counts: Sequence[int], device: torch.device) -> None:
        import torch

        chosen = complete(LABEL_HYPERPARAMETERS, parameters)
        self.smoothing: float = chosen["label_smoothing"]
        balance = [sum(counts) / (len(counts) * count) for count in counts]  # 1 on average over the rows
        self.weight = torch.tensor(balance, device=device) if chosen["class_weights"] == "balanced" else None

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        from torch.nn import functional

        return functional.cross_entropy(outputs, targets, self.weight, label_smoothing=self.smoothing)


class LabelMeasure:
    """Loss and accuracy on a split, and what else is asked for. `prefix` begins the metrics' names; `extra`: of SCORES, without it."""

    def __init__(self, inputs: torch.Tensor, targets: torch.Tensor, extra: Sequence[str] = (), prefix: str = "val_") -> None:
        self.inputs = inputs
        self.targets = targets
        self.extra = extra
        self.prefix = prefix

    def __call__(self, model: nn.Module) -> dict[str, float]:
        return {self.prefix + name: value for name, value in self._measure(model).items()}

    def _measure(self, model: nn.Module) -> dict[str, float]:
        from torch.nn import functional

        outputs = _outputs(model, self.inputs)
        loss = float(functional.cross_entropy(outputs, self.targets))
        correct = int((outputs.argmax(1) == self.targets).sum())
        metrics = {"loss": loss, "accuracy": correct / len(self.targets)}
        if not self.extra:
            return metrics
        if not np.isfinite(loss):  # scikit-learn refuses NaN; the loss tells of it
            return metrics | dict.fromkeys(self.extra, float("nan"))
        probabilities, targets = outputs.softmax(1).double().cpu().numpy(), self.targets.cpu().numpy()
        return metrics | {name: SCORES[name](targets, probabilities) for name in self.extra}


def confusion(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor, classes: Sequence[Json], split: str) -> Confusion | None:
    """Which classes the trained `model` takes for which; None where they are too many to be shown."""
    if len(classes) > MOST_CLASSES:
        return None
    return Confusion.of(split, classes, targets.cpu().numpy(), _outputs(model, inputs).argmax(1).cpu().numpy())


def _outputs(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.cat([model(part) for part in inputs.split(AT_ONCE)])  # type: ignore[no-untyped-call]


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
    "balanced_accuracy": _balanced_accuracy,
    "f1": _f1,
    "auroc": _auroc,
}
"""Measures that scikit-learn gives, by name; it is imported when one is asked for."""


def wanted_scores(wanted: frozenset[str]) -> tuple[str, ...]:
    """Of SCORES, those whose validation metric is asked for."""
    return tuple(name for name in SCORES if f"val_{name}" in wanted)
