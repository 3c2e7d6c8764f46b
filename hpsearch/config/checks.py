"""What must hold between the sections of a sweep file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hpsearch.config.fields import Where
from hpsearch.space import SpaceError
from hpsearch.trial import Json

if TYPE_CHECKING:
    from hpsearch.config.model import SweepConfig


def cross_check(config: SweepConfig) -> list[tuple[Where, str]]:
    """All that is wrong, each with its path."""
    return [*_objectives(config), *_baselines(config)]


def _objectives(config: SweepConfig) -> Iterator[tuple[Where, str]]:
    seen: set[str] = set()
    for i, objective in enumerate(config.objective):
        if objective.metric in seen:
            yield ("objective", i, "metric"), f"{objective.metric} is an objective already; remove one of the two"
        seen.add(objective.metric)


def _baselines(config: SweepConfig) -> Iterator[tuple[Where, str]]:
    space = config.space
    known: list[dict[str, Json]] = []
    for i, parameters in enumerate(config.baseline):
        try:
            space.check(parameters)
        except SpaceError as error:
            cure = "" if ";" in str(error) else "; change it, or the space"
            yield ("baseline", i, *error.path), f"{error}{cure}"
            continue
        whole = space.complete(parameters)
        if whole in known:
            yield ("baseline", i), f"is the same configuration as baseline {known.index(whole)}; remove one of the two"
        known.append(whole)
    trials = config.budget.trials
    if trials is not None and len(config.baseline) > trials:
        yield ("baseline",), f"has {len(config.baseline)} configurations, more than budget.trials {trials}, where they count; raise it"
