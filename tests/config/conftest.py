from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.config import SweepConfig, load

DIGITS = """\
task: {kind: classification, data: digits, model: mlp}
objective: {metric: val_accuracy, goal: maximize}
space:
  learning_rate: {min: 1e-5, max: 0.1, log: true}
  optimizer: {values: [adamw, sgd]}
  momentum: {min: 0.5, max: 0.99, when: {optimizer: sgd}}
  activation: relu
budget: {trials: 60}
"""

Load = Callable[..., SweepConfig]


@pytest.fixture
def load_text(tmp_path: Path) -> Load:
    """Load a text as `digits.yaml`, with overrides."""

    def load_as_file(text: str = DIGITS, *overrides: str) -> SweepConfig:
        path = tmp_path / "digits.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, overrides)

    return load_as_file


@pytest.fixture
def digits() -> str:
    return DIGITS
