"""What is known of a generative adversarial network before it is built: hyperparameters, layers, number of parameters. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints, complete
from hpsearch.models.inputs import Inputs
from hpsearch.trial import Json

_ACTIVATIONS = Choices(("relu", "leaky_relu", "gelu", "silu", "tanh"))

HYPERPARAMETERS = (
    Hyperparameter(
        "architecture",
        "dense",
        "Of linear layers, or, for images, of convolutions: the discriminator halves height and width, the generator doubles them.",
        (Choices(("dense", "convolutional")),),
    ),
    Hyperparameter("latent_size", 32, "Random numbers that an example is made from.", (Ints(1, 65536),)),
    Hyperparameter("generator_layers", 2, "Hidden layers of the generator.", (Ints(1, 16),)),
    Hyperparameter(
        "generator_units",
        128,
        "Width of the generator's hidden layers; of convolutions: channels of the one before the last, twice as many in each before it.",
        (Ints(1, 65536),),
    ),
    Hyperparameter("discriminator_layers", 2, "Hidden layers of the discriminator.", (Ints(1, 16),)),
    Hyperparameter(
        "discriminator_units",
        128,
        "Width of the discriminator's hidden layers; of convolutions: channels of the first, twice as many in each after it.",
        (Ints(1, 65536),),
    ),
    Hyperparameter("generator_activation", "relu", "After each hidden layer of the generator.", (_ACTIVATIONS,)),
    Hyperparameter("discriminator_activation", "leaky_relu", "After each hidden layer of the discriminator.", (_ACTIVATIONS,)),
    Hyperparameter("normalization", "none", "Of the generator, before each activation.", (Choices(("none", "batch")),)),
    Hyperparameter("dropout", 0.0, "Share of the discriminator's hidden outputs that training sets to zero.", (Floats(min=0, below=1),)),
    Hyperparameter(
        "loss",
        "non_saturating",
        "What the two play for: arXiv 1406.2661 section 3, the hinge of arXiv 1705.02894, or the Wasserstein distance of arXiv 1701.07875.",
        (Choices(("non_saturating", "hinge", "wasserstein")),),
    ),
    Hyperparameter(
        "gradient_penalty",
        10.0,
        "How much the discriminator's slope is held at 1 (arXiv 1704.00028).",
        (Floats(min=0, max=1000),),
        only_with={"loss": ("wasserstein",)},
    ),
    Hyperparameter(
        "spectral_normalization",
        False,
        "Holds the largest singular value of each of the discriminator's weights at 1 (arXiv 1802.05957).",
        (Choices((True, False)),),
    ),
)

KERNEL = 4


def settle(parameters: Mapping[str, Json], inputs: Inputs) -> dict[str, Json]:
    """The value of each hyperparameter.

    Raises:
        ValueError: a value is not allowed, or convolutions have no image whose sides can be halved so often.
    """
    chosen = complete(HYPERPARAMETERS, parameters)
    if chosen["architecture"] == "dense":
        return chosen
    if inputs.kind != "image":
        raise ValueError(f"architecture: convolutional is for images, and an example of these data is {inputs.kind}; use dense")
    for part in ("generator_layers", "discriminator_layers"):
        most = halvings(inputs.shape[1:])
        if chosen[part] > most:
            height, width = inputs.shape[1:]
            cure = f"use at most {most}, or dense" if most else "use architecture: dense"
            raise ValueError(f"{part}: {height} x {width} pixels can be halved evenly {most} times, got {chosen[part]}; {cure}")
    return chosen


def halvings(size: Sequence[int]) -> int:
    """How often all sides can be halved."""
    count = 0
    while all(side % 2 ** (count + 1) == 0 for side in size):
        count += 1
    return count


def generator_sizes(chosen: Mapping[str, Json], inputs: Inputs) -> list[int]:
    """Of the dense layers."""
    return [chosen["latent_size"], *[chosen["generator_units"]] * chosen["generator_layers"], inputs.size]


def discriminator_sizes(chosen: Mapping[str, Json], inputs: Inputs) -> list[int]:
    """Of the dense layers."""
    return [inputs.size, *[chosen["discriminator_units"]] * chosen["discriminator_layers"], 1]


def pyramid(units: int, layers: int, inputs: Inputs) -> list[tuple[int, int, int]]:
    """(channels, height, width) from an image down, each further level with half the side and twice the channels."""
    channels, height, width = inputs.shape
    levels = [(units * 2**level, height // 2 ** (level + 1), width // 2 ** (level + 1)) for level in range(layers)]
    return [(channels, height, width), *levels]


def count_parameters(parameters: Mapping[str, Json], inputs: Inputs, outputs: int) -> int:
    """How many numbers generator and discriminator learn; `outputs` changes nothing."""
    chosen = settle(parameters, inputs)
    norm = 2 if chosen["normalization"] == "batch" else 0
    if chosen["architecture"] == "dense":
        generator, discriminator = generator_sizes(chosen, inputs), discriminator_sizes(chosen, inputs)
        count: int = sum(a * b + b for sizes in (generator, discriminator) for a, b in pairwise(sizes)) + norm * sum(generator[1:-1])
        return count
    up = pyramid(chosen["generator_units"], chosen["generator_layers"], inputs)[::-1]
    down = pyramid(chosen["discriminator_units"], chosen["discriminator_layers"], inputs)
    first, last = _flat(up[0]), _flat(down[-1])
    made = chosen["latent_size"] * first + first + norm * sum(level[0] for level in up[:-1])
    made += sum(a[0] * b[0] * KERNEL**2 + b[0] for levels in (up, down) for a, b in pairwise(levels))
    convolved: int = made + last + 1
    return convolved


def _flat(shape: tuple[int, int, int]) -> int:
    channels, height, width = shape
    return channels * height * width
