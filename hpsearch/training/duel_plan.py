"""The hyperparameters of a duel, besides those of every training, whose `learning_rate` is the generator's. No torch here."""

from __future__ import annotations

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints

DUEL_HYPERPARAMETERS: tuple[Hyperparameter, ...] = (
    Hyperparameter(
        "discriminator_learning_rate",
        None,
        "The discriminator's step size; null: the generator's, which is `learning_rate`.",
        (Floats(above=0), Choices((None,))),
    ),
    Hyperparameter("discriminator_steps", 1, "Updates of the discriminator for each of the generator.", (Ints(1, 100),)),
    Hyperparameter(
        "generator_average",
        0.0,
        "What is measured and drawn is a moving average of the generator (arXiv 1806.04498), batch normalization's statistics included: "
        "how slowly the weights of an update are forgotten; 0: at once, so that it is the generator as the last update left it.",
        (Floats(min=0, below=1),),
    ),
)
