"""What of a sweep file bounds a sweep: its budget, its resources, and what one attempt may take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from hpsearch.events import SweepExtended
from hpsearch.search.history import History
from hpsearch.trial import Resources, TrialKind, TrialState

_ONE_CPU = Resources()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the controller needs to know of a sweep file. Budgets that are None are unlimited; times in seconds."""

    seed: int
    max_steps: int
    trials: int | None
    total_epochs: int | None = None
    time_s: float | None = None
    resources: Resources = _ONE_CPU
    timeout_s: float | None = None
    retries: int = 1

    def are_spent(self, history: History, active_s: float) -> bool:
        """Whether no further trial may begin, when the sweep has been run for `active_s`.

        Retries, re-tests and infeasible proposals do not count; a trial's epochs count from its start.
        """
        searched = [t for t in history if t.kind is not TrialKind.RETEST]
        if self.trials is not None:
            counted = sum(t.state is not TrialState.INFEASIBLE for t in searched)
            if counted >= self.trials:
                return True
        if self.total_epochs is not None:
            promised = sum(t.step if t.state.is_terminal else t.until_step for t in searched)
            if promised >= self.total_epochs:
                return True
        return self.time_is_spent(active_s)

    def time_is_spent(self, active_s: float) -> bool:
        return self.time_s is not None and active_s >= self.time_s

    def extended(self, to: SweepExtended) -> Rules:
        """These rules with the budget's totals raised; one that is unlimited stays so."""
        return replace(
            self,
            trials=_raised(self.trials, to.trials),
            total_epochs=_raised(self.total_epochs, to.total_epochs),
            time_s=_raised(self.time_s, to.time_s),
        )


_Number = TypeVar("_Number", int, float)


def _raised(limit: _Number | None, to: _Number | None) -> _Number | None:
    return limit if limit is None or to is None else max(limit, to)
