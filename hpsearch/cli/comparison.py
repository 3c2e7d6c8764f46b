"""What `compare` shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from hpsearch.cli.session import Session
from hpsearch.cli.styles import sweep_state_text
from hpsearch.cli.tables import plain_table
from hpsearch.cli.words import clean, duration, listed, number

if TYPE_CHECKING:
    from hpsearch.report.compare import Comparison


def show_comparison(session: Session, found: Comparison, page: Path) -> None:
    """A line a sweep, the best one in bold, and where the page is."""
    best = f"best {clean(found.metric)}"
    table = plain_table(
        "name", "state", best, "baseline", "gain", "trials", "epochs", "time", right=(best, "baseline", "gain", "epochs", "time")
    )
    for standing in found.standings:
        style = "bold green" if standing is found.winner else ""
        table.add_row(
            Text(clean(standing.name), style="bold"),
            sweep_state_text(standing.state),
            Text(_number(standing.best), style=style),
            _number(standing.baseline),
            _number(standing.gain),
            listed(standing.trials),
            str(standing.epochs),
            duration(standing.time_s),
        )
    session.show(table, "")
    session.show_line(clean(page))
    winner = found.winner.name if found.winner else None
    sweeps = [standing.to_json() for standing in found.standings]
    session.result({"metric": found.metric, "goal": found.goal, "winner": winner, "sweeps": sweeps, "report": str(page)})


def _number(value: float | None) -> str:
    return "" if value is None else number(value)
