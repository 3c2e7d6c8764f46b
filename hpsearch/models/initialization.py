"""Initial weights, drawn from a trial's own generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

_GAINS: Mapping[str, Literal["tanh", "sigmoid"]] = {"tanh": "tanh", "sigmoid": "sigmoid"}
"""Of the other activations gelu and silu are near relu, and take its gain."""


def dense(inputs: int, outputs: int, initialization: str, activation: str, generator: torch.Generator) -> nn.Linear:
    """A linear layer, initialised by name: default (torch.nn.Linear's own), xavier, kaiming, orthogonal."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        initialize(layer.weight, layer.bias, initialization, activation, generator)
    return layer


def initialize(weight: torch.Tensor, bias: torch.Tensor, initialization: str, activation: str, generator: torch.Generator) -> None:
    """Fills `weight` (outputs, inputs) and `bias` (outputs) in place.

    Reference: xavier: Glorot and Bengio 2010; kaiming: He et al., arXiv 1502.01852; orthogonal: Saxe et al., arXiv 1312.6120.
    """
    if initialization == "default":
        bound = weight[0].numel() ** -0.5
        weight.uniform_(-bound, bound, generator=generator)
        bias.uniform_(-bound, bound, generator=generator)
        return
    bias.zero_()
    gain = nn.init.calculate_gain(_GAINS.get(activation, "relu"))
    if initialization == "xavier":
        nn.init.xavier_uniform_(weight, gain, generator=generator)
    elif initialization == "kaiming":
        bound = gain * (3.0 / weight[0].numel()) ** 0.5
        weight.uniform_(-bound, bound, generator=generator)
    else:
        nn.init.orthogonal_(weight, gain, generator=generator)
