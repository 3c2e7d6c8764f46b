"""What makes a classification robust, and tells how robust it is: augmentation, training against attacks, accuracy under one."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from hpsearch.errors import InputError
from hpsearch.models.inputs import InputKind
from hpsearch.training.attacks_plan import ADVERSARIAL_HYPERPARAMETERS, Attack
from hpsearch.training.augmentation_plan import check_suited

if TYPE_CHECKING:
    import torch
    from torch import nn

    from hpsearch.config import SweepConfig
    from hpsearch.tasks.labels import LabelLoss
    from hpsearch.training.attacks import PixelRange
    from hpsearch.training.loop import Measure
    from hpsearch.training.trial import Trial

METRIC = "robust_accuracy"
"""Of the validation split; the test split's has "test_" before it."""


def attack_of(config: SweepConfig) -> Attack | None:
    """What a sweep file wants accuracy to be measured under; the default attack, if it asks for the metric alone."""
    given = config.task.attack
    if given is not None:
        return Attack(given.kind, given.epsilon, given.steps or Attack().steps)
    asked = METRIC in config.task.metrics or METRIC in (objective.metric for objective in config.objectives)
    return Attack() if asked else None


def check_robust(kind: InputKind, named: Collection[str], attack: Attack | None) -> None:
    """Raises `InputError` where a space's names, or the attack, do not suit the inputs."""
    try:
        check_suited(kind, named)
    except ValueError as error:
        raise InputError(str(error)) from error
    if kind == "image":
        return
    if attack is not None:
        raise InputError(f"{METRIC} is measured on images, and these are inputs of kind {kind}; leave it and task.attack out")
    for hyperparameter in ADVERSARIAL_HYPERPARAMETERS:
        if hyperparameter.name in named:
            raise InputError(f"{hyperparameter.name} is for images, and these are inputs of kind {kind}; leave it out of the space")


class RobustLoss:
    """The loss of a batch as a trial's parameters have it augmented, mixed and attacked. `pixels` is None for what is no image."""

    def __init__(self, trial: Trial, compare: LabelLoss, pixels: PixelRange | None) -> None:
        from hpsearch.training.attacks import AdversarialLoss
        from hpsearch.training.augmentation import Augmentation

        self.compare = compare
        self.augment = Augmentation.of(trial.params, 0.0 if pixels is None else pixels.darkest, trial.generator)
        self.harden = AdversarialLoss(trial.params, pixels, trial.generator)

    def __call__(self, model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        inputs, loss = self.augment.mix(self.augment(inputs), targets, self.compare)
        return self.harden(model, lambda attacked: loss(model(attacked)), inputs)


class RobustMeasure:
    """What another measure gives and, as `name`, the accuracy that is left under an attack."""

    def __init__(self, measure: Measure, name: str, data: tuple[torch.Tensor, torch.Tensor], attack: Attack, pixels: PixelRange) -> None:
        self.measure = measure
        self.name = name
        self.inputs, self.targets = data
        self.attack = attack
        self.pixels = pixels

    def __call__(self, model: nn.Module) -> dict[str, torch.Tensor | float]:
        from hpsearch.training.attacks import robust_accuracy

        robust = robust_accuracy(model, self.inputs, self.targets, self.attack, self.pixels)
        return {**self.measure(model), self.name: robust}
