"""What a sweep came to: for Python callers, and as the JSON that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.ledger.face import Projection, Sweep
from hpsearch.search.history import History, TrialRecord
from hpsearch.tracking.links import sweep_link
from hpsearch.tracking.process import Tracked
from hpsearch.trial import Json
from hpsearch.winner import Winner, choose

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A sweep as its ledger has it, and where it is in MLflow.

    `tracking_uri` shows no password; `wall_s` is the time of this run, in seconds; `finished_before`: there was nothing left to run.
    `warnings`: what this run has found in the data; empty where it was finished before, as they were not looked at.
    `report`: the sweep's page; None where it could not be written.
    """

    sweep: Sweep
    history: History
    tracking_uri: str
    tracked: Tracked
    wall_s: float
    finished_before: bool = False
    warnings: tuple[str, ...] = ()
    report: Path | None = None

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, by number."""
        return list(self.history)

    @property
    def best(self) -> list[TrialRecord]:
        """The best completed trial, or the Pareto front where there are several objectives; empty where none completed."""
        return self.history.best()

    @property
    def link(self) -> str | None:
        """To all trials in MLflow's UI, on its server or as `hpsearch ui` serves it."""
        return sweep_link(self.tracking_uri, self.tracked.experiment_id, self.sweep)

    @property
    def winner(self) -> Winner | None:
        """What the re-tests on fresh seeds say is best; None where there were none, or they have not all ended."""
        return choose(self.history)

    def values(self, trial: TrialRecord) -> dict[str, float] | None:
        """A trial's objectives by metric; None before its first report."""
        return values_by_metric(self.history, trial)

    def to_pandas(self) -> pd.DataFrame:
        """One row a trial: number, kind, state, steps, reason, `params.*`, `values.*`."""
        return table(self.history)

    def to_json(self) -> dict[str, Json]:
        """DESIGN §5."""
        winner = self.winner
        return {
            "sweep": self.sweep.name,
            "state": self.sweep.state,
            "trials": {str(state): count for state, count in self.sweep.trials.items() if count},
            "best": [{"trial": t.number, "values": self.values(t), "params": dict(t.parameters)} for t in self.best],
            "winner": winner and winner.to_json(),
            "model": self.tracked.model,
            "wall_s": round(self.wall_s, 3),
            "mlflow": mlflow_json(self.tracking_uri, self.tracked, self.sweep),
            "report": str(self.report) if self.report else None,
            "warnings": list(self.warnings),
        }


def mlflow_json(tracking_uri: str, where: Tracked | Projection, sweep: Sweep) -> dict[str, Json]:
    """Where a sweep is in MLflow; `link` opens all of its trials in the UI."""
    link = sweep_link(tracking_uri, where.experiment_id, sweep)
    return {"tracking_uri": tracking_uri, "experiment_id": where.experiment_id, "run_id": where.run_id, "link": link}


def values_by_metric(history: History, trial: TrialRecord) -> dict[str, float] | None:
    """`{"val_accuracy": 0.98}`; None before the trial's first report."""
    values = history.values(trial)
    return None if values is None else {o.metric: v for o, v in zip(history.objectives, values, strict=True)}


def table(history: History) -> pd.DataFrame:
    """One row a trial: number, kind, state, steps, reason, `params.*`, `values.*`."""
    import pandas as pd

    return pd.DataFrame(
        {
            "number": t.number, "kind": str(t.kind), "state": str(t.state), "steps": t.step, "reason": t.reason,
            **{f"params.{name}": value for name, value in t.parameters.items()},
            **{f"values.{name}": value for name, value in (values_by_metric(history, t) or {}).items()},
        }
        for t in history
    )  # fmt: skip
