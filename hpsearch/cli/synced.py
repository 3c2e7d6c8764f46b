"""What `sync` shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from hpsearch.cli.session import Session
from hpsearch.cli.words import clean
from hpsearch.words import count

if TYPE_CHECKING:
    from hpsearch.tracking.sync import Synced


def show_synced(session: Session, name: str, synced: Synced) -> None:
    """What was compared and what was repaired."""
    compared = f"{count(synced.runs, 'run')} and {count(synced.points, 'metric point')}"
    if not synced.repairs:
        session.show(f"{clean(name)}: MLflow has all of it ({compared})")
    else:
        repaired = {
            "written anew": synced.missing_runs + synced.wrong_runs,
            "duplicates deleted": synced.duplicates,
            "points added": synced.missing_points,
            "runs mended": synced.updated,
            "model registered": synced.models,
            "view written": synced.views,
        }
        told = ", ".join(f"{n} {what}" for what, n in repaired.items() if n)
        session.show(f"{clean(name)}: repaired MLflow ({told}); compared {compared}")
    if synced.unregistered:
        session.warn(clean(synced.unregistered))
    session.result({"sweep": name, **asdict(synced), "repairs": synced.repairs})
