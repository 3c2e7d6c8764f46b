"""Optimizers as functions of (values, gradient, state, hyperparameters), on one flat vector.

An update follows torch.optim's formulas (and its defaults for alpha and eps), and is tested against it step by step.
All of an optimizer's state is a dict of tensors: of the values' shape, but for the number of the update, which is also an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

ALPHA, EPSILON = 0.99, 1e-8
"""torch.optim's defaults; alpha is rmsprop's."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What an update depends on besides the learning rate. The first `decayed` values are decayed, the others not."""

    momentum: float
    nesterov: bool
    weight_decay: float
    decayed: int
    beta1: float = 0.9
    beta2: float = 0.999


State = dict[str, Tensor]
Update = Callable[[Tensor, Tensor, State, float, int, Settings], None]
"""(values, gradient, state, learning rate, number of the update from 1, settings): changes values, gradient and state in place."""


def sgd(values: Tensor, gradient: Tensor, state: State, rate: float, _update: int, settings: Settings) -> None:
    """Stochastic gradient descent, with momentum (Nesterov's, if so set)."""
    _add_decay(values, gradient, settings)
    if settings.momentum == 0:
        values.add_(gradient, alpha=-rate)
        return
    velocity = state["velocity"]
    velocity.mul_(settings.momentum).add_(gradient)  # zero at first, so that the first velocity is the gradient, as in torch
    direction = gradient.add_(velocity, alpha=settings.momentum) if settings.nesterov else velocity
    values.add_(direction, alpha=-rate)


def adam(values: Tensor, gradient: Tensor, state: State, rate: float, update: int, settings: Settings) -> None:
    """Adam, its weight decay added to the gradient. Reference: arXiv 1412.6980, Algorithm 1."""
    _add_decay(values, gradient, settings)
    _adam_step(values, gradient, state, rate, update, settings)


def adamw(values: Tensor, gradient: Tensor, state: State, rate: float, update: int, settings: Settings) -> None:
    """Adam with decoupled weight decay. Reference: arXiv 1711.05101, Algorithm 2."""
    if settings.weight_decay:
        values[: settings.decayed].mul_(1 - rate * settings.weight_decay)
    _adam_step(values, gradient, state, rate, update, settings)


def rmsprop(values: Tensor, gradient: Tensor, state: State, rate: float, _update: int, settings: Settings) -> None:
    """RMSprop, not centred, with momentum."""
    _add_decay(values, gradient, settings)
    square = state["square"]
    square.mul_(ALPHA).addcmul_(gradient, gradient, value=1 - ALPHA)
    scale = square.sqrt().add_(EPSILON)
    if settings.momentum == 0:
        values.addcdiv_(gradient, scale, value=-rate)
        return
    velocity = state["velocity"]
    velocity.mul_(settings.momentum).addcdiv_(gradient, scale)
    values.add_(velocity, alpha=-rate)


def _add_decay(values: Tensor, gradient: Tensor, settings: Settings) -> None:
    if settings.weight_decay:
        gradient[: settings.decayed].add_(values[: settings.decayed], alpha=settings.weight_decay)


def _adam_step(values: Tensor, gradient: Tensor, state: State, rate: float, update: int, settings: Settings) -> None:
    """All of Algorithm 1 in one pass over memory, as torch.optim has it with `fused`; separate operations take five times as long."""
    torch._fused_adam_(
        [values],
        [gradient],
        [state["mean"]],
        [state["square"]],
        [],
        [state["update"].fill_(update)],
        lr=rate,
        beta1=settings.beta1,
        beta2=settings.beta2,
        weight_decay=0.0,
        eps=EPSILON,
        amsgrad=False,
        maximize=False,
    )


OPTIMIZERS: Mapping[str, tuple[Update, tuple[str, ...]]] = {
    "sgd": (sgd, ("velocity",)),
    "adam": (adam, ("mean", "square", "update")),
    "adamw": (adamw, ("mean", "square", "update")),
    "rmsprop": (rmsprop, ("square", "velocity")),
}
"""An update by name, and the names of its state."""


def initial_state(optimizer: str, values: Tensor) -> State:
    """Zeros, as every optimizer here begins."""
    names = OPTIMIZERS[optimizer][1]
    return {name: values.new_zeros(()) if name == "update" else torch.zeros_like(values) for name in names}
