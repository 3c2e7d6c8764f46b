"""What a sweep's run shows of all its trials together, as metrics that grow: trials by state, epochs, what pruning saved, device time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from hpsearch.cost import Cost
from hpsearch.events import Ended, Event, SweepClosed, TrialCreated
from hpsearch.trial import Json, TrialState


class Summary:
    """Folds events; has something new to say when a trial is over, and when a controller lets go."""

    def __init__(self, config: Mapping[str, Json]) -> None:
        self._cost = Cost.of(config)
        self._states: Counter[TrialState] = Counter()
        self._said: dict[str, float] = {}

    def after(self, event: Event) -> dict[str, float]:
        """What has changed, by metric."""
        self._cost.add([event])
        match event.body:
            case Ended(state=state) | TrialCreated(state=state) if state.is_terminal:
                self._states[state] += 1
            case SweepClosed():
                pass
            case _:
                return {}
        new = {name: value for name, value in self._now().items() if self._said.get(name, 0.0) != value}
        self._said |= new
        return new

    def _now(self) -> dict[str, float]:
        cost = self._cost
        counts = {f"trials_{state}": float(count) for state, count in self._states.items()}
        return counts | {
            "epochs": float(cost.epochs), "epochs_saved": float(cost.epochs_saved), "cpu_seconds": cost.cpu_s, "gpu_seconds": cost.gpu_s
        }  # fmt: skip
