"""What to do next, from the history alone: `OptunaSearch` composes a sampler with a scheduler, both by name.

    history.py         the committed past, folded from events
    optuna_search.py   propose and judge
    choice.py          what `auto` means; checks without running anything
    samplers.py        the samplers by name, their options, how each is built
    schedulers.py      the schedulers by name, their options, how each is built
    options.py         what an option may be
    reasons.py         why a scheduler stopped a trial, in words
    grid.py            every configuration once
    mirror.py          the history in Optuna's words, kept up to date
    ranking.py         which trials a sampler must not miss
    observations.py    the past as a Gaussian process can use it
    view.py            what Optuna sees during one call, and what it wrote
    replay.py          every recorded decision, asked again
    importance.py      which hyperparameters decide whether a trial is among the best
    study.py           the history as a study in a store of Optuna's own

Importing this room imports neither Optuna nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpsearch.search.choice import Choice, check_search
    from hpsearch.search.optuna_search import OptunaSearch
    from hpsearch.search.samplers import SAMPLERS
    from hpsearch.search.schedulers import SCHEDULERS

__all__ = ["SAMPLERS", "SCHEDULERS", "Choice", "OptunaSearch", "check_search"]

_HOMES = {
    "SAMPLERS": "samplers",
    "SCHEDULERS": "schedulers",
    "Choice": "choice",
    "OptunaSearch": "optuna_search",
    "check_search": "choice",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
