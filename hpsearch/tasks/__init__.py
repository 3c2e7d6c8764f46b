"""Tasks: data and objective, one file each. Adding one is a line here; the table alone checks a sweep file, without torch or data."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hpsearch.models.hyperparameter import Hyperparameter
from hpsearch.tasks.hyperparameters import (
    CLUSTERING_HYPERPARAMETERS,
    FORECASTING_HYPERPARAMETERS,
    LABEL_HYPERPARAMETERS,
    TEXT_HYPERPARAMETERS,
)
from hpsearch.tasks.task import Labelled, Task
from hpsearch.training.attacks_plan import ADVERSARIAL_HYPERPARAMETERS
from hpsearch.training.augmentation_plan import AUGMENTATION_HYPERPARAMETERS
from hpsearch.training.duel_plan import DUEL_HYPERPARAMETERS

if TYPE_CHECKING:
    from hpsearch.config import SweepConfig

__all__ = ["TASKS", "Labelled", "Task", "TaskEntry"]

Goal = Literal["maximize", "minimize"]

TABLES = ("csv", "parquet", "npz")
"""Formats of a file of one's own that holds a table of numbers."""


@dataclass(frozen=True, slots=True)
class TaskEntry:
    """A kind of task.

    Args:
        target: "module:Class".
        is_own_code: whether other people's code trains: then no table knows its hyperparameters, metrics and data.
        metrics: what it can report, each with the goal that improves it.
        default_metrics: what it reports unasked.
        data: the built-in data sets.
        formats: of files of one's own.
        columns: keys of task.data that name columns of a file, besides the target.
        models: the model families it takes.
        hyperparameters: its own, besides the model's and the training's.
    """

    target: str
    is_own_code: bool = False
    metrics: Mapping[str, Goal] = field(default_factory=dict)
    default_metrics: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    hyperparameters: tuple[Hyperparameter, ...] = ()

    def make(self, config: SweepConfig) -> Task:
        """The task of a sweep file, which was checked against this table."""
        module, name = self.target.split(":")
        task: Task = getattr(importlib.import_module(module), name).from_config(config)
        return task


LABEL_METRICS: Mapping[str, Goal] = {
    "train_loss": "minimize",
    "val_loss": "minimize",
    "val_accuracy": "maximize",
    "val_balanced_accuracy": "maximize",
    "val_f1": "maximize",
    "val_auroc": "maximize",
}
"""Of whatever is classified."""

DEFAULT_LABEL_METRICS = ("train_loss", "val_loss", "val_accuracy")

CLASSIFICATION = TaskEntry(
    "hpsearch.tasks.classification:Classification",
    metrics={**LABEL_METRICS, "robust_accuracy": "maximize"},
    default_metrics=DEFAULT_LABEL_METRICS,
    data=("breast_cancer", "digits", "iris", "wine"),
    formats=(*TABLES, "idx", "images"),
    columns=("categorical",),
    models=("mlp", "cnn", "rnn", "transformer"),
    hyperparameters=(*LABEL_HYPERPARAMETERS, *AUGMENTATION_HYPERPARAMETERS, *ADVERSARIAL_HYPERPARAMETERS),
)

REGRESSION = TaskEntry(
    "hpsearch.tasks.regression:Regression",
    metrics={
        "train_loss": "minimize",
        "val_loss": "minimize",
        "val_mse": "minimize",
        "val_rmse": "minimize",
        "val_mae": "minimize",
        "val_r2": "maximize",
    },
    default_metrics=("train_loss", "val_loss", "val_mse", "val_rmse", "val_mae", "val_r2"),
    data=("diabetes",),
    formats=TABLES,
    columns=("categorical",),
    models=("mlp", "cnn", "rnn", "transformer"),
)

ANOMALY_DETECTION = TaskEntry(
    "hpsearch.tasks.anomaly_detection:AnomalyDetection",
    metrics={"train_loss": "minimize", "val_loss": "minimize", "val_auroc": "maximize", "val_average_precision": "maximize"},
    default_metrics=("train_loss", "val_loss", "val_auroc", "val_average_precision"),
    data=("breast_cancer", "digits", "iris", "wine"),
    formats=(*TABLES, "idx", "images"),
    columns=("categorical",),
    models=("autoencoder",),
)

CLUSTERING = TaskEntry(
    "hpsearch.tasks.clustering:Clustering",
    metrics={"train_loss": "minimize", "val_loss": "minimize", "val_nmi": "maximize", "val_silhouette": "maximize"},
    default_metrics=("train_loss", "val_loss", "val_silhouette"),
    data=("breast_cancer", "digits", "iris", "wine"),
    formats=(*TABLES, "idx", "images"),
    columns=("categorical",),
    models=("autoencoder",),
    hyperparameters=CLUSTERING_HYPERPARAMETERS,
)

GENERATION = TaskEntry(
    "hpsearch.tasks.generation:Generation",
    metrics={
        "discriminator_loss": "minimize",
        "generator_loss": "minimize",
        "val_frechet_distance": "minimize",
        "val_frechet_ratio": "minimize",
    },
    default_metrics=("discriminator_loss", "generator_loss", "val_frechet_distance", "val_frechet_ratio"),
    data=("breast_cancer", "digits", "iris", "wine"),
    formats=(*TABLES, "idx", "images"),
    columns=("categorical",),
    models=("gan",),
    hyperparameters=DUEL_HYPERPARAMETERS,
)

FORECASTING = TaskEntry(
    "hpsearch.tasks.forecasting:Forecasting",
    metrics={
        "train_loss": "minimize",
        "val_loss": "minimize",
        "val_mae": "minimize",
        "val_rmse": "minimize",
        "val_skill": "maximize",
    },
    default_metrics=("train_loss", "val_loss", "val_mae", "val_rmse", "val_skill"),
    data=("seasons",),
    formats=("csv", "parquet"),
    columns=("time",),
    models=("rnn", "transformer", "cnn", "mlp"),
    hyperparameters=FORECASTING_HYPERPARAMETERS,
)

TEXT_CLASSIFICATION = TaskEntry(
    "hpsearch.tasks.text_classification:TextClassification",
    metrics=LABEL_METRICS,
    default_metrics=DEFAULT_LABEL_METRICS,
    data=("reviews",),
    formats=("csv", "parquet"),
    columns=("text",),
    models=("rnn", "transformer", "cnn"),
    hyperparameters=(*LABEL_HYPERPARAMETERS, *TEXT_HYPERPARAMETERS),
)

FUNCTION = TaskEntry("hpsearch.tasks.function:FunctionTask", is_own_code=True)

COMMAND = TaskEntry("hpsearch.tasks.command:CommandTask", is_own_code=True)

TASKS: Mapping[str, TaskEntry] = {
    "classification": CLASSIFICATION,
    "regression": REGRESSION,
    "forecasting": FORECASTING,
    "text_classification": TEXT_CLASSIFICATION,
    "anomaly_detection": ANOMALY_DETECTION,
    "clustering": CLUSTERING,
    "generation": GENERATION,
    "function": FUNCTION,
    "command": COMMAND,
}
