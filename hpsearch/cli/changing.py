"""stop, extend, cancel, delete, sync."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hpsearch.cli.reading import Name
from hpsearch.cli.session import Session
from hpsearch.cli.words import clean
from hpsearch.errors import InputError
from hpsearch.words import count


def stop(
    session: Session,
    name: Name,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")] = True,
) -> int:
    """End a running sweep in order; it can be resumed."""
    from hpsearch import manage
    from hpsearch.ledger.process import describe
    from hpsearch.overview import reading

    with reading(session.home) as ledger:
        holder = manage.stop(ledger, name)
        if holder is None:
            session.show(f"{clean(name)} is not running; nothing to stop")
        else:
            session.note(f"asked {clean(describe(holder))} to stop; the trials that run are paused after their epoch")
            if wait:
                manage.wait_until_let_go(ledger, name)
                session.show(f"{clean(name)} has stopped; go on with: {session.command('resume', name)}")
    session.result({"sweep": name, "asked": holder, "stopped": holder is None or wait})
    return 0


def extend(
    session: Session,
    name: Name,
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", help="The new total of trials.", min=1, max=2**31 - 1, show_default=False)
    ],
) -> int:
    """Raise the total of trials of a sweep, running or not."""
    from hpsearch import manage
    from hpsearch.overview import reading

    with reading(session.home) as ledger:
        holder = manage.extend(ledger, name, trials)
    rest = "" if holder else f"; go on with: {session.command('resume', name)}"
    session.show(f"{clean(name)} now goes to a total of {count(trials, 'trial')}{rest}")
    session.result({"sweep": name, "trials": trials, "asked": holder})
    return 0


def cancel(session: Session, name: Name, trial: Annotated[int, typer.Argument(metavar="TRIAL", min=0, show_default=False)]) -> int:
    """End one trial that waits, runs or is paused."""
    from hpsearch import manage
    from hpsearch.overview import reading

    with reading(session.home) as ledger:
        holder = manage.cancel(ledger, name, trial)
    done = f"asked for trial {trial} of {clean(name)} to be cancelled" if holder else f"trial {trial} of {clean(name)} is cancelled"
    session.show(done)
    session.result({"sweep": name, "trial": trial, "asked": holder})
    return 0


def delete(session: Session, name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> int:
    """Forget a sweep: its trials, checkpoints and logs. What MLflow has of it stays."""
    from hpsearch import manage
    from hpsearch.overview import reading

    with reading(session.home) as ledger:
        trials = sum(ledger.find(name).trials.values())
        if not yes and not _is_sure(session, name, trials):
            session.show("nothing was deleted")
            session.result({"sweep": name, "deleted": False})
            return 0
        manage.delete(ledger, session.home, name)
    session.show(f"{clean(name)} is deleted ({count(trials, 'trial')}); its runs in MLflow stay")
    session.result({"sweep": name, "deleted": True, "trials": trials})
    return 0


def has_terminal() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty()


def _is_sure(session: Session, name: str, trials: int) -> bool:
    if not has_terminal():
        raise InputError(f"deleting {name!r} cannot be undone, and there is no terminal to ask on; say --yes if you mean it")
    question = f"Delete {clean(name)} with its {count(trials, 'trial')}, checkpoints and logs? It cannot be undone."
    return typer.confirm(question, err=session.settings.json)


def sync(session: Session, name: Name) -> int:
    """Compare MLflow with the ledger, and repair what differs."""
    from hpsearch.cli.synced import show_synced
    from hpsearch.overview import reading
    from hpsearch.tracking.files import TrialFiles
    from hpsearch.tracking.sync import sync as sync_sweep

    home = session.home
    with reading(home) as ledger:
        ledger.find(name)
        session.note(f"comparing {clean(name)} with MLflow…")
        files = TrialFiles.in_home(home, name)
        show_synced(session, name, sync_sweep(ledger, name, home.tracking_uri, home.artifacts, files))
    return 0
