"""report, compare: pages about sweeps."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from hpsearch.cli.session import Session
from hpsearch.cli.words import clean

_RENEW_S = 10
"""How often `--watch` writes the page, and the page loads itself anew."""

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Where to write it; else into reports/ of the home.", show_default=False),
]


def report(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The sweep.", show_default=False)],
    output: Output = None,
    watch: Annotated[bool, typer.Option("--watch", help="Renew it every ten seconds until the sweep ends.")] = False,
) -> int:
    """Write a sweep as one HTML page that needs no network."""
    from hpsearch.overview import reading
    from hpsearch.report.page import write_report

    def is_over() -> bool:
        return ledger.holder(ledger.find(name).id, "controller") is None

    with reading(session.home) as ledger:
        is_last = not watch or is_over()  # asked before it is written: what is written then tells the end
        path = write_report(ledger, session.home, name, output, _RENEW_S if watch else None)
        session.show_line(clean(path))
        session.if_interrupted = f"no longer renewed: {clean(path)}"
        while not is_last:
            time.sleep(_RENEW_S)
            is_last = is_over()
            write_report(ledger, session.home, name, output, _RENEW_S)
    session.result({"sweep": name, "report": str(path)})
    return 0


def compare(
    session: Session,
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Two sweeps or more.", show_default=False)],
    output: Output = None,
) -> int:
    """Several sweeps beside each other: a table, and one HTML page with their curves."""
    from hpsearch.cli.comparison import show_comparison
    from hpsearch.overview import reading
    from hpsearch.report.compare import compare as compared
    from hpsearch.report.compare import write_comparison

    with reading(session.home) as ledger:
        found = compared(ledger, names)
    show_comparison(session, found, write_comparison(session.home, found, output))
    return 0
