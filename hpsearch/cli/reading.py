"""status, list, show, best, logs: what the ledger knows."""

from __future__ import annotations

from typing import Annotated

import typer

from hpsearch.cli.session import Session

Name = Annotated[str, typer.Argument(metavar="NAME", help="The sweep.", show_default=False)]
Trial = Annotated[int | None, typer.Argument(metavar="TRIAL", help="One of its trials, by number.", min=0, show_default=False)]


def list_sweeps(session: Session) -> int:
    """All sweeps: state, trials, best value, age."""
    from hpsearch.cli.sweeps import show_sweeps
    from hpsearch.overview import is_missing, overview, reading

    if is_missing(session.home):
        show_sweeps(session, [])
        return 0
    with reading(session.home) as ledger:
        show_sweeps(session, [overview(ledger, sweep) for sweep in ledger.sweeps()])
    return 0


def status(
    session: Session,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One sweep; else all.", show_default=False)] = None,
) -> int:
    """How a sweep stands: budget, trials, best so far, what runs now."""
    if name is None:
        return list_sweeps(session)
    from hpsearch.cli.sweeps import show_status
    from hpsearch.overview import overview, reading

    with reading(session.home) as ledger:
        show_status(session, overview(ledger, ledger.find(name)))
    return 0


def show(session: Session, name: Name, trial: Trial = None) -> int:
    """A sweep's trials; or one trial, epoch by epoch."""
    from hpsearch.cli.trials import show_trial, show_trials
    from hpsearch.overview import attempts_of, overview, reading

    with reading(session.home) as ledger:
        seen = overview(ledger, ledger.find(name))
        runs = ledger.runs(seen.sweep.id)
        if trial is None:
            show_trials(session, seen, runs)
        else:
            record = seen.trial(trial)
            show_trial(session, seen, record, attempts_of(ledger, seen.sweep, trial), runs.get(trial))
    return 0


def best(session: Session, name: Name) -> int:
    """The best configuration, or the Pareto front."""
    from hpsearch.cli.trials import show_best
    from hpsearch.overview import overview, reading

    with reading(session.home) as ledger:
        seen = overview(ledger, ledger.find(name))
    return show_best(session, seen)


def logs(
    session: Session,
    name: Name,
    trial: Trial = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> int:
    """What a sweep's trials printed."""
    from hpsearch.cli.logs import show_logs
    from hpsearch.overview import overview, reading

    with reading(session.home) as ledger:
        seen = overview(ledger, ledger.find(name))
    if trial is not None:
        seen.trial(trial)
    return show_logs(session, seen, trial, follow)
