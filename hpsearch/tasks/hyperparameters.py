"""The hyperparameters of tasks, besides the model's and the training's. No heavy library here."""

from __future__ import annotations

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints

LABEL_HYPERPARAMETERS = (
    Hyperparameter("label_smoothing", 0.0, "The share of a label that is spread over all classes.", (Floats(min=0, below=1),)),
    Hyperparameter(
        "class_weights",
        "none",
        "balanced: each class weighs the same in the training loss, however few its examples.",
        (Choices(("none", "balanced")),),
    ),
)
"""Of every classification."""

CLUSTERING_HYPERPARAMETERS = (
    Hyperparameter(
        "clusters",
        None,
        "How many; null: as many as there are classes, where there are labels.",
        (Ints(2, 1000), Choices((None,))),
    ),
)

FORECASTING_HYPERPARAMETERS = (Hyperparameter("window", 48, "How many steps before a forecast the network sees.", (Ints(1, 100_000),)),)
