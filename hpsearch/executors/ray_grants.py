"""What of a cluster's GPUs is given out, where each assignment says for itself how much it needs (`gpus: auto`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray import tune

from hpsearch.trial import Assignment, Resources

HOLD_S = 30.0
"""For how long an assignment may wait for its GPU while smaller ones are given out, which might never leave it room."""


def request(resources: Resources) -> tune.PlacementGroupFactory:
    """What Ray is asked for: it tells an autoscaler of what it cannot place."""
    return tune.PlacementGroupFactory([{"CPU": resources.cpus, "GPU": resources.gpus}])


class Grants:
    """Of what is given and not yet over. A number of GPUs that is the same for all trials needs no accounting: Ray does it.

    Args:
        gpus: of the whole cluster, now.
    """

    def __init__(self, packed: bool, gpus: Callable[[], float] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._packed = packed
        self._gpus = gpus or _gpus_there
        self._clock = clock
        self._given: dict[str, float] = {}
        self._waiting: dict[str, float] = {}

    def have_room(self) -> bool:
        """Whether another assignment may be asked for: the last one may be more than fits, and is what an autoscaler hears of."""
        if not self._packed:
            return True
        if any(self._clock() - since > HOLD_S for since in self._waiting.values()):
            return False
        return sum(self._given.values()) < self._gpus()

    def given(self, trial_id: str, assignment: Assignment) -> None:
        self._given[trial_id] = assignment.resources.gpus
        self._waiting[trial_id] = self._clock()

    def begun(self, trial_id: str) -> None:
        self._waiting.pop(trial_id, None)

    def ended(self, trial_id: str) -> None:
        self._given.pop(trial_id, None)
        self._waiting.pop(trial_id, None)


def _gpus_there() -> float:
    there: Mapping[str, Any] = ray.cluster_resources()
    return float(there.get("GPU", 0.0))
