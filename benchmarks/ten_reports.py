"""Trainings that cost nothing: what is left is what the machinery around them costs. ten_reports.yaml searches the first."""

from __future__ import annotations

import time
from typing import Any

STEPS = 10

TOLD_AT_ONCE_S = 0.06
"""A step longer than the executor gathers reports for: each is then a result of Tune's of its own."""


def losses(x: float) -> list[float]:
    return [(x - 0.3) ** 2 + 1 / step for step in range(1, STEPS + 1)]


def train(trial: Any) -> None:
    """For hpsearch."""
    curve = losses(trial.params["x"])
    for step in trial.steps():
        trial.report(step, {"loss": curve[step - 1]})


def train_for_ever_so_long(trial: Any) -> None:
    """Any number of steps without a pause."""
    for step in trial.steps():
        trial.report(step, {"loss": trial.params["x"]})


def train_slowly(trial: Any) -> None:
    """Any number of steps, each told at once."""
    for step in trial.steps():
        time.sleep(TOLD_AT_ONCE_S)
        trial.report(step, {"loss": trial.params["x"]})
