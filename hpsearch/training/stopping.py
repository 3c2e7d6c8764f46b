"""Early stopping."""

from __future__ import annotations

from collections.abc import Mapping

from hpsearch.trial import Objective


class Patience:
    """Ends a training whose objective has not improved for `patience` steps; None never does."""

    def __init__(self, objective: Objective, patience: int | None) -> None:
        self.objective = objective
        self.patience = patience
        self.best: float | None = None
        self.waited = 0

    def observe(self, metrics: Mapping[str, float]) -> str | None:
        """The reason to stop after a step with these metrics, or None."""
        value = metrics[self.objective.metric]
        if self.best is None or self.objective.better(value, self.best):
            self.best, self.waited = value, 0
        else:
            self.waited += 1
        return self.reason

    @property
    def reason(self) -> str | None:
        """Why the training is over; None while it is not."""
        if self.patience is None or self.best is None or self.waited < self.patience:
            return None
        return f"early stopping: {self.objective.metric} has not improved on {self.best:.6g} in {self.waited} steps"

    def state(self) -> dict[str, float | None]:
        return {"best": self.best, "waited": self.waited}

    def load(self, state: Mapping[str, float | None]) -> None:
        self.best, self.waited = state["best"], int(state["waited"] or 0)
