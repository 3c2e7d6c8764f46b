"""The commands and their names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from hpsearch.cli import again, changing, cluster, machine, reading, reporting, running
from hpsearch.cli.guard import fail
from hpsearch.cli.options import Home, Json, Quiet, Store, Verbose, shared
from hpsearch.cli.session import Settings, silence, tolerate_any_text
from hpsearch.cli.streams import have_streams

PANELS: dict[str, dict[str, Callable[..., int | None]]] = {
    "Search": {"run": running.run, "validate": running.validate, "resume": running.resume},
    "Look": {
        "list": reading.list_sweeps,
        "status": reading.status,
        "show": reading.show,
        "best": reading.best,
        "logs": reading.logs,
        "export": again.export,
        "replay": again.replay,
        "report": reporting.report,
        "compare": reporting.compare,
        "ui": machine.ui,
    },
    "Change": {
        "stop": changing.stop,
        "extend": changing.extend,
        "cancel": changing.cancel,
        "delete": changing.delete,
        "sync": changing.sync,
    },
    "Set up": {"init": machine.init, "schema": machine.schema, "doctor": machine.doctor},
}

CLUSTER: dict[str, Callable[..., int | None]] = {
    "up": cluster.up,
    "submit": cluster.submit,
    "status": cluster.status,
    "down": cluster.down,
}

app = typer.Typer(
    name="hpsearch",
    help="Search the hyperparameters of PyTorch networks: one file, one command, every trial in MLflow.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"hpsearch {version('hpsearch')}")
        raise typer.Exit


@app.callback()
def _before(
    context: typer.Context,
    json: Json = False,
    home: Home = None,
    store: Store = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    _version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")] = False,
) -> None:
    context.obj = Settings(json, home, store, quiet, verbose)


for panel, commands in PANELS.items():
    for name, function in commands.items():
        app.command(name, rich_help_panel=panel)(shared(function))

on_cluster = typer.Typer(help="A Ray cluster of this machine, and sweeps as jobs of any.", no_args_is_help=True)
for name, function in CLUSTER.items():
    on_cluster.command(name)(shared(function))
app.add_typer(on_cluster, name="cluster", rich_help_panel="Set up")


def run_app(arguments: Sequence[str] | None = None) -> int:
    """Parse and run; what typer itself refuses leaves with 2 and one message."""
    have_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    settings = Settings(json="--json" in given)
    tolerate_any_text(sys.stdout, sys.stderr)
    try:
        Path.cwd()
    except FileNotFoundError:
        return fail(settings, "the folder that this was started in is no more; change to another one", 2)
    try:
        code = app(given, prog_name="hpsearch", standalone_mode=False)
        sys.stdout.flush()
    except TyperException as error:
        return fail(settings, _usage(error), 2) if error.format_message() else 2  # without arguments the help has been printed
    except Abort:
        return fail(settings, "aborted", 1)
    except BrokenPipeError:
        silence(sys.stdout)
        return 0
    return code if isinstance(code, int) else 0


def _usage(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    hint = f"; see `{context.command_path} --help`" if context is not None else ""
    return f"{error.format_message().rstrip('.')}{hint}"
