"""What `auto` means, and whether a sampler and a scheduler can do what they are asked, without running anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hpsearch.errors import InputError, unknown
from hpsearch.search.grid import check_grid
from hpsearch.search.options import check_options
from hpsearch.search.samplers import SAMPLERS
from hpsearch.search.schedulers import SCHEDULERS, check_scheduler
from hpsearch.space import SearchSpace
from hpsearch.trial import Json, Objective

LEAST_STEPS_FOR_MEDIAN = 5
LEAST_WARMUP = 3


@dataclass(frozen=True, slots=True)
class Choice:
    """A sampler and a scheduler by name, with their options."""

    sampler: str = "auto"
    sampler_options: Mapping[str, Json] = field(default_factory=dict)
    scheduler: str = "auto"
    scheduler_options: Mapping[str, Json] = field(default_factory=dict)

    def resolve(self, space: SearchSpace, objectives: tuple[Objective, ...], *, max_steps: int, trials: int | None) -> Choice:
        """This choice without `auto`.

        The sampler becomes `grid` where something varies and all configurations fit into the budget's `trials`, else `tpe`. The scheduler
        becomes `median` for one objective and at least five steps, with a warm-up of a fifth of them, at least three; else `none`.
        """
        resolved = self
        if self.sampler == "auto":
            size = space.size()
            fits = bool(space.parameters) and size is not None and trials is not None and 1 < size <= trials
            resolved = replace(resolved, sampler="grid" if fits else "tpe")
        if self.scheduler == "auto":
            if len(objectives) == 1 and max_steps >= LEAST_STEPS_FOR_MEDIAN:
                warmup = max(LEAST_WARMUP, max_steps // 5)
                return replace(resolved, scheduler="median", scheduler_options={"n_warmup_steps": warmup})
            return replace(resolved, scheduler="none")
        return resolved

    def check(self, space: SearchSpace, objectives: tuple[Objective, ...], *, max_steps: int) -> None:
        """Raises `InputError`, naming the option or parameter and the cure."""
        if self.sampler not in SAMPLERS:
            raise InputError(unknown("sampler", self.sampler, SAMPLERS))
        check_options(f"sampler {self.sampler}", SAMPLERS[self.sampler].options, self.sampler_options)
        if self.sampler == "grid":
            check_grid(space)
        check_scheduler(self.scheduler, self.scheduler_options, max_steps)
        if SCHEDULERS[self.scheduler].pruner is not None and len(objectives) > 1:
            names = ", ".join(objective.metric for objective in objectives)
            raise InputError(
                f"scheduler {self.scheduler} compares trials by one objective, and there are {len(objectives)} ({names}); use none"
            )

    def describe(self) -> str:
        """`tpe, median after 4 epochs`."""
        if SCHEDULERS[self.scheduler].pruner is None:
            return f"{self.sampler}, every trial to its end"
        warmup = self.scheduler_options.get("n_warmup_steps", 0)
        return f"{self.sampler}, {self.scheduler}" + (f" after {warmup} epochs" if warmup else "")


def check_search(
    space: SearchSpace,
    objectives: tuple[Objective, ...],
    *,
    sampler: str,
    sampler_options: Mapping[str, Json],
    scheduler: str,
    scheduler_options: Mapping[str, Json],
    seed: int,
    max_steps: int,
    trials: int | None,
) -> Choice:
    """What an `OptunaSearch` of the same arguments would use; raises the `InputError` that it would raise. Imports nothing heavy."""
    choice = Choice(sampler, sampler_options, scheduler, scheduler_options)
    choice.check(space, objectives, max_steps=max_steps)
    return choice.resolve(space, objectives, max_steps=max_steps, trials=trials)
