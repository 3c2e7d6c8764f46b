"""The command line: parses, calls one library function, prints. `main` is the console script."""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code (DESIGN §5)."""
    from hpsearch.cli.app import run_app

    return run_app(arguments)
