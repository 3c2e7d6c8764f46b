"""The colours of states."""

from __future__ import annotations

from rich.text import Text

from hpsearch.trial import TrialState

_STYLES = {
    TrialState.WAITING: "dim",
    TrialState.RUNNING: "cyan",
    TrialState.PAUSED: "blue",
    TrialState.COMPLETED: "green",
    TrialState.PRUNED: "yellow",
    TrialState.INFEASIBLE: "yellow",
    TrialState.CANCELLED: "magenta",
}


def state_text(state: TrialState) -> Text:
    """A trial's state in its colour; what went wrong is red."""
    return Text(str(state).replace("_", " "), style=_STYLES.get(state, "red"))


_SWEEP_STYLES = {"running": "cyan", "completed": "green", "failed": "red", "interrupted": "red", "stopped": "yellow"}


def sweep_state_text(state: str) -> Text:
    """A sweep's state in its colour."""
    return Text(state, style=_SWEEP_STYLES.get(state, ""))
