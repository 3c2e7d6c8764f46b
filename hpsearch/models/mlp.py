"""The multilayer perceptron."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from hpsearch.models.activation import Activation
from hpsearch.models.dropout import Dropout, RandomSource
from hpsearch.models.hyperparameter import complete
from hpsearch.models.initialization import dense
from hpsearch.models.inputs import Inputs
from hpsearch.models.mlp_plan import HYPERPARAMETERS, hidden_widths
from hpsearch.trial import Json


class MLP(nn.Module):
    """Linear layers, each hidden one followed by normalization, activation and dropout.

    Args:
        parameters: of HYPERPARAMETERS; what is missing has its default.
        inputs: of any kind but tokens; an example is flattened.
        outputs: how many numbers it gives for one example.
        random: gives the trial's own random numbers for a purpose: "init" and "dropout".
    """

    def __init__(self, parameters: Mapping[str, Json], inputs: Inputs, outputs: int, random: RandomSource) -> None:
        super().__init__()
        chosen = complete(HYPERPARAMETERS, parameters)
        hidden = hidden_widths(chosen)
        start = random("init", torch.device("cpu"))
        sizes = pairwise([inputs.size, *hidden, outputs])
        self.linear = nn.ModuleList(dense(before, after, chosen["initialization"], chosen["activation"], start) for before, after in sizes)
        self.normalization = nn.ModuleList(NORMALIZATIONS[chosen["normalization"]](width) for width in hidden)
        self.activation = nn.ModuleList(Activation(chosen["activation"]) for _ in hidden)
        self.dropout = nn.ModuleList(Dropout(chosen["dropout"], random) for _ in hidden)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, *inputs.shape); gives (batch, outputs)."""
        x = x.flatten(1)
        for linear, normalization, activation, dropout in zip(self.linear, self.normalization, self.activation, self.dropout, strict=False):
            x = dropout(activation(normalization(linear(x))))
        output: Tensor = self.linear[-1](x)
        return output


NORMALIZATIONS: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda _: nn.Identity(),
    "batch": nn.BatchNorm1d,
    "layer": nn.LayerNorm,
}
