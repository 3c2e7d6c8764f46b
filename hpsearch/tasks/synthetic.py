"""Data that are made, not found: always the same, and documented, so that it is known what there is to learn."""

from __future__ import annotations

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
