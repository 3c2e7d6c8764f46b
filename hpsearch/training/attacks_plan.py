"""What is attacked how: the attack that accuracy is measured under, and the hyperparameters of adversarial training. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from hpsearch.models.hyperparameter import Choices, Floats, Hyperparameter, Ints, complete
from hpsearch.trial import Json

ADVERSARIAL_HYPERPARAMETERS: tuple[Hyperparameter, ...] = (
    Hyperparameter(
        "adversarial",
        "none",
        "Train on attacked images: by fgsm in one step along the gradient's sign, by pgd in several from a random start.",
        (Choices(("none", "fgsm", "pgd")),),
    ),
    Hyperparameter(
        "adversarial_epsilon",
        0.1,
        "The largest change that an attack makes to a pixel; 1 is the way from the darkest to the lightest.",
        (Floats(above=0, max=1),),
        only_with={"adversarial": ("fgsm", "pgd")},
    ),
    Hyperparameter(
        "adversarial_steps",
        7,
        "Steps of pgd, each 2.5 * epsilon / steps long.",
        (Ints(1, 1000),),
        only_with={"adversarial": ("pgd",)},
    ),
    Hyperparameter(
        "adversarial_share",
        0.5,
        "The weight of the attacked images' loss in each batch; the images as they are have the rest.",
        (Floats(above=0, max=1),),
        only_with={"adversarial": ("fgsm", "pgd")},
    ),
)
"""Of trainings on images. The share's default is that of Goodfellow et al., arXiv 1412.6572, section 6; Madry et al., arXiv 1706.06083,
train on attacked images alone, which is 1."""


@dataclass(frozen=True, slots=True)
class Attack:
    """`kind` is fgsm or pgd; `epsilon`: the largest change of a pixel, 1 from darkest to lightest; `steps`: of pgd."""

    kind: str = "pgd"
    epsilon: float = 0.1
    steps: int = 10

    @classmethod
    def of(cls, parameters: Mapping[str, Json]) -> Self | None:
        """What a trial's parameters have it trained against, if anything."""
        chosen = complete(ADVERSARIAL_HYPERPARAMETERS, parameters)
        if chosen["adversarial"] == "none":
            return None
        return cls(chosen["adversarial"], chosen["adversarial_epsilon"], chosen["adversarial_steps"])
