"""What is known of a transformer before it is built: its hyperparameters, its tokens, its number of parameters. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints, complete
from hpsearch.models.inputs import Inputs
from hpsearch.trial import Json

HYPERPARAMETERS = (
    Hyperparameter("num_layers", 2, "Blocks of attention and feed-forward.", (Ints(1, 128),)),
    Hyperparameter("num_heads", 4, "Heads of each attention; `width` must be a multiple of it.", (Ints(1, 256),)),
    Hyperparameter("width", 64, "Length of the vector that stands for a step.", (Ints(1, 65536),)),
    Hyperparameter("feedforward_factor", 4, "Hidden width of the feed-forward parts, in widths.", (Ints(1, 64),)),
    Hyperparameter(
        "pre_norm",
        True,
        "Normalizes what attention and feed-forward get, and once at the end; false: each sum, as in the first transformer.",
        (Choices((True, False)),),
    ),
    Hyperparameter(
        "dropout",
        0.0,
        "Share of the embedded steps, and of what attention and feed-forward add to them, that training sets to zero.",
        (Floats(min=0, below=1),),
    ),
    Hyperparameter(
        "activation",
        "gelu",
        "In the feed-forward parts.",
        (Choices(("relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid")),),
    ),
    Hyperparameter(
        "positional_encoding",
        "learned",
        "What tells one step from another.",
        (Choices(("learned", "sinusoidal", "none")),),
    ),
    Hyperparameter(
        "pooling",
        "mean",
        "From steps to one vector: their mean, a learned step put before them (class), or the last.",
        (Choices(("mean", "class", "last")),),
    ),
    Hyperparameter(
        "patch_size",
        None,
        "Side of the square patches that an image is cut into; null: the largest that cuts it into at least 4 along each side.",
        (Ints(1, 65536), Choices((None,))),
    ),
)

LEAST_PATCHES = 4
"""Along each side, where nothing is said: patches of 2 pixels for 8 by 8, of 7 for 28 by 28."""


def settle(parameters: Mapping[str, Json], inputs: Inputs) -> dict[str, Json]:
    """The value of each hyperparameter; `patch_size` is a number for images.

    Raises:
        ValueError: a value is not allowed, heads do not divide the width, or patches the image.
    """
    chosen = complete(HYPERPARAMETERS, parameters)
    _check_heads(chosen["width"], chosen["num_heads"])
    if inputs.kind == "image":
        chosen["patch_size"] = _patch_size(chosen["patch_size"], *inputs.shape[1:])
    return chosen


def _check_heads(width: int, heads: int) -> None:
    if width % heads:
        near = " or ".join(str(multiple) for multiple in (width - width % heads, width - width % heads + heads) if multiple)
        fit = ", ".join(str(count) for count in range(1, min(width, 16) + 1) if width % count == 0)
        raise ValueError(
            f"width must be a multiple of num_heads, got width {width} and num_heads {heads}; use width {near}, or heads of {fit}"
        )


def _patch_size(size: int | None, height: int, width: int) -> int:
    common = gcd(height, width)
    fitting = [side for side in range(1, common + 1) if common % side == 0]
    if size is None:
        return max(side for side in fitting if side == 1 or side * LEAST_PATCHES <= min(height, width))
    if size not in fitting:
        sides = ", ".join(map(str, fitting))
        raise ValueError(f"patch_size must divide the image's sides, {height} and {width}, got {size}; these do: {sides}")
    return size


def token_shape(chosen: Mapping[str, Json], inputs: Inputs) -> tuple[int, int]:
    """How many steps attention sees, of how many numbers each: an image's patches, a series' steps, a text's ids."""
    if inputs.kind == "image":
        channels, height, width = inputs.shape
        side: int = chosen["patch_size"]
        return (height // side) * (width // side), channels * side * side
    return inputs.as_sequence


def count_parameters(parameters: Mapping[str, Json], inputs: Inputs, outputs: int) -> int:
    """How many numbers a transformer learns."""
    chosen = settle(parameters, inputs)
    steps, features = token_shape(chosen, inputs)
    width: int = chosen["width"]
    embedding = inputs.vocabulary * width if inputs.kind == "tokens" else (features + 1) * width
    positions = steps * width if chosen["positional_encoding"] == "learned" else 0
    first = width if chosen["pooling"] == "class" else 0
    hidden = chosen["feedforward_factor"] * width
    block = 4 * width * (width + 1) + (width + 1) * hidden + (hidden + 1) * width + 4 * width
    norm = 2 * width if chosen["pre_norm"] else 0
    count: int = embedding + positions + first + chosen["num_layers"] * block + norm + (width + 1) * outputs
    return count
