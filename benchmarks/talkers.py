"""Trainings that do nothing but report ten metrics a step, and note how long each report kept them. tracking.yaml searches it."""

from __future__ import annotations

import json
import time
from typing import Any

METRICS = tuple(f"metric_{i}" for i in range(10))


def values(step: int) -> dict[str, float]:
    """What a step reports."""
    return {name: 1 / step + i for i, name in enumerate(METRICS)}


def train(trial: Any) -> None:
    """For hpsearch. A step takes `pace_s` seconds; workers are spread over it, as those of trainings are."""
    pace_s, stalls = trial.params["pace_s"], []
    time.sleep(pace_s * trial.params["phase"])
    for step in trial.steps():
        if pace_s:
            time.sleep(pace_s)
        if trial.is_last:  # the report that ends a trial waits for its answer
            trial.save_artifact("stalls.json", json.dumps(stalls).encode())
        began = time.perf_counter()
        trial.report(step, values(step))
        stalls.append(time.perf_counter() - began)
