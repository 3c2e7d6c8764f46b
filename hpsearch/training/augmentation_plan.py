"""The hyperparameters of augmentation, all off by default, and which of them suit what kind of input. No torch here."""

from __future__ import annotations

from collections.abc import Collection

from hpsearch.models.hyperparameter import Floats, Hyperparameter
from hpsearch.models.inputs import InputKind

_OF_IMAGES: tuple[Hyperparameter, ...] = (
    Hyperparameter(
        "augment_shift",
        0.0,
        "Images are shifted by up to this share of the width and of the height, either way.",
        (Floats(min=0, max=0.5),),
    ),
    Hyperparameter("augment_rotation", 0.0, "Images are turned by up to so many degrees, either way.", (Floats(min=0, max=180),)),
    Hyperparameter("augment_scale", 0.0, "Images are made larger or smaller by up to this share of their size.", (Floats(min=0, max=0.9),)),
    Hyperparameter(
        "cutout",
        0.0,
        "Side of a square, somewhere in each image, that is set to the background: a share of the image's shorter side.",
        (Floats(min=0, max=1),),
    ),
)

_OF_NUMBERS: tuple[Hyperparameter, ...] = (
    Hyperparameter("augment_noise", 0.0, "Standard deviation of Gaussian noise on the standardised inputs.", (Floats(min=0),)),
    Hyperparameter(
        "mixup",
        0.0,
        "Examples are mixed in pairs, by a share that is drawn for each batch from Beta(mixup, mixup); 0: not at all.",
        (Floats(min=0),),
    ),
)

AUGMENTATION_HYPERPARAMETERS: tuple[Hyperparameter, ...] = (*_OF_IMAGES, *_OF_NUMBERS)
"""Of every training on examples with targets."""


def suited(kind: InputKind) -> tuple[Hyperparameter, ...]:
    """Those of AUGMENTATION_HYPERPARAMETERS that can be used on such inputs. Of tokens, which are no numbers, there are none."""
    return {"image": AUGMENTATION_HYPERPARAMETERS, "rows": _OF_NUMBERS, "sequence": _OF_NUMBERS, "tokens": ()}[kind]


def check_suited(kind: InputKind, names: Collection[str]) -> None:
    """Raises ValueError if one of `names` is a hyperparameter of augmentation that cannot be used on such inputs."""
    fit = [hyperparameter.name for hyperparameter in suited(kind)]
    for hyperparameter in AUGMENTATION_HYPERPARAMETERS:
        if hyperparameter.name in names and hyperparameter.name not in fit:
            left = f"; {' and '.join(fit)} can be used" if fit else ""
            raise ValueError(f"{hyperparameter.name} is not for inputs of kind {kind}{left}; leave it out of the space")
