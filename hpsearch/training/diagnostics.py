"""What an epoch tells of a network's health: its gradient by layer, and the units that have died. Neither changes anything it looks at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn

from hpsearch.models.activation import Activation


class GradientNorms:
    """How large the gradient is that lies in a model's parameters: all of it, and where it is smallest and largest.

    A layer is a module with parameters of its own. Its biases are not looked at alone: before a normalization they have no gradient at all.
    """

    def __init__(self, model: nn.Module) -> None:
        layers = [found for module in model.modules() if (found := list(module.parameters(recurse=False)))]
        self.gradients = [p.grad for layer in layers for p in layer if p.grad is not None]
        self.layers = [(len(layer), sum(p.numel() for p in layer)) for layer in layers]
        self._taken: Tensor | None = None

    def take(self) -> None:
        """Measures the present gradient. Nobody waits for the device, which may still be computing it."""
        self._taken = torch.stack(torch._foreach_norm(self.gradients))

    def metrics(self) -> dict[str, float]:
        """Of what was taken since the last call; nothing, if nothing was."""
        if self._taken is None:
            return {}
        squares = iter([norm * norm for norm in self._taken.tolist()])
        self._taken = None
        of_layers = [sum(islice(squares, count)) for count, _ in self.layers]
        layers = [math.sqrt(square / size) for square, (_, size) in zip(of_layers, self.layers, strict=True)]
        return {"gradient_norm": math.sqrt(sum(of_layers)), "gradient_norm_smallest": min(layers), "gradient_norm_largest": max(layers)}


class Units:
    """What the hidden units of a network have given, as far as they were watched."""

    def __init__(self) -> None:
        self.liveliness: dict[Activation, Tensor] = {}

    def see(self, activation: Activation, _inputs: object, output: Tensor) -> None:
        """A forward hook."""
        shown = LIVELINESS.get(activation.name, torch.abs)(output.detach())
        by_unit = shown.T if shown.ndim == 2 else shown.movedim(activation.axis, 0).flatten(1)
        units = by_unit.sum(1, dtype=torch.float32)
        before = self.liveliness.get(activation)
        self.liveliness[activation] = units if before is None else before + units

    def metrics(self) -> dict[str, float]:
        """Nothing, where nothing was seen."""
        if not self.liveliness:
            return {}
        units = torch.cat(list(self.liveliness.values())).tolist()
        return {"dead_units": sum(unit <= ZERO for unit in units) / len(units)}


SATURATED = 0.99
"""In the scale of tanh: beyond it the slope is under a fiftieth of what it is in the middle."""

LIVELINESS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda output: output,
    "tanh": lambda output: (SATURATED - output.abs()).clamp(min=0),
    "sigmoid": lambda output: (SATURATED - (2 * output - 1).abs()).clamp(min=0),
}
"""How far what a unit gives is from being dead: for those that saturate, from their ends; for all others, from zero."""

ZERO = 1e-6
"""All that a unit has given together is nothing up to here. relu is 0 for what is negative; gelu and silu only come close."""


def activations(model: nn.Module) -> list[Activation]:
    """What can be watched."""
    return [module for module in model.modules() if isinstance(module, Activation)]


@contextmanager
def watching(watched: Sequence[Activation]) -> Iterator[Units]:
    """See what these activations give, whoever calls them."""
    units = Units()
    hooks = [activation.register_forward_hook(units.see) for activation in watched]
    try:
        yield units
    finally:
        for hook in hooks:
            hook.remove()
