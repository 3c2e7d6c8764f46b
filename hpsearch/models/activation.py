"""Activations by name, as modules: so that diagnostics can watch what they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "leaky_relu": lambda x: functional.leaky_relu(x, 0.2),
    "gelu": functional.gelu,
    "silu": functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
"""Leaky with the slope of DCGAN (arXiv 1511.06434)."""


class Activation(nn.Module):
    """One of ACTIVATIONS, element by element. `axis` is that of the units, for who watches them: (batch, units, ...) unless it is said."""

    def __init__(self, name: str, axis: int = 1) -> None:
        super().__init__()
        self.name = name
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.name](x)

    def extra_repr(self) -> str:
        return self.name
