"""export, replay: what was found, once more."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.reading import Name
from hpsearch.cli.session import Session
from hpsearch.cli.words import clean
from hpsearch.config.home import mask
from hpsearch.words import count

if TYPE_CHECKING:
    from hpsearch.overview import Overview
    from hpsearch.replay import Difference, Replayed

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to write it [NAME-winner.yaml].", show_default=False),
]


Table = Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write its trials as a table instead.", show_default=False)]
Parquet = Annotated[Path | None, typer.Option("--parquet", metavar="FILE", help="The same in Parquet.", show_default=False)]
Study = Annotated[
    str | None, typer.Option("--optuna", metavar="URL", help="Write it as a study into a store of Optuna's instead.", show_default=False)
]


def export(session: Session, name: Name, output: Output = None, csv: Table = None, parquet: Parquet = None, optuna: Study = None) -> int:
    """Write the winner, or the best, as a sweep file of fixed values, which `run` runs; or all trials for other programs."""
    from hpsearch.export import export_study, export_table
    from hpsearch.overview import overview, reading

    with reading(session.home) as ledger:
        seen = overview(ledger, ledger.find(name))
    said: dict[str, object] = {"sweep": name}
    if csv is not None:
        said["csv"] = _say_table(session, seen, export_table(seen, csv, "csv"))
    if parquet is not None:
        said["parquet"] = _say_table(session, seen, export_table(seen, parquet, "parquet"))
    if optuna is not None:
        said["optuna"] = trials = export_study(seen, session.home, optuna)
        session.show(f"wrote {count(trials, 'trial')} that have ended as the study {clean(name)} to {clean(mask(optuna))}")
    if output is not None or len(said) == 1:
        said |= _export_sweep(session, seen, output)
    session.result(said)
    return 0


def _say_table(session: Session, seen: Overview, written: Path) -> str:
    session.show(f"wrote {count(len(seen.history), 'trial')} of {clean(seen.sweep.name)} to {clean(written)}")
    return str(written)


def _export_sweep(session: Session, seen: Overview, output: Path | None) -> dict[str, object]:
    from hpsearch.export import chosen
    from hpsearch.export import export as export_sweep

    trial, written = chosen(seen), export_sweep(seen, output)
    session.show(f"wrote trial {trial.number} of {clean(seen.sweep.name)} to {clean(written)}; train it with:")
    session.show_line(f"  {session.command('run', str(written))}")
    return {"trial": trial.number, "file": str(written)}


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
