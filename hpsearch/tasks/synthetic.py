"""Data that are made, not found: always the same, and documented, so that it is known what there is to learn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

STEPS = 2_400


def seasons(steps: int = STEPS) -> NDArray[np.float64]:
    """(steps, 1): like a load measured each hour, with a day of 24 and a week of 168 steps.

    The day's swing is the larger the further the week has gone, and turns its shape at the week's end; on it lies an autoregressive
    noise with a memory of some hours (0.9 from step to step), which last day's value knows nothing of.
    """
    random = np.random.default_rng(0)
    time = np.arange(steps)
    week = np.sin(2 * np.pi * time / 168)
    day = np.sin(2 * np.pi * time / 24) * (1 + 0.5 * week) + 0.4 * np.cos(4 * np.pi * time / 24) * (week > 0)
    noise = np.zeros(steps)
    for step in range(1, steps):
        noise[step] = 0.9 * noise[step - 1] + 0.2 * random.standard_normal()
    made: NDArray[np.float64] = (10 + 3 * day + 2 * week + 2 * noise)[:, None]
    return made


ASPECTS = (
    "battery", "screen", "camera", "keyboard", "sound", "handle", "zipper", "fabric", "motor", "packaging", "manual", "remote", "charger",
    "lid", "filter", "display", "strap", "blade", "pump", "lens",
)  # fmt: skip
ADJECTIVES = {
    "positive": (
        "great", "excellent", "sturdy", "reliable", "bright", "comfortable", "perfect", "lovely", "solid", "quick", "useful", "superb",
        "elegant", "precise", "smooth", "handy", "durable", "clever", "crisp", "delightful", "flawless", "generous", "robust", "splendid",
    ),
    "negative": (
        "terrible", "flimsy", "noisy", "useless", "awful", "slow", "ugly", "fragile", "annoying", "poor", "cheap", "weak",
        "clumsy", "faulty", "dull", "brittle", "sticky", "shoddy", "crooked", "dreadful", "leaky", "mediocre", "sluggish", "wobbly",
    ),
}  # fmt: skip
VERBS = {"positive": ("love", "like", "enjoy", "trust", "recommend"), "negative": ("hate", "dislike", "regret", "return", "avoid")}
NEGATIONS = ("not", "never", "hardly", "not at all", "far from", "by no means")
INTENSITIES = ("", "", "very", "really", "quite", "so")
OPENINGS = (
    "", "", "i bought it last week .", "this was a gift for my brother .", "it arrived on monday .", "we use it in the kitchen .",
    "my second one from this shop .", "i have had it for a month .",
)  # fmt: skip
CLOSINGS = ("", "", "", "that is all .", "the colour is blue .", "i paid with a voucher .")

NEGATED = 1 / 3
"""Share of judgements: with half, single words would say nothing at all, and networks take very long to find out what does."""

REVIEWS = 2_400


def reviews(count: int = REVIEWS) -> tuple[list[str], list[str]]:
    """Texts, all different, and what each says of a product: "positive" or "negative", as many of the one as of the other.

    A text judges once, or twice with contrary judgements, joined so that one of them counts: the one after "but", and the one that does
    not follow "although". A third of all judgements are negated ("the lens is not very bright"). So single words say next to nothing of
    the label, and their order says all: there is no noise.
    """
    random = np.random.default_rng(0)
    made: dict[str, str] = {}
    while len(made) < count:
        label = ("positive", "negative")[len(made) % 2]
        made.setdefault(_review(label, random), label)
    return list(made), list(made.values())


def _review(label: str, random: np.random.Generator) -> str:
    other = "negative" if label == "positive" else "positive"
    counts, yields = _judgement(label, random), _judgement(other, random)
    bodies = (counts, counts, f"{yields} , but {counts}", f"although {yields} , {counts}", f"{counts} , although {yields}")
    return " ".join(part for part in (_one(OPENINGS, random), _one(bodies, random), ".", _one(CLOSINGS, random)) if part)


def _judgement(label: str, random: np.random.Generator) -> str:
    negated = random.random() < NEGATED
    said = label if not negated else "negative" if label == "positive" else "positive"
    aspect = _one(ASPECTS, random)
    if random.random() < 0.3:
        return f"i {'do not ' if negated else ''}{_one(VERBS[said], random)} the {aspect}"
    known = ADJECTIVES[said]
    adjective = known[int(len(known) * random.random() ** 2)]  # the first are the most frequent
    words = ("the", aspect, "is", _one(NEGATIONS, random) if negated else "", _one(INTENSITIES, random), adjective)
    return " ".join(word for word in words if word)


def _one(choices: Sequence[str], random: np.random.Generator) -> str:
    return choices[int(random.integers(len(choices)))]
