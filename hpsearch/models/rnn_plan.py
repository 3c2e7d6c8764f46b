"""What is known of a recurrent network before it is built: its hyperparameters and its number of parameters. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints, complete
from hpsearch.models.inputs import Inputs
from hpsearch.trial import Json

HYPERPARAMETERS = (
    Hyperparameter("cell", "lstm", "What is repeated at each step.", (Choices(("rnn", "lstm", "gru")),)),
    Hyperparameter("num_layers", 1, "Recurrent layers, one on top of the other.", (Ints(1, 64),)),
    Hyperparameter("hidden_size", 128, "Width of each layer's state; of each direction's, if it is bidirectional.", (Ints(1, 65536),)),
    Hyperparameter("bidirectional", False, "Each layer also reads the steps from last to first.", (Choices((True, False)),)),
    Hyperparameter("dropout", 0.0, "Share of what layers give, and the head gets, that training sets to zero.", (Floats(min=0, below=1),)),
    Hyperparameter(
        "pooling",
        "last",
        "From steps to one vector: the last (the first, for a direction that reads backwards), their mean, or one with learned weights.",
        (Choices(("last", "mean", "attention")),),
    ),
    Hyperparameter("activation", "tanh", "Of the plain cell.", (Choices(("tanh", "relu")),), only_with={"cell": ("rnn",)}),
    Hyperparameter(
        "recurrent_initialization",
        "default",
        "Of the weights from step to step, gate by gate. `default` is that of torch's recurrent layers.",
        (Choices(("default", "orthogonal")),),
    ),
    Hyperparameter(
        "forget_bias",
        1.0,
        "What the bias of the forget gate starts at: the larger, the longer it remembers at first.",
        (Floats(min=0, max=100),),
        only_with={"cell": ("lstm",)},
    ),
    Hyperparameter("embedding_size", 64, "Length of a token's vector; only tokens have one.", (Ints(1, 65536),)),
)

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def layer_widths(chosen: Mapping[str, Json], inputs: Inputs) -> list[int]:
    """Numbers at each step: what the first layer gets, then what each layer gives."""
    features: int = chosen["embedding_size"] if inputs.kind == "tokens" else inputs.as_sequence[1]
    given: int = chosen["hidden_size"] * (2 if chosen["bidirectional"] else 1)
    return [features] + [given] * chosen["num_layers"]


def count_parameters(parameters: Mapping[str, Json], inputs: Inputs, outputs: int) -> int:
    """How many numbers a recurrent network learns."""
    chosen = complete(HYPERPARAMETERS, parameters)
    widths, hidden = layer_widths(chosen, inputs), chosen["hidden_size"]
    width = widths[-1]
    recurrent = sum(after * GATES[chosen["cell"]] * (before + hidden + 2) for before, after in pairwise(widths))
    embedding = inputs.vocabulary * widths[0] if inputs.kind == "tokens" else 0
    pooling = width * (width + 2) if chosen["pooling"] == "attention" else 0
    count: int = embedding + recurrent + pooling + (width + 1) * outputs
    return count
