"""Leases as rows, and the clock that they run by."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Connection, Select, bindparam, cast, func, insert, select, update

from hpsearch.ledger.codec import clean
from hpsearch.ledger.face import Lease, Role
from hpsearch.ledger.messages import held, lost, no_such_id
from hpsearch.ledger.process import is_dead
from hpsearch.ledger.tables import leases, sweeps

_DATABASE_NOW = cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
_LEASE = select(leases.c.token, leases.c.holder, leases.c.expires_ms).where(
    leases.c.sweep == bindparam("in_sweep"), leases.c.role == bindparam("as_role")
)


class _Row(NamedTuple):
    """A lease as it is at `now`."""

    token: int
    holder: str | None
    expires_ms: int
    now: int

    def live_holder(self) -> str | None:
        is_live = self.holder is not None and self.now < self.expires_ms and not is_dead(self.holder)
        return self.holder if is_live else None


class Leases:
    """The time is PostgreSQL's own, or this host's (on which SQLite's file is, too), or what `clock_ms()` says."""

    def __init__(self, dialect: str, clock_ms: Callable[[], int] | None) -> None:
        self._asks_database = clock_ms is None and dialect == "postgresql"
        self._clock_ms = clock_ms or (lambda: time.time_ns() // 1_000_000)
        self._read = _LEASE.add_columns(_DATABASE_NOW) if self._asks_database else _LEASE
        self._lock = self._read.with_for_update()

    def now(self, connection: Connection) -> int:
        return int(connection.execute(select(_DATABASE_NOW)).scalar_one()) if self._asks_database else self._clock_ms()

    def add(self, connection: Connection, sweep: int) -> None:
        """Both rows exist from the beginning, so that whoever wants the lease has a row to lock."""
        rows = [{"sweep": sweep, "role": role, "token": 0, "expires_ms": 0} for role in ("controller", "projector")]
        connection.execute(insert(leases), rows)

    def acquire(self, connection: Connection, sweep: int, role: Role, holder: str, ttl_s: float) -> Lease:
        row = self.check_free(connection, sweep, role)
        self._set(connection, sweep, role, token=row.token + 1, holder=clean(holder), expires_ms=row.now + _ms(ttl_s))
        return Lease(sweep, role, holder, row.token + 1, ttl_s)

    def renew(self, connection: Connection, lease: Lease) -> None:
        now = self.fence(connection, lease)
        self._set(connection, lease.sweep, lease.role, expires_ms=now + _ms(lease.ttl_s))

    def release(self, connection: Connection, lease: Lease) -> None:
        row = self._fetch(connection, self._lock, lease.sweep, lease.role)
        if row is not None and row.token == lease.token:
            self._set(connection, lease.sweep, lease.role, holder=None)

    def fence(self, connection: Connection, lease: Lease) -> int:
        """The time; until the transaction ends nobody else can take the lease. Raises `LeaseLost` where somebody has."""
        row = self._fetch(connection, self._lock, lease.sweep, lease.role)
        if row is None or row.token != lease.token or row.holder is None:
            raise lost(lease, row and row.holder)
        return row.now

    def check_free(self, connection: Connection, sweep: int, role: Role) -> _Row:
        """Until the transaction ends nobody else can take the lease. Raises `LeaseHeld` where somebody has."""
        row = self._fetch(connection, self._lock, sweep, role)
        if row is None:
            raise no_such_id(sweep)
        if holder := row.live_holder():
            name = connection.execute(select(sweeps.c.name).where(sweeps.c.id == sweep)).scalar_one()
            raise held(name, role, holder, row.expires_ms - row.now)
        return row

    def holder(self, connection: Connection, sweep: int, role: Role) -> str | None:
        row = self._fetch(connection, self._read, sweep, role)
        if row is None:
            raise no_such_id(sweep)
        return row.live_holder()

    def _fetch(self, connection: Connection, statement: Select[Any], sweep: int, role: Role) -> _Row | None:
        row = connection.execute(statement, {"in_sweep": sweep, "as_role": role}).one_or_none()
        if row is None:
            return None
        token, current, expires_ms, *now = row
        return _Row(token, current, expires_ms, now[0] if now else self._clock_ms())

    def _set(self, connection: Connection, sweep: int, role: Role, **values: object) -> None:
        connection.execute(update(leases).where(leases.c.sweep == sweep, leases.c.role == role).values(values))


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
