"""The one truth about sweeps, in SQLite, PostgreSQL or memory: `open(url)` gives a `Ledger`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hpsearch.ledger.face import Lease, Ledger, Projection, Request, RequestKind, Role, Sweep
from hpsearch.ledger.process import holder, is_dead, user

if TYPE_CHECKING:
    from hpsearch.search.history import History
    from hpsearch.trial import Objective

__all__ = ["Lease", "Ledger", "Projection", "Request", "RequestKind", "Role", "Sweep", "fold", "holder", "is_dead", "open", "user"]

_CHUNK = 10_000


def open(url: str, clock_ms: Callable[[], int] | None = None) -> Ledger:
    """The ledger at a SQLAlchemy URL, made if there is none yet; times are the database's, or `clock_ms()`.

    Raises:
        StoreError: It cannot be opened; the message says why and what to do, and never shows a password.
    """
    from hpsearch.ledger.sql import SqlLedger

    return SqlLedger(url, clock_ms)


def fold(ledger: Ledger, sweep: int, objectives: Sequence[Objective]) -> History:
    """The history of a sweep as committed now."""
    from hpsearch.search.history import History

    history = History(tuple(objectives))
    while chunk := ledger.events(sweep, history.seq, _CHUNK):
        history = history.apply(chunk)
    return history
