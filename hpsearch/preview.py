"""What a sweep file would do, without doing it: its space, and the first configurations that its own search would try."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.config import SweepConfig
from hpsearch.config.home import Home
from hpsearch.events import Event, TrialCreated
from hpsearch.plan import Plan, make_plan
from hpsearch.search.history import History
from hpsearch.trial import Json, Start, TrialKind, derive_seed

if TYPE_CHECKING:
    from hpsearch.tasks.label_errors import LabelCheck


@dataclass(frozen=True, slots=True)
class Sample:
    """A configuration with what is known of it before it trains, such as its number of parameters."""

    parameters: Mapping[str, Json]
    metrics: Mapping[str, float]
    broken: str | None
    """The constraint that it breaks, in words."""


@dataclass(frozen=True, slots=True)
class Preview:
    """A sweep file that may be run."""

    config: SweepConfig
    samples: list[Sample]
    search: str
    """What its sampler and scheduler are, with what `auto` comes to: `tpe, median after 4 epochs`."""
    warnings: Sequence[str]
    """What was found in its data."""


def preview(config: SweepConfig, samples: int = 3) -> Preview:
    """Check everything that `run` would check before it begins, data included, in a folder that is gone afterwards.

    Raises:
        InputError: as `run` would.
    """
    plan = make_plan(config)
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        plan.prepare(Home(Path(folder), "", ""))
        tried = [_sample(plan, parameters) for parameters in _first_proposals(plan, samples)]
    return Preview(config, tried, plan.search(config.budget.trials).describe(), plan.task.warnings)


def preview_labels(config: SweepConfig) -> LabelCheck:
    """Labels that are probably wrong, by cross-validation; takes seconds. Raises `InputError` as `run` would, and for other tasks."""
    return make_plan(config).check_labels()


def _first_proposals(plan: Plan, wanted: int) -> list[Mapping[str, Json]]:
    """As if nothing had come back yet: the baselines wait, and so does each proposal before the next."""
    history = _with(History(plan.config.objectives), *plan.baselines())
    search, proposals = plan.search(plan.config.budget.trials), []
    for _ in range(wanted):
        start = search.propose(history)
        if not isinstance(start, Start):
            break
        number = len(history)
        seed = derive_seed(plan.config.search.seed, "trial", number)
        created = TrialCreated(
            number, TrialKind.SEARCH, start.parameters, seed, start.until_step, proposed=True, search_state=start.search_state
        )
        history = _with(history, created)
        proposals.append(start.parameters)
    return proposals


def _with(history: History, *created: TrialCreated) -> History:
    return history.apply(Event(history.seq + 1 + i, 0, body) for i, body in enumerate(created))


def _sample(plan: Plan, parameters: Mapping[str, Json]) -> Sample:
    return Sample(parameters, plan.task.static_metrics(parameters), plan.broken_constraint(parameters))
