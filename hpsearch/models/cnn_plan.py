"""What is known of a convolutional network before it is built: its hyperparameters, its layers, its number of parameters. No torch here."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints, complete
from hpsearch.models.inputs import Inputs
from hpsearch.trial import Json

HYPERPARAMETERS = (
    Hyperparameter("num_blocks", 2, "Blocks, each of which halves height and width (or steps) at its end.", (Ints(1, 16),)),
    Hyperparameter("layers_per_block", 1, "Convolutions in a block.", (Ints(1, 16),)),
    Hyperparameter("channels", 32, "Of the first block.", (Ints(1, 8192),)),
    Hyperparameter("channel_growth", 2.0, "Channels of a block, in those of the block before it.", (Floats(min=0.25, max=8),)),
    Hyperparameter("kernel_size", 3, "Side of each convolution's window; odd.", (Ints(1, 63),)),
    Hyperparameter(
        "downsampling",
        "max_pool",
        "How a block halves: by pooling at its end, or by a stride of its last convolution. One pixel is not halved any more.",
        (Choices(("max_pool", "average_pool", "stride", "none")),),
    ),
    Hyperparameter(
        "normalization",
        "batch",
        "Between each convolution and its activation; group: over groups of channels (arXiv 1803.08494), 8 of them where that divides.",
        (Choices(("none", "batch", "group")),),
    ),
    Hyperparameter(
        "residual", False, "Adds to each convolution's output what it got, projected where shapes differ.", (Choices((True, False)),)
    ),
    Hyperparameter(
        "activation",
        "relu",
        "After each convolution.",
        (Choices(("relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid")),),
    ),
    Hyperparameter(
        "dropout",
        0.0,
        "Share of what each block, and the head's hidden layer, gives that training sets to zero.",
        (Floats(min=0, below=1),),
    ),
    Hyperparameter(
        "pooling",
        "average",
        "From the last block to the head: the mean or the largest of each channel, or all of it.",
        (Choices(("average", "max", "flatten")),),
    ),
    Hyperparameter("hidden_units", 0, "Width of a hidden layer in the head; 0: none.", (Ints(0, 65536),)),
    Hyperparameter(
        "initialization",
        "default",
        "Of the weights. `default` is that of torch.nn.Conv2d; the others start biases at zero.",
        (Choices(("default", "xavier", "kaiming", "orthogonal")),),
    ),
    Hyperparameter("embedding_size", 64, "Length of a token's vector; only tokens have one.", (Ints(1, 65536),)),
)

GROUPS = 8


def settle(parameters: Mapping[str, Json]) -> dict[str, Json]:
    """The value of each hyperparameter.

    Raises:
        ValueError: a value is not allowed, or a window has no middle.
    """
    chosen = complete(HYPERPARAMETERS, parameters)
    if chosen["kernel_size"] % 2 == 0:
        raise ValueError(f"kernel_size must be odd, so that a window has a middle, got {chosen['kernel_size']}; use values: [3, 5, 7]")
    return chosen


@dataclass(frozen=True, slots=True)
class Convolution:
    """One convolution: channels before and after, its stride, and whether a dropout and a halving by pooling follow."""

    before: int
    after: int
    stride: int
    ends_block: bool
    is_halved: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A network's convolutions, and the shape (channels, height, width) or (channels, steps) that they end with."""

    convolutions: tuple[Convolution, ...]
    shape: tuple[int, ...]


def first_shape(chosen: Mapping[str, Json], inputs: Inputs) -> tuple[int, ...]:
    """Channels first: (channels, height, width) of an image, (features, steps) of a sequence."""
    if inputs.kind == "image":
        return inputs.shape
    if inputs.kind == "tokens":
        return (chosen["embedding_size"], inputs.shape[0])
    steps, features = inputs.as_sequence
    return (features, steps)


def lay_out(chosen: Mapping[str, Json], inputs: Inputs) -> Layout:
    """Every convolution, first to last."""
    channels, *size = first_shape(chosen, inputs)
    made = []
    for after in _widths(chosen):
        for layer in range(chosen["layers_per_block"]):
            ends = layer == chosen["layers_per_block"] - 1
            halves = ends and chosen["downsampling"] != "none" and max(size) > 1
            by_stride = halves and chosen["downsampling"] == "stride"
            made.append(Convolution(channels, after, 2 if by_stride else 1, ends, halves and not by_stride))
            if halves:
                size = [math.ceil(side / 2) for side in size]
            channels = after
    return Layout(tuple(made), (channels, *size))


def _widths(chosen: Mapping[str, Json]) -> Iterator[int]:
    for block in range(chosen["num_blocks"]):
        yield max(1, round(chosen["channels"] * chosen["channel_growth"] ** block))


def groups(channels: int) -> int:
    """The largest number of groups, at most GROUPS, that divides them."""
    return next(count for count in range(min(GROUPS, channels), 0, -1) if channels % count == 0)


def pooled_width(chosen: Mapping[str, Json], layout: Layout) -> int:
    """How many numbers the head gets."""
    return math.prod(layout.shape) if chosen["pooling"] == "flatten" else layout.shape[0]


def count_parameters(parameters: Mapping[str, Json], inputs: Inputs, outputs: int) -> int:
    """How many numbers a convolutional network learns."""
    chosen = settle(parameters)
    layout = lay_out(chosen, inputs)
    window = chosen["kernel_size"] ** (len(layout.shape) - 1)
    count: int = inputs.vocabulary * chosen["embedding_size"] if inputs.kind == "tokens" else 0
    for one in layout.convolutions:
        count += one.before * one.after * window + (1 if chosen["normalization"] == "none" else 2) * one.after
        if chosen["residual"] and (one.before != one.after or one.stride != 1):
            count += one.before * one.after
    widths = [pooled_width(chosen, layout), *([chosen["hidden_units"]] if chosen["hidden_units"] else []), outputs]
    head: int = sum(before * after + after for before, after in pairwise(widths))
    return count + head
