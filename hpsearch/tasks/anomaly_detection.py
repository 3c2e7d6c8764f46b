"""Anomaly detection: an autoencoder that has only seen normal rows gives back anomalous ones badly, and that tells them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, unknown
from hpsearch.tasks import tables
from hpsearch.tasks.answers import Answer, Scores, anomaly_scores
from hpsearch.tasks.data_task import PREFIX, Data, DataTask, Encoded
from hpsearch.tasks.encoding import encode_inputs
from hpsearch.tasks.findings import examine
from hpsearch.tasks.labels import find_classes
from hpsearch.tasks.prepared import Arrays
from hpsearch.tasks.reconstruction import reconstructs
from hpsearch.tasks.splits import Shares, Split, split_rows, with_fixed_test
from hpsearch.tasks.tables import Table
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.config import SweepConfig
    from hpsearch.training.loop import Learner, Measure
    from hpsearch.training.trial import Trial

NORMAL = 0.95
"""The share of normal rows that a registered network is to call normal."""


@dataclass
class AnomalyDetection(DataTask[Table]):
    """Scores rows by the error of their reconstruction; trained on normal rows, judged by how well the score ranks.

    Args:
        normal: the values of the target that are normal.
    """

    kind = "anomaly_detection"

    normal: Sequence[Json] = ()

    @classmethod
    def from_config(cls, config: SweepConfig) -> Self:
        return replace(super().from_config(config), normal=config.task.normal)

    @property
    def outputs(self) -> int:
        return 0

    def depends_on(self) -> list[Json]:
        return [*super().depends_on(), list(map(str, self.normal))]

    def read(self) -> Table:
        return tables.read(self.source)

    def encode(self, raw: Table) -> Encoded:
        """Targets are 1 for anomalies; the training split has none."""
        anomalous = find_anomalies(raw, self.normal)
        split = self._split(anomalous, raw.test_rows)
        warnings, encoded = examine(raw, split, anomalous), encode_inputs(raw, split)
        targets = {"train": anomalous[split.train], "validation": anomalous[split.validation], "test": anomalous[split.test]}
        found = {name: int(target.sum()) for name, target in targets.items()}
        return Encoded({**encoded.meta, "anomalies": found}, *Arrays(encoded.splits, targets).parts(), encoded.kept, warnings)

    def _split(self, anomalous: NDArray[np.int64], published: NDArray[np.intp] | None) -> Split:
        if published is None:
            return split_normal(anomalous, self.shares)
        if len(set(anomalous[published].tolist())) < 2:
            raise DataError("the published test set has only normal rows, or only anomalous ones, and nothing can be measured on it")
        return with_fixed_test(len(anomalous), published, self.shares, lambda rows, shares: split_normal(anomalous[rows], shares))

    def answer(self, parameters: Mapping[str, Json], kept: Json, model: nn.Module, data: Data) -> Answer:
        """Anomalous is what has a larger error than NORMAL of the normal rows that were not trained on."""
        normal = data.inputs["validation"][data.targets["validation"] == 0]
        return Scores(float(np.quantile(anomaly_scores(model, normal).double().cpu().numpy(), NORMAL)))

    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        return reconstructs(trial, model, data.inputs["train"], self.epochs)

    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        return AnomalyMeasure(data.inputs[split], data.targets[split], PREFIX[split])


def find_anomalies(table: Table, normal: Sequence[Json]) -> NDArray[np.int64]:
    """(rows,) of 1 where the target has none of the normal values, else 0.

    Raises:
        DataError: nothing is said to be normal, or what is said is not there, or is all there is.
    """
    classes, labels = find_classes(table.labels, table.target_name)
    names = [str(name) for name in classes]
    shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    if not normal:
        raise DataError(f"say which values of target {table.target_name!r} are normal, as in `normal: [{names[0]}]`; it has {shown}")
    for value in map(str, normal):
        if value not in names:
            raise DataError(f"normal: {unknown(f'value of target {table.target_name!r}', value, names)}")
    anomalous = ~np.isin(labels, [names.index(str(value)) for value in normal])
    if not anomalous.any():
        raise DataError(f"normal: all values of target {table.target_name!r} ({shown}) are normal, and nothing is left to be found")
    return anomalous.astype(np.int64)


def split_normal(anomalous: NDArray[np.int64], shares: Shares) -> Split:
    """Normal rows are split as ever; the anomalies go to validation and test, in the proportion of these."""
    normal, odd = np.flatnonzero(anomalous == 0), np.flatnonzero(anomalous)
    rows = split_rows(len(normal), shares)
    shuffled = np.random.default_rng(shares.seed).permutation(odd)
    first = round(len(odd) * shares.validation / (shares.validation + shares.test))
    if min(first, len(odd) - first if shares.test else first) < 1:
        raise DataError(f"{len(odd)} anomalous rows cannot be divided between validation and test: each needs at least 1; give more data")
    validation = np.sort(np.concatenate([normal[rows.validation], shuffled[:first]]))
    return Split(normal[rows.train], validation, np.sort(np.concatenate([normal[rows.test], shuffled[first:]])))


class AnomalyMeasure:
    """How well the error ranks a split's rows, and the mean error of its normal ones."""

    def __init__(self, inputs: torch.Tensor, anomalous: torch.Tensor, prefix: str) -> None:
        self.inputs = inputs
        self.anomalous = anomalous.cpu().numpy()
        self.prefix = prefix

    def __call__(self, model: nn.Module) -> dict[str, float]:
        from sklearn.metrics import average_precision_score, roc_auc_score

        scores = anomaly_scores(model, self.inputs).double().cpu().numpy()
        measured = {"loss": float(scores[self.anomalous == 0].mean()), "auroc": float("nan"), "average_precision": float("nan")}
        if np.isfinite(scores).all():  # else the loss tells of it
            measured["auroc"] = float(roc_auc_score(self.anomalous, scores))
            measured["average_precision"] = float(average_precision_score(self.anomalous, scores))
        return {self.prefix + name: value for name, value in measured.items()}
