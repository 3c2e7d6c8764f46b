"""What MLflow imports to load a registered network: it is named in the model's MLmodel file, so it must stay where it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpsearch.tasks.predictor import Predictor


def _load_pyfunc(path: str) -> Predictor:
    """MLflow's: something with a method `predict`, from the model's data."""
    from hpsearch.tasks.predictor import Predictor

    return Predictor.load(Path(path))
