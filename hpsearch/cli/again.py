"""export, replay: what was found, once more."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.reading import Name
from hpsearch.cli.session import Session
from hpsearch.cli.words import clean, count

if TYPE_CHECKING:
    from hpsearch.replay import Difference, Replayed

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to write it [NAME-winner.yaml].", show_default=False),
]


def export(session: Session, name: Name, output: Output = None) -> int:
    """Write the winner, or the best, as a sweep file of fixed values, which `run` runs."""
    from hpsearch.export import chosen
    from hpsearch.export import export as export_sweep
    from hpsearch.overview import overview, reading

    with reading(session.home) as ledger:
        seen = overview(ledger, ledger.find(name))
    trial, written = chosen(seen), export_sweep(seen, output)
    session.show(f"wrote trial {trial.number} of {clean(name)} to {clean(written)}; train it with:")
    session.show_line(f"  {session.command('run', str(written))}")
    session.result({"sweep": name, "trial": trial.number, "file": str(written)})
    return 0


def replay(session: Session, name: Name, trial: Annotated[int, typer.Argument(metavar="TRIAL", min=0, show_default=False)]) -> int:
    """Train one trial again and compare it with its record; 1 where they differ. Nothing is written."""
    from hpsearch.overview import overview, reading
    from hpsearch.replay import replay as replay_trial

    with reading(session.home) as ledger:
        seen = overview(ledger, ledger.find(name))
    record = seen.trial(trial)
    session.note(f"training trial {trial} of {clean(name)} again, {count(record.step, 'epoch')}…")
    replayed = replay_trial(seen, record)
    different = replayed.difference
    session.show(f"trial {trial} of {clean(name)} {_same(replayed) if different is None else _other(different, replayed)}")
    session.result(
        {
            "sweep": name,
            "trial": trial,
            "steps": len(replayed.recorded),
            "points": replayed.points,
            "same": different is None,
            "difference": different and asdict(different),
        }
    )
    return 0 if different is None else 1


def _same(replayed: Replayed) -> str:
    epochs, points = count(len(replayed.recorded), "epoch"), count(replayed.points, "number")
    return f"came out the same, bit for bit: {points} of {epochs}"


def _other(different: Difference, replayed: Replayed) -> str:
    if different.metric is None:
        why = f" ({clean(replayed.outcome.reason)})" if replayed.outcome.reason else ""
        return f"ended before epoch {different.step} this time{why}; its record goes on to epoch {len(replayed.recorded)}"
    recorded, now = (("missing" if v is None else repr(v)) for v in (different.recorded, different.replayed))
    return f"came out otherwise, first at epoch {different.step}: {clean(different.metric)} was {recorded} and is now {now}"
