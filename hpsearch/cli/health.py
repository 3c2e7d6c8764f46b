"""What `doctor` shows."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from hpsearch.cli.session import Session
from hpsearch.cli.words import clean
from hpsearch.doctor import Check

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def show_health(session: Session, checks: Iterable[Check]) -> int:
    """A line a check, as each is done; 1 where there is a problem."""
    done = []
    for check in checks:
        done.append(check)
        line = Text.assemble((f"{check.level:<8}", _STYLES[check.level]), (f"{check.name:<12}", "bold"), clean(check.fact))
        session.show(line, *([f"{'':20}{clean(check.cure)}"] if check.cure else []))
    problems = sum(check.level == "problem" for check in done)
    warnings = sum(check.level == "warning" for check in done)
    verdict = "sweeps would not run here as it is" if problems else "all is well" if not warnings else "sweeps run here; see the warnings"
    session.show("", Text(verdict, style=_STYLES["problem" if problems else "warning" if warnings else "ok"]))
    session.result({"ok": not problems, "checks": [check.to_json() for check in done]})
    return 1 if problems else 0
