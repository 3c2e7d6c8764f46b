"""run, resume, validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpsearch.cli.guard import INTERRUPTED
from hpsearch.cli.session import Session
from hpsearch.cli.words import clean
from hpsearch.words import count

if TYPE_CHECKING:
    from hpsearch.config import SweepConfig
    from hpsearch.result import SweepResult
    from hpsearch.sweep import Watch

File = Annotated[Path, typer.Argument(metavar="FILE", help="The sweep file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to it, such as budget.trials=200 space.dropout.max=0.3.", show_default=False),
]
Executor = Annotated[
    str | None, typer.Option("--executor", metavar="NAME", help="Where trials run: process, ray or inline.", show_default=False)
]
Address = Annotated[
    str | None,
    typer.Option("--address", metavar="ADDRESS", help="Of the Ray cluster, for --executor ray: HOST:PORT or auto.", show_default=False),
]


def run(
    session: Session,
    file: File,
    overrides: Overrides = None,
    new: Annotated[bool, typer.Option("--new", help="Start another sweep, under the next free name.")] = False,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Run it under this name.", show_default=False)] = None,
    executor: Executor = None,
    address: Address = None,
) -> int:
    """Run a sweep to its budget, or go on with it where it stopped."""
    from hpsearch import sweep

    config = _load(session, file, overrides or [], name, new)
    session.note(f"{clean(config.name)}: {_budget(config)}, {clean(executor or config.resources.executor)}, kept in {session.home.root}")
    settings = session.settings
    result = sweep.run(
        config,
        executor=executor,
        address=address,
        home=settings.home,
        store=settings.store,
        watch=_watch(session, config),
        warn=session.caution,
    )
    return _finish(session, result)


def resume(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", show_default=False)],
    executor: Executor = None,
    address: Address = None,
) -> int:
    """Go on with a sweep where it stopped."""
    from hpsearch import sweep
    from hpsearch.overview import config_of, reading

    with reading(session.home) as ledger:
        config = config_of(ledger.find(name))
    settings = session.settings
    result = sweep.resume(
        name,
        executor=executor,
        address=address,
        home=settings.home,
        store=settings.store,
        watch=_watch(session, config),
        warn=session.caution,
    )
    return _finish(session, result)


def validate(
    session: Session,
    file: File,
    overrides: Overrides = None,
    labels: Annotated[bool, typer.Option("--labels", help="Look for labels that are probably wrong; takes seconds.")] = False,
) -> int:
    """Check a sweep file and its data, show its space and three configurations that it would try; run nothing."""
    from hpsearch.cli.preview import show_preview
    from hpsearch.config import load
    from hpsearch.preview import preview, preview_labels

    config = load(file, overrides or [])
    seen = preview(config)
    show_preview(session, seen, preview_labels(config) if labels else None)
    return 0


def _load(session: Session, file: Path, overrides: list[str], name: str | None, new: bool) -> SweepConfig:
    from hpsearch.config import load

    named = [f"name={name}"] if name is not None else []
    config = load(file, [*overrides, *named])
    if not new:
        return config
    from hpsearch.manage import free_name
    from hpsearch.overview import is_missing, reading

    if is_missing(session.home):
        return config
    with reading(session.home) as ledger:
        return load(file, [*overrides, f"name={free_name(ledger, config.name)}"])


def _budget(config: SweepConfig) -> str:
    from hpsearch.cli.words import duration

    budget = config.budget
    parts = [
        count(budget.trials, "trial") if budget.trials is not None else "",
        duration(budget.time) if budget.time is not None else "",
        count(budget.total_epochs, "epoch") if budget.total_epochs is not None else "",
    ]
    return " or ".join(part for part in parts if part)


def _watch(session: Session, config: SweepConfig) -> Watch:
    from hpsearch.cli.lines import Lines
    from hpsearch.cli.watch import Quiet

    if session.settings.quiet:
        return lambda controller: Quiet(session, controller, config.name)
    if not session.stage.is_terminal:
        return lambda controller: Lines(session, controller, config.name)
    from hpsearch.cli.live import LiveDisplay

    return lambda controller: LiveDisplay(session, controller, config.name, list(config.space.parameters))


def _finish(session: Session, result: SweepResult) -> int:
    from hpsearch.cli.summary import show_result

    session.settle()
    show_result(session, result)
    session.result(result.to_json())
    if result.sweep.state == "stopped" and result.sweep.reason == "interrupted":
        return INTERRUPTED
    return 0 if result.best else 1
