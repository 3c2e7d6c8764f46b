"""Convolutional networks: over an image's height and width, or over the steps of a series or a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.models.activation import Activation
from hpsearch.models.cnn_plan import Convolution, groups, lay_out, pooled_width, settle
from hpsearch.models.dropout import Dropout, RandomSource
from hpsearch.models.initialization import dense, initialize
from hpsearch.models.inputs import Inputs
from hpsearch.models.tokens import TokenEmbedding
from hpsearch.trial import Json


class CNN(nn.Module):
    """Blocks of convolutions, each followed by normalization and activation; global pooling; a head.

    The padding of a text is steps of zeros, which are convolved and pooled like any other.

    Args:
        parameters: of HYPERPARAMETERS; what is missing has its default.
        inputs: image, sequence or tokens.
        outputs: how many numbers it gives for one example.
        random: gives the trial's own random numbers for a purpose: "init" and "dropout".
    """

    def __init__(self, parameters: Mapping[str, Json], inputs: Inputs, outputs: int, random: RandomSource) -> None:
        super().__init__()
        chosen = settle(parameters)
        layout = lay_out(chosen, inputs)
        start = random("init", torch.device("cpu"))
        self.kind = inputs.kind
        self.embedding = TokenEmbedding(inputs.vocabulary, chosen["embedding_size"], random) if inputs.kind == "tokens" else None
        self.layers = nn.ModuleList(Layer(one, chosen, len(layout.shape) - 1, random) for one in layout.convolutions)
        self.pooling = POOLINGS[chosen["pooling"]]
        hidden = [chosen["hidden_units"]] if chosen["hidden_units"] else []
        sizes = pairwise([pooled_width(chosen, layout), *hidden, outputs])
        self.head = nn.ModuleList(dense(before, after, chosen["initialization"], chosen["activation"], start) for before, after in sizes)
        self.activation = nn.ModuleList(Activation(chosen["activation"]) for _ in hidden)
        self.dropout = nn.ModuleList(Dropout(chosen["dropout"], random) for _ in hidden)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, *inputs.shape); gives (batch, outputs)."""
        if self.embedding is not None:
            x = self.embedding(x)
        if self.kind != "image":
            x = x.transpose(1, 2)
        for layer in self.layers:
            x = layer(x)
        x = self.pooling(x)
        for linear, activation, dropout in zip(self.head, self.activation, self.dropout, strict=False):
            x = dropout(activation(linear(x)))
        output: Tensor = self.head[-1](x)
        return output


class Layer(nn.Module):
    """A convolution with what follows it; `dimensions` is 2 for images, 1 for steps."""

    def __init__(self, one: Convolution, chosen: Mapping[str, Json], dimensions: int, random: RandomSource) -> None:
        super().__init__()
        normalization = chosen["normalization"]
        self.convolution = convolution(one, chosen["kernel_size"], dimensions, normalization == "none", chosen, random)
        self.normalization = NORMALIZATIONS[normalization](one.after, dimensions)
        self.activation = Activation(chosen["activation"])
        is_projected = chosen["residual"] and (one.before != one.after or one.stride != 1)
        self.projection = convolution(one, 1, dimensions, False, chosen, random) if is_projected else nn.Identity()
        self.is_residual = chosen["residual"]
        self.halve = HALVES[chosen["downsampling"], dimensions] if one.is_halved else None
        self.dropout = Dropout(chosen["dropout"] if one.ends_block else 0.0, random)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, height, width) or (batch, channels, steps)."""
        given = self.normalization(self.convolution(x))
        given = self.activation(given + self.projection(x) if self.is_residual else given)
        given = self.halve(given) if self.halve is not None else given
        output: Tensor = self.dropout(given)
        return output


def convolution(
    one: Convolution, kernel_size: int, dimensions: int, has_bias: bool, chosen: Mapping[str, Json], random: RandomSource
) -> nn.Module:
    """Zeros around its input keep the size, but for the stride."""
    kind = nn.Conv2d if dimensions == 2 else nn.Conv1d
    made: nn.Conv1d | nn.Conv2d = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        kind, one.before, one.after, kernel_size, stride=one.stride, padding=kernel_size // 2, bias=has_bias
    )
    with torch.no_grad():
        bias = made.bias if made.bias is not None else torch.empty(one.after)
        initialize(made.weight, bias, chosen["initialization"], chosen["activation"], random("init", torch.device("cpu")))
    return made


def _batch(channels: int, dimensions: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if dimensions == 2 else nn.BatchNorm1d(channels)


NORMALIZATIONS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "none": lambda channels, dimensions: nn.Identity(),
    "batch": _batch,
    "group": lambda channels, dimensions: nn.GroupNorm(groups(channels), channels),
}

HALVES: Mapping[tuple[str, int], Callable[[Tensor], Tensor]] = {
    ("max_pool", 1): lambda x: functional.max_pool1d(x, 2, ceil_mode=True),
    ("max_pool", 2): lambda x: functional.max_pool2d(x, 2, ceil_mode=True),
    ("average_pool", 1): lambda x: functional.avg_pool1d(x, 2, ceil_mode=True),
    ("average_pool", 2): lambda x: functional.avg_pool2d(x, 2, ceil_mode=True),
}
"""Half a window at the end is a window too."""

POOLINGS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "average": lambda x: x.flatten(2).mean(2),
    "max": lambda x: x.flatten(2).amax(2),
    "flatten": lambda x: x.flatten(1),
}
