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

TEXT_HYPERPARAMETERS = (
    Hyperparameter(
        "vocabulary_size",
        None,
        "Ids: 0 is padding, 1 any other word, and one for each of the training split's most frequent words; null, or more than there are: "
        "for all that it has at least twice, up to 50,000.",
        (Ints(3, 50_000), Choices((None,))),
    ),
    Hyperparameter(
        "sequence_length",
        None,
        "So many words are read of a text, from its beginning; null, or more than there are: as many as the training split's longest has, "
        "up to 512.",
        (Ints(1, 512), Choices((None,))),
    ),
)
