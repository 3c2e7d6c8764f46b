"""The samplers by name: which options each takes, how much of the past it is shown, and how it is built.

A sampler is built anew for each proposal and seeded with the trial's number, so that nothing is kept between two calls. Optuna is imported
when one is built (torch too, by `gp` alone).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from hpsearch.search.options import Option
from hpsearch.trial import Json, derive_seed

Distributions: TypeAlias = Mapping[str, Any]
"""Name to Optuna distribution, in the order of the names."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What a sampler is built for: the sweep's seed, the number of the trial to propose, the space, and the number of objectives.

    `groups` are the parameters by what they are conditional on, parents first.
    """

    seed: int
    number: int
    groups: Sequence[Distributions]
    objectives: int = 1

    @property
    def own_seed(self) -> int:
        return derive_seed(self.seed, "sampler", self.number)


@dataclass(frozen=True, slots=True)
class SamplerEntry:
    """`sees`: the most finished trials it is shown (0: it does not look at the past). `build` is None where Optuna has no part in it."""

    doc: str
    sees: int = 0
    options: Mapping[str, Option] = field(default_factory=dict)
    build: Callable[[Mapping[str, Json], Draw], Any] | None = None
    learns_from_all: bool = False


def _random(options: Mapping[str, Json], draw: Draw) -> Any:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=draw.own_seed, **options)


def _qmc(options: Mapping[str, Json], draw: Draw) -> Any:
    """One sequence for the whole sweep, over all parameters: coordinates of those that are inactive are dropped.

    Scrambled unless told otherwise: the plain Sobol sequence begins where every parameter is at its minimum, whatever the seed.
    """
    from optuna.samplers import QMCSampler

    varying = {name: distribution for group in draw.groups for name, distribution in group.items()}

    class OverAll(QMCSampler):  # type: ignore[misc]
        def infer_relative_search_space(self, *_: Any) -> dict[str, Any]:
            return varying

    settings = {"scramble": True, **options}
    return OverAll(seed=derive_seed(draw.seed, "sampler"), warn_independent_sampling=False, **settings)


def _tpe(options: Mapping[str, Json], draw: Draw) -> Any:
    """Jointly over the parameters that are active together; with several objectives each for itself, as in Optuna.

    Optuna finds these groups (its option `group`) by going through all trials at each proposal. Here the space tells them.
    """
    from optuna.samplers import TPESampler

    if not options.get("multivariate", draw.objectives == 1):
        return TPESampler(seed=draw.own_seed, **options)
    varying = {name: distribution for group in draw.groups for name, distribution in group.items()}

    class Grouped(TPESampler):  # type: ignore[misc]
        def infer_relative_search_space(self, *_: Any) -> dict[str, Any]:
            return varying

        def sample_relative(self, study: Any, trial: Any, _: Any) -> dict[str, Any]:
            sample = super().sample_relative
            return {name: value for group in draw.groups for name, value in sample(study, trial, group).items()}

    return Grouped(seed=draw.own_seed, **options)


def _gp(options: Mapping[str, Json], draw: Draw) -> Any:
    from optuna.samplers import GPSampler

    return GPSampler(seed=draw.own_seed, warn_independent_sampling=False, **options)


SAMPLERS: Mapping[str, SamplerEntry] = {
    "auto": SamplerEntry("grid where the whole grid fits into the budget's trials, else tpe"),
    "random": SamplerEntry("independent draws", build=_random),
    "grid": SamplerEntry("every configuration of a finite space once, in a shuffled order"),
    "qmc": SamplerEntry(
        "a low-discrepancy sequence",
        options={"qmc_type": Option("word", words=("sobol", "halton")), "scramble": Option("boolean")},
        build=_qmc,
    ),
    "tpe": SamplerEntry(
        "a tree-structured Parzen estimator",
        sees=400,
        options={
            "n_startup_trials": Option("integer", 1),
            "n_ei_candidates": Option("integer", 1),
            "multivariate": Option("boolean"),
            "constant_liar": Option("boolean"),
        },
        build=_tpe,
    ),
    "gp": SamplerEntry(
        "a Gaussian process",
        sees=200,
        options={"n_startup_trials": Option("integer", 1), "deterministic_objective": Option("boolean")},
        build=_gp,
        learns_from_all=True,
    ),
}


def shown(name: str, options: Mapping[str, Json]) -> int:
    """How many finished trials the sampler sees at most; never fewer than it waits for before it begins to learn."""
    sees = SAMPLERS[name].sees
    return max(sees, int(options.get("n_startup_trials", 0))) if sees else 0


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's warnings that a part of it is experimental, and its log of what it would like better."""
    from optuna.exceptions import ExperimentalWarning

    log = logging.getLogger("optuna")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            yield
    finally:
        log.setLevel(level)
