"""The hyperparameters of every training, with their defaults. No torch here."""

from __future__ import annotations

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints

TRAINING_HYPERPARAMETERS: tuple[Hyperparameter, ...] = (
    Hyperparameter("learning_rate", 1e-3, "The step size; with a schedule, its peak.", (Floats(above=0),)),
    Hyperparameter("batch_size", 64, "Examples in an update; at most the training split.", (Ints(1),)),
    Hyperparameter("optimizer", "adamw", "As in torch.optim.", (Choices(("adamw", "adam", "sgd", "rmsprop")),)),
    Hyperparameter(
        "momentum",
        0.9,
        "Of sgd and rmsprop (whose own default in torch is 0); adam and adamw have none.",
        (Floats(min=0, below=1),),
        only_with={"optimizer": ("sgd", "rmsprop")},
    ),
    Hyperparameter(
        "beta1",
        0.9,
        "Of adam and adamw: how slowly the mean of the gradient is forgotten.",
        (Floats(min=0, below=1),),
        only_with={"optimizer": ("adam", "adamw")},
    ),
    Hyperparameter(
        "beta2",
        0.999,
        "Of adam and adamw: how slowly the mean of its square is forgotten.",
        (Floats(min=0, below=1),),
        only_with={"optimizer": ("adam", "adamw")},
    ),
    Hyperparameter("nesterov", False, "Nesterov's momentum, of sgd.", (Choices((True, False)),), only_with={"optimizer": ("sgd",)}),
    Hyperparameter(
        "weight_decay",
        0.0,
        "Pulls weights, not biases or normalization, to zero: decoupled from the gradient for adamw, added to it for the others.",
        (Floats(min=0),),
    ),
    Hyperparameter("l1", 0.0, "Adds this times the weights' signs to their gradient.", (Floats(min=0),)),
    Hyperparameter(
        "schedule",
        "constant",
        "Of the learning rate over the full training: cosine falls to 0; one_cycle rises for 30% of it, then falls; "
        "step divides by 10 at 50% and at 75%.",
        (Choices(("constant", "cosine", "one_cycle", "step")),),
    ),
    Hyperparameter(
        "warmup",
        0.0,
        "The learning rate rises from 0 over this share of all updates (a number below 1), or over this many updates (an integer).",
        (Floats(min=0, below=1), Ints(0)),
    ),
    Hyperparameter("clip_norm", None, "The largest Euclidean norm of the whole gradient; null: any.", (Floats(above=0), Choices((None,)))),
)
