"""The one connection through which a ledger writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

from sqlalchemy import Connection, Engine

from hpsearch.errors import StoreError
from hpsearch.ledger.connect import file_identity, store_errors, writing

Sync: TypeAlias = Literal["FULL", "NORMAL"]
"""SQLite's words. FULL: what is committed is on the disk (an fsync: 0.16 ms on an idle disk, 4 ms on a busy one). NORMAL: it survives the
death of any process, and that of the machine from the next FULL commit on, whoever makes that, for all share one log."""


class Writer:
    """Gives its connection, kept open, to one transaction at a time, whichever thread asks. `forget` is called when one fails."""

    def __init__(self, engine: Engine, forget: Callable[[], None]) -> None:
        self._engine = engine
        self._forget = forget
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._sync: Sync | None = None
        self._file: tuple[int, int] | None = None

    @contextmanager
    def transaction(self, sync: Sync = "FULL") -> Iterator[Connection]:
        with self._lock, store_errors(self._engine):
            try:
                connection = self._connected(sync)
                with connection.begin():
                    yield connection
            except BaseException:
                self._forget()
                raise

    def close(self) -> None:
        with self._lock, store_errors(self._engine):
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _connected(self, sync: Sync) -> Connection:
        if self._connection is None:
            self._connection, self._sync = writing(self._engine).connect(), None
            self._file = file_identity(self._engine)
        elif self._file != file_identity(self._engine):
            place = self._engine.url.database
            raise StoreError(
                f"the ledger {place} was removed or replaced while it was in use; put it back if you can, and resume the sweep"
            )
        if self._sync != sync and self._engine.dialect.name == "sqlite":
            driver: Any = self._connection.connection.driver_connection
            driver.execute(f"PRAGMA synchronous={sync}")  # outside of any transaction, or it does nothing
            self._sync = sync
        return self._connection
