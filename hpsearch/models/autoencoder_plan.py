"""What is known of an autoencoder before it is built: its hyperparameters, its layers, its number of parameters. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints, ListOf, complete
from hpsearch.models.inputs import Inputs
from hpsearch.models.mlp_plan import hidden_widths
from hpsearch.trial import Json

HYPERPARAMETERS = (
    Hyperparameter(
        "architecture",
        "dense",
        "Of linear layers, or, for images, of convolutions that halve height and width, and their transposes.",
        (Choices(("dense", "convolutional")),),
    ),
    Hyperparameter("bottleneck", 16, "Numbers that stand for an example.", (Ints(1, 65536),)),
    Hyperparameter(
        "num_layers",
        None,
        "Hidden layers (or convolutions) of encoder and decoder each; null means as many as `hidden_units` lists, or 2.",
        (Ints(0, 64), Choices((None,))),
    ),
    Hyperparameter(
        "hidden_units",
        128,
        "Width of the encoder's hidden layers, or a list with one for each; the decoder has them in reverse.",
        (Ints(1, 65536), ListOf(Ints(1, 65536))),
        only_with={"architecture": ("dense",)},
    ),
    Hyperparameter(
        "channels",
        16,
        "Of the first convolution; each further one has twice as many.",
        (Ints(1, 8192),),
        only_with={"architecture": ("convolutional",)},
    ),
    Hyperparameter(
        "activation",
        "relu",
        "What follows each hidden layer.",
        (Choices(("relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid")),),
    ),
    Hyperparameter("normalization", "none", "Between each hidden layer and its activation.", (Choices(("none", "batch")),)),
    Hyperparameter("dropout", 0.0, "Share of each hidden layer's outputs that training sets to zero.", (Floats(min=0, below=1),)),
    Hyperparameter(
        "denoising",
        0.0,
        "Standard deviation of the noise that training adds to the input, and that the output is to be without.",
        (Floats(min=0, max=10),),
    ),
    Hyperparameter("variational", False, "The encoder gives a distribution, of which training draws.", (Choices((True, False)),)),
    Hyperparameter(
        "kl_weight",
        1.0,
        "How much the distance of that distribution from N(0, 1) weighs beside the squared error, each summed over an example's numbers.",
        (Floats(min=0, max=1000),),
        only_with={"variational": (True,)},
    ),
)


def settle(parameters: Mapping[str, Json], inputs: Inputs) -> dict[str, Json]:
    """The value of each hyperparameter.

    Raises:
        ValueError: a value is not allowed, or convolutions have no image, or no pixels left to halve.
    """
    chosen = complete(HYPERPARAMETERS, parameters)
    if chosen["architecture"] == "dense":
        return chosen
    if inputs.kind != "image":
        raise ValueError(f"architecture: convolutional is for images, and an example of these data is {inputs.kind}; use dense")
    _, height, width = inputs.shape
    asked, most = convolutions(chosen), (max(height, width) - 1).bit_length()
    if asked > most:
        raise ValueError(
            f"num_layers: {height} x {width} pixels are a single one after {most} halvings, got {asked}; use at most {most}, or dense"
        )
    return chosen


def convolutions(chosen: Mapping[str, Json]) -> int:
    """How many the encoder has, and the decoder."""
    return 2 if chosen["num_layers"] is None else int(chosen["num_layers"])


def dense_sizes(chosen: Mapping[str, Json], inputs: Inputs) -> list[int]:
    """Of the encoder's layers, from an example to the code."""
    return [inputs.size, *hidden_widths(chosen), chosen["bottleneck"]]


def convolution_shapes(chosen: Mapping[str, Json], inputs: Inputs) -> list[tuple[int, int, int]]:
    """(channels, height, width) before and after each of the encoder's convolutions; a side of one pixel stays."""
    channels, height, width = inputs.shape
    shapes = [(channels, height, width)]
    for layer in range(convolutions(chosen)):
        height, width = -(-height // 2), -(-width // 2)
        shapes.append((chosen["channels"] * 2**layer, height, width))
    return shapes


KERNEL = 3


def count_parameters(parameters: Mapping[str, Json], inputs: Inputs, outputs: int) -> int:
    """How many numbers encoder and decoder learn; `outputs` changes nothing."""
    chosen = settle(parameters, inputs)
    norm = 2 if chosen["normalization"] == "batch" else 0
    code = chosen["bottleneck"] * (2 if chosen["variational"] else 1)
    if chosen["architecture"] == "dense":
        sizes = dense_sizes(chosen, inputs)
        encoder = sum(a * b + b for a, b in pairwise([*sizes[:-1], code]))
        decoder = sum(a * b + b for a, b in pairwise(sizes[::-1]))
        count: int = encoder + decoder + 2 * norm * sum(sizes[1:-1])
        return count
    shapes = convolution_shapes(chosen, inputs)
    channels, height, width = shapes[-1]
    flat = channels * height * width
    both = sum(2 * a[0] * b[0] * KERNEL**2 + a[0] + b[0] for a, b in pairwise(shapes))
    normalized = norm * sum(shape[0] for shape in (*shapes[1:], *shapes[1:-1]))
    dense: int = flat * code + code + chosen["bottleneck"] * flat + flat
    return both + normalized + dense
