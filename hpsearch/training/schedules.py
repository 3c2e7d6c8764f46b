"""Schedules of the learning rate: a factor for each update, a function of where the training stands: there is no state to save."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

RISE = 0.3
"""The share of a one_cycle training in which the rate rises; torch's OneCycleLR's `pct_start`."""
START_DIVISOR, END_DIVISOR = 25.0, 1e4
"""one_cycle begins at the peak's 25th part and ends at the beginning's 10,000th: OneCycleLR's defaults."""


def constant(_progress: float) -> float:
    return 1.0


def cosine(progress: float) -> float:
    """Reference: arXiv 1608.03983, equation 5, without restarts."""
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress: float) -> float:
    """Reference: arXiv 1708.07120."""
    low, end = 1 / START_DIVISOR, 1 / START_DIVISOR / END_DIVISOR
    if progress < RISE:
        return low + (1 - low) * (1 - cosine(progress / RISE))
    return end + (1 - end) * cosine((progress - RISE) / (1 - RISE))


def step(progress: float) -> float:
    return 0.1 ** ((progress >= 0.5) + (progress >= 0.75))


SCHEDULES: Mapping[str, Callable[[float], float]] = {"constant": constant, "cosine": cosine, "one_cycle": one_cycle, "step": step}
"""By name; from progress in [0, 1] to a factor in [0, 1]."""


def factor(schedule: str, warmup: float, update: int, total: int) -> float:
    """The learning rate's factor for update number `update`, from 0, of `total`.

    Args:
        warmup: a number of updates (int), or a share of all of them (float below 1). The rate rises linearly over them, reaching its
            value at their end; the schedule itself runs over the rest.
    """
    rising = warmup if isinstance(warmup, int) else round(warmup * total)
    if update < rising:
        return (update + 1) / (rising + 1)
    progress = (update - rising) / max(1, total - rising)
    return SCHEDULES[schedule](min(1.0, progress))
