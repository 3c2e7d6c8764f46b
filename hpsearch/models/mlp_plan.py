"""What is known of an MLP before it is built: its hyperparameters, its layers' widths, its number of parameters. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints, ListOf, complete
from hpsearch.models.inputs import Inputs
from hpsearch.trial import Json

HYPERPARAMETERS = (
    Hyperparameter(
        "num_layers",
        None,
        "Hidden layers; null means as many as `hidden_units` lists, or 2.",
        (Ints(0, 64), Choices((None,))),
    ),
    Hyperparameter(
        "hidden_units",
        128,
        "Width of the hidden layers: one for all, or a list with one for each, of which the last repeats.",
        (Ints(1, 65536), ListOf(Ints(1, 65536))),
    ),
    Hyperparameter(
        "activation",
        "relu",
        "What follows each hidden layer.",
        (Choices(("relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid")),),
    ),
    Hyperparameter("dropout", 0.0, "Share of each hidden layer's outputs that training sets to zero.", (Floats(min=0, below=1),)),
    Hyperparameter(
        "normalization",
        "none",
        "Between each hidden layer and its activation.",
        (Choices(("none", "batch", "layer")),),
    ),
    Hyperparameter(
        "initialization",
        "default",
        "Of the weights. `default` is that of torch.nn.Linear; the others start biases at zero.",
        (Choices(("default", "xavier", "kaiming", "orthogonal")),),
    ),
)


def hidden_widths(parameters: Mapping[str, Json]) -> list[int]:
    """The width of each hidden layer, first to last."""
    units, layers = parameters["hidden_units"], parameters["num_layers"]
    widths: list[int] = list(units) if isinstance(units, list | tuple) else [units]
    if layers is None:
        layers = len(widths) if isinstance(units, list | tuple) else 2
    depth: int = layers
    return (widths + widths[-1:] * depth)[:depth]


def count_parameters(parameters: Mapping[str, Json], inputs: Inputs, outputs: int) -> int:
    """How many numbers an MLP learns."""
    chosen = complete(HYPERPARAMETERS, parameters)
    hidden = hidden_widths(chosen)
    linear = sum(before * after + after for before, after in pairwise([inputs.size, *hidden, outputs]))
    return linear + (2 * sum(hidden) if chosen["normalization"] != "none" else 0)
