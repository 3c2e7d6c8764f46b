"""Clustering by a learned representation: k-means on the codes of an autoencoder."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import InputError
from hpsearch.models.hyperparameter import complete
from hpsearch.tasks import tables
from hpsearch.tasks.answers import Answer, Clusters, codes_of
from hpsearch.tasks.data_task import PREFIX, Data, DataTask, Encoded
from hpsearch.tasks.encoding import encode_inputs
from hpsearch.tasks.findings import examine
from hpsearch.tasks.hyperparameters import CLUSTERING_HYPERPARAMETERS
from hpsearch.tasks.labels import find_classes
from hpsearch.tasks.prepared import Arrays
from hpsearch.tasks.reconstruction import reconstructs
from hpsearch.tasks.splits import split_published
from hpsearch.tasks.tables import Table
from hpsearch.trial import Json

if TYPE_CHECKING:
    import torch
    from sklearn.cluster import KMeans
    from torch import nn

    from hpsearch.config import SweepConfig
    from hpsearch.training.loop import Learner, Measure
    from hpsearch.training.trial import Trial

MOST_ROWS = 10_000
"""Of the training split, so many codes find the clusters: more take longer after each epoch, and hardly move them."""

MOST_COMPARED = 2_000
"""Of a split, so many rows are compared with one another for the silhouette, which takes the square of it."""

NO_LABELS = "these data have no labels to tell how many clusters there are; put it into the space, as in clusters: {min: 2, max: 20}"


@dataclass
class Clustering(DataTask[Table]):
    """Clusters are found in the training split's codes and judged on another's; labels, if any, only judge.

    Args:
        named: by the space; None: nobody has said.
    """

    kind = "clustering"

    named: Collection[str] | None = None

    @classmethod
    def from_config(cls, config: SweepConfig) -> Self:
        return replace(super().from_config(config), named=(*config.space.parameters, *config.space.fixed))

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        if self.meta["classes"]:
            return
        if self.named is not None and "clusters" not in self.named:
            raise InputError(NO_LABELS)
        if "val_nmi" in self.wanted:
            raise InputError("val_nmi compares clusters with labels, and these data have none; name the target, or use val_silhouette")

    @property
    def outputs(self) -> int:
        return 0

    def read(self) -> Table:
        return tables.read(replace(self.source, needs_target=False))

    def encode(self, raw: Table) -> Encoded:
        """Targets are indices of the classes, where there are labels."""
        split = split_published(len(raw.inputs), raw.test_rows, self.shares)
        if raw.target is None:
            warnings, encoded = examine(raw, split), encode_inputs(raw, split)
            return Encoded({**encoded.meta, "classes": []}, *Arrays(encoded.splits, {}).parts(), encoded.kept, warnings)
        classes, labels = find_classes(raw.target, raw.target_name)
        warnings, encoded = examine(raw, split, labels), encode_inputs(raw, split)
        targets = {"train": labels[split.train], "validation": labels[split.validation], "test": labels[split.test]}
        return Encoded({**encoded.meta, "classes": classes}, *Arrays(encoded.splits, targets).parts(), encoded.kept, warnings)

    def answer(self, parameters: Mapping[str, Json], kept: Json, model: nn.Module, data: Data) -> Answer:
        train = codes_of(model, some_of(data.inputs["train"]))
        return Clusters(fit_clusters(train, self._clusters(parameters)).cluster_centers_)

    def learner(self, trial: Trial, model: nn.Module, data: Data) -> Learner:
        return reconstructs(trial, model, data.inputs["train"], self.epochs)

    def measure(self, trial: Trial, data: Data, split: str) -> Measure:
        return ClusterMeasure(data, split, self._clusters(trial.params))

    def _clusters(self, parameters: Mapping[str, Json]) -> int:
        if clusters := complete(CLUSTERING_HYPERPARAMETERS, parameters)["clusters"]:
            return int(clusters)
        if not (classes := self.meta["classes"]):
            raise InputError(NO_LABELS)
        return len(classes)


class ClusterMeasure:
    """How the clusters of the training split's codes suit a split: to each other (silhouette), and to its labels if it has any (NMI)."""

    def __init__(self, data: Data, split: str, clusters: int) -> None:
        self.train = some_of(data.inputs["train"])
        self.inputs = data.inputs[split]
        self.labels = data.targets[split].cpu().numpy() if split in data.targets else None
        self.clusters = clusters
        self.prefix = PREFIX[split]

    def __call__(self, model: nn.Module) -> dict[str, float]:
        train, codes = codes_of(model, self.train), codes_of(model, self.inputs)
        measured = {"loss": float((model(self.inputs).output - self.inputs).square().mean()), "silhouette": float("nan")}
        if self.labels is not None:
            measured["nmi"] = float("nan")
        if np.isfinite(train).all() and np.isfinite(codes).all():  # else the loss tells of it
            measured |= self._judge(codes, find_clusters(train, codes, self.clusters))
        return {self.prefix + name: value for name, value in measured.items()}

    def _judge(self, codes: NDArray[np.float64], found: NDArray[np.int64]) -> dict[str, float]:
        from sklearn.metrics import normalized_mutual_info_score, silhouette_score

        chosen = _some(len(codes), MOST_COMPARED)
        some, theirs = codes[chosen], found[chosen]
        judged = {"silhouette": float(silhouette_score(some, theirs)) if 1 < len(set(theirs.tolist())) < len(theirs) else -1.0}
        if self.labels is not None:
            judged["nmi"] = float(normalized_mutual_info_score(self.labels, found))
        return judged


def _some(rows: int, most: int) -> NDArray[np.intp]:
    """At most so many rows, at random: a file may be in the order of its classes. The same each time."""
    return np.sort(np.random.default_rng(0).permutation(rows)[:most])


def some_of(train: torch.Tensor) -> torch.Tensor:
    """The rows of the training split that find the clusters."""
    return train[_some(len(train), MOST_ROWS)]


def find_clusters(train: NDArray[np.float64], codes: NDArray[np.float64], clusters: int) -> NDArray[np.int64]:
    """The cluster of each code, by k-means on the training split's; the same each time.

    Args:
        train: (rows, bottleneck).
        codes: (others, bottleneck).
    """
    found: NDArray[np.int64] = fit_clusters(train, clusters).predict(codes)
    return found


def fit_clusters(train: NDArray[np.float64], clusters: int) -> KMeans:
    """K-means on the codes of the training split, (rows, bottleneck); the same each time."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    if len(train) < clusters:
        raise InputError(f"clusters: {clusters} are more than the {len(train)} rows of the training split; ask for fewer")
    with threadpool_limits(1), warnings.catch_warnings():  # a worker has one core
        warnings.simplefilter("ignore", ConvergenceWarning)  # codes that are all the same are a poor trial, and its measures say so
        return KMeans(clusters, n_init=4, random_state=0).fit(train)
