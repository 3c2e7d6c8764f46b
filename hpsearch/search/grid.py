"""Every configuration of a finite space once, in an order shuffled by the seed.

Optuna's own grid repeats a configuration for each value of a parameter that is inactive in it, and keeps its place in attributes. Here the
place is what the history has not tried yet, so a baseline that lies on the grid is not repeated.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping

from hpsearch.errors import InputError
from hpsearch.search.history import History, TrialRecord
from hpsearch.space import Float, SearchSpace
from hpsearch.trial import Json, TrialKind, derive_seed

MOST = 100_000
"""Configurations of the largest grid that is laid out."""


def check_grid(space: SearchSpace) -> int:
    """The number of configurations; raises `InputError` where the space is infinite or too large for a grid."""
    size = space.size()
    if size is None:
        name = next(name for name, p in space.parameters.items() if isinstance(p, Float) and p.step is None)
        raise InputError(f"sampler grid needs a finite space, and {name} takes any value in its range; give it `step` or `values`")
    if size > MOST:
        raise InputError(f"sampler grid would lay out {size:,} configurations, more than {MOST:,}; use sampler random or coarser steps")
    return size


class Grid:
    """Proposes what is left of the grid."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._configurations = list(space.configurations())
        random.Random(derive_seed(seed, "sampler", "grid")).shuffle(self._configurations)
        self._keys = [_key(configuration) for configuration in self._configurations]
        self._tried: dict[int, tuple[Mapping[str, Json], str]] = {}

    def next(self, history: History) -> Mapping[str, Json] | None:
        """The first configuration that no trial has; None when there is none."""
        tried = {self._key_of(trial) for trial in history if trial.kind != TrialKind.RETEST}
        for key, configuration in zip(self._keys, self._configurations, strict=True):
            if key not in tried:
                return configuration
        return None

    def _key_of(self, trial: TrialRecord) -> str:
        """Worked out once for each trial: its parameters stay the same object."""
        parameters, key = self._tried.get(trial.number, ({}, ""))
        if parameters is not trial.parameters:
            key = _key(trial.parameters)
            self._tried[trial.number] = (trial.parameters, key)
        return key


def _key(parameters: Mapping[str, Json]) -> str:
    return json.dumps(dict(parameters), sort_keys=True)
