"""Attacks on what a network makes of images, training against them, and the accuracy that is left under one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Self, TypeAlias

import torch
from torch import Tensor, nn

from hpsearch.models.dropout import RandomSource
from hpsearch.models.hyperparameter import complete
from hpsearch.training.attacks_plan import ADVERSARIAL_HYPERPARAMETERS, Attack
from hpsearch.trial import Json

LossOf: TypeAlias = Callable[[Tensor], Tensor]
"""From a batch of inputs, whose targets it knows, to their loss."""

AT_ONCE = 512
"""Examples that an evaluation attacks together: what a step keeps for the gradient has to fit into memory."""

SEED = 0x5EED
"""Of each evaluation's random starts: however a trial came to an epoch, it is measured alike."""


@dataclass(frozen=True, slots=True)
class PixelRange:
    """The darkest and the lightest that an input can be, in the units that a network sees: (channels, 1, 1), or one for all."""

    darkest: Tensor
    lightest: Tensor

    @classmethod
    def of(cls, images: Tensor) -> Self:
        """What (examples, channels, height, width) span, channel by channel: a training split has black and white pixels enough."""
        return cls(images.amin((0, 2, 3))[:, None, None], images.amax((0, 2, 3))[:, None, None])

    def clip(self, images: Tensor) -> Tensor:
        return torch.clamp(images, self.darkest, self.lightest)

    def ball(self, images: Tensor, epsilon: float) -> PixelRange:
        """What each pixel of valid images may be changed to: by up to `epsilon` of the whole range, and within it."""
        radius = epsilon * (self.lightest - self.darkest)
        return PixelRange(torch.maximum(images - radius, self.darkest), torch.minimum(images + radius, self.lightest))


def fgsm(loss: LossOf, images: Tensor, pixels: PixelRange, epsilon: float) -> Tensor:
    """Images moved by `epsilon` where the loss grows fastest, by its linearisation.

    Reference: Goodfellow et al., arXiv 1412.6572, section 4, the fast gradient sign method.
    """
    images = pixels.clip(images)
    step = epsilon * (pixels.lightest - pixels.darkest)
    return pixels.clip(images + step * _gradient(loss, images).sign())


def pgd(loss: LossOf, images: Tensor, pixels: PixelRange, attack: Attack, generator: torch.Generator) -> Tensor:
    """Images moved in `attack.steps` steps, from a random start, to where the loss is larger, by up to `attack.epsilon`.

    Reference: Madry et al., arXiv 1706.06083, section 2.1. A step is 2.5 * epsilon / steps, as in their section 5: from any start the
    border can be reached, and walked along.
    """
    images = pixels.clip(images)
    ball = pixels.ball(images, attack.epsilon)
    radius = attack.epsilon * (pixels.lightest - pixels.darkest)
    start = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype).mul_(2).sub_(1)
    attacked = ball.clip(images + radius * start)
    for _ in range(attack.steps):
        attacked = ball.clip(attacked + 2.5 / attack.steps * radius * _gradient(loss, attacked).sign())
    return attacked


def _gradient(loss: LossOf, images: Tensor) -> Tensor:
    """Of the inputs alone: the parameters' own, which a training keeps, stay as they are."""
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(images), images)
    return gradient


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, then as it was, with the masks that dropout has drawn ahead.

    cuDNN's recurrent networks cannot be differentiated in this mode: torch's own are used for them.
    """
    modes = {module: module.training for module in model.modules()}
    has_recurrent = any(isinstance(module, nn.RNNBase) for module in modes)
    try:
        for module in modes:
            module.training = False
        with torch.backends.cudnn.flags(enabled=False) if has_recurrent else nullcontext():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def under(attack: Attack, model: nn.Module, loss: LossOf, images: Tensor, pixels: PixelRange, generator: torch.Generator) -> Tensor:
    """Images attacked to raise the loss that `model` has in evaluation mode."""
    with evaluating(model):
        if attack.kind == "fgsm":
            return fgsm(loss, images, pixels, attack.epsilon)
        return pgd(loss, images, pixels, attack, generator)


class AdversarialLoss:
    """The loss of a batch on images attacked for it and, as far as `adversarial_share` leaves it, on the images themselves.

    Args:
        parameters: a trial's; ADVERSARIAL_HYPERPARAMETERS is what counts. Without an attack it is the loss as given.
        random: gives the trial's own random numbers: random starts are from "attack".

    Reference: Goodfellow et al., arXiv 1412.6572, section 6; Madry et al., arXiv 1706.06083, eq. (2.1).
    """

    def __init__(self, parameters: Mapping[str, Json], pixels: PixelRange | None, random: RandomSource) -> None:
        self.attack = Attack.of(parameters)
        self.share: float = complete(ADVERSARIAL_HYPERPARAMETERS, parameters)["adversarial_share"]
        self.pixels = pixels
        self.random = random

    def __call__(self, model: nn.Module, loss: LossOf, inputs: Tensor) -> Tensor:
        """`loss` runs `model` on the inputs that it gets."""
        if self.attack is None:
            return loss(inputs)
        assert self.pixels is not None, "only images are attacked"
        attacked = under(self.attack, model, loss, inputs, self.pixels, self.random("attack", inputs.device))
        hard = loss(attacked)
        return hard if self.share == 1 else (1 - self.share) * loss(inputs) + self.share * hard


@torch.no_grad()
def robust_accuracy(model: nn.Module, images: Tensor, targets: Tensor, attack: Attack, pixels: PixelRange) -> float:
    """The share of images that a network in evaluation mode names rightly both as they are and when attacked."""
    generator = torch.Generator(images.device).manual_seed(SEED)
    right = 0
    with evaluating(model):
        for start in range(0, len(images), AT_ONCE):
            x, y = images[start : start + AT_ONCE], targets[start : start + AT_ONCE]
            known = model(x).argmax(1) == y
            if known.any():
                x, y = x[known], y[known]
                attacked = under(attack, model, _odds_against(model, y), x, pixels, generator)
                right += int((model(attacked).argmax(1) == y).sum())
    return right / len(targets)


def _odds_against(model: nn.Module, targets: Tensor) -> LossOf:
    """The logarithm of the odds against the right class. For each example its gradient is the cross-entropy's, but for a positive factor.

    That factor, the probability of all other classes, vanishes in float32 where a network is sure, and an attack would be blind there.
    """

    def loss(inputs: Tensor) -> Tensor:
        outputs: Tensor = model(inputs)
        own = targets[:, None]
        return (outputs.scatter(1, own, -math.inf).logsumexp(1) - outputs.gather(1, own).squeeze(1)).sum()

    return loss
