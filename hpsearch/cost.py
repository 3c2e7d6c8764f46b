"""What a sweep has cost so far, folded from its events: epochs, those that pruning saved, time of attempts and of devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from hpsearch.events import Assigned, Begun, Ended, Event, Reported, SweepOpened, may_be_from_outside
from hpsearch.trial import Json, TrialState


@dataclass(slots=True)
class Cost:
    """Re-tests cost too. Times are of attempts, from their begin to their end.

    An attempt that was lost with its controller, or was perhaps cancelled without one, counts for as long as the ledger heard of the
    sweep: how long it went on after that nobody knows.

    Args:
        full: epochs of one trial's full training.
        cpus: of one trial.
        gpus: of one trial; None: the controller chose for each.
    """

    full: int
    cpus: int = 1
    gpus: float | None = 0.0
    epochs: int = 0
    epochs_saved: int = 0
    busy_ms: int = 0
    cpu_ms: float = 0
    gpu_ms: float = 0
    _steps: Counter[int] = field(default_factory=Counter)
    _granted: dict[int, float] = field(default_factory=dict)
    _begun: dict[int, int] = field(default_factory=dict)
    _last_ms: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Json]) -> Self:
        """Of a sweep file as resolved JSON."""
        resources = config.get("resources") or {}
        gpus = resources.get("gpus", 0)
        return cls(config["training"]["epochs"], resources.get("cpus", 1), None if gpus == "auto" else gpus)

    @property
    def busy_s(self) -> float:
        """Of all attempts together."""
        return self.busy_ms / 1000

    @property
    def cpu_s(self) -> float:
        return self.cpu_ms / 1000

    @property
    def gpu_s(self) -> float:
        """Where trials have a GPU to themselves, or a part of one."""
        return self.gpu_ms / 1000

    def add(self, events: Iterable[Event]) -> None:
        """What happened next."""
        for event in events:
            self._fold(event)

    def _fold(self, event: Event) -> None:
        match event.body:
            case SweepOpened():
                for trial in list(self._begun):
                    self._stop(trial, self._last_ms)
            case Assigned(trial, gpus=gpus):
                self._granted[trial] = gpus
            case Begun(trial):
                self._begun[trial] = event.at_ms
            case Reported(trial):
                self.epochs += 1
                self._steps[trial] += 1
            case Ended(trial, state=state):
                self._stop(trial, self._last_ms if may_be_from_outside(event.body) else event.at_ms)
                if state is TrialState.PRUNED:
                    self.epochs_saved += max(0, self.full - self._steps[trial])
        if not may_be_from_outside(event.body):
            self._last_ms = event.at_ms

    def _stop(self, trial: int, at_ms: int) -> None:
        """A trial that waited or was paused did not run."""
        lasted_ms = max(0, at_ms - self._begun.pop(trial, at_ms))
        self.busy_ms += lasted_ms
        self.cpu_ms += lasted_ms * self.cpus
        self.gpu_ms += lasted_ms * (self._granted.get(trial, 0.0) if self.gpus is None else self.gpus)
