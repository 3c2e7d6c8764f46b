"""The options that every command takes, before its name or after it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from hpsearch.cli.guard import guard
from hpsearch.cli.session import Session, Settings

_PANEL = "Options of every command"

Json = Annotated[bool, typer.Option("--json", help="The last line of standard output is one JSON object.", rich_help_panel=_PANEL)]
Home = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", help="Where everything is kept [$HPSEARCH_HOME, else ./.hpsearch].", rich_help_panel=_PANEL),
]
Store = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="The ledger's database [$HPSEARCH_STORE, else a file in the home].", rich_help_panel=_PANEL
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only the result.", rich_help_panel=_PANEL)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more, and show tracebacks.", rich_help_panel=_PANEL)]

_SHARED = {
    "json": (Json, False),
    "home": (Home, None),
    "store": (Store, None),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}


def _parameters() -> list[inspect.Parameter]:
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _SHARED.items()
    ]


def shared(function: Callable[..., int | None]) -> Callable[..., None]:
    """A command of `function(session, …)`, with the shared options added and every error made a message and an exit code."""
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

    @functools.wraps(function)
    def command(context: typer.Context, **arguments: Any) -> None:
        given = Settings(**{name: arguments.pop(name) for name in _SHARED})
        before = context.obj if isinstance(context.obj, Settings) else Settings()
        speaker = Session(before.merged(given))
        raise typer.Exit(guard(speaker, lambda: function(speaker, **arguments)))

    keywords = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    command.__signature__ = inspect.Signature([context, *keywords, *_parameters()])  # type: ignore[attr-defined]
    command.__annotations__ = {}  # the signature has them, resolved
    return command
