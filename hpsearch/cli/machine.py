"""ui, init, schema, doctor: this machine and its stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli.session import Session
from hpsearch.cli.words import clean


def ui(
    session: Session,
    port: Annotated[int, typer.Option("--port", metavar="N", help="Where to serve it, if free.", min=1, max=65535)] = 5000,
) -> int:
    """Serve the MLflow UI of this home on 127.0.0.1, until Ctrl-C."""
    from hpsearch.cli.ui import serve

    return serve(session, port)


def init(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("sweep.yaml"),
) -> int:
    """Write a commented sweep file to start from."""
    from hpsearch.starter import write_starter

    written = write_starter(file)
    session.show(f"wrote {clean(written)}; run it with: {session.command('run', str(file))}")
    session.result({"file": str(written)})
    return 0


def schema(session: Session) -> int:
    """Print the JSON Schema of sweep files, for editors."""
    from hpsearch.config import json_schema

    described = json_schema()
    if session.settings.json:
        session.result(described)
    else:
        print(json.dumps(described, indent=2))
    return 0


def doctor(session: Session) -> int:
    """Check this machine and its stores; 1 where something would keep sweeps from running."""
    from hpsearch.cli.health import show_health
    from hpsearch.doctor import examine

    return show_health(session, examine(session.home))
