"""The ledger in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from hpsearch.events import Begun, Body, Event, Reported, Sampled
from hpsearch.ledger import sequence
from hpsearch.ledger.codec import clean, dumps, loads
from hpsearch.ledger.connect import connect, store_errors
from hpsearch.ledger.face import Lease, Projection, Request, RequestKind, Role, Sweep
from hpsearch.ledger.leasing import Leases
from hpsearch.ledger.messages import name_taken, no_such_id, no_such_sweep
from hpsearch.ledger.reading import read_events, read_last_seq, read_sweeps
from hpsearch.ledger.schema import bring_up_to_date
from hpsearch.ledger.tables import metadata, models, projections, requests, sweeps, trial_runs
from hpsearch.ledger.writer import Sync, Writer
from hpsearch.trial import Json

_DELETE_RUN = delete(trial_runs).where(trial_runs.c.sweep == bindparam("in_sweep"), trial_runs.c.trial == bindparam("of_trial"))
_PROJECTION = select(projections.c.seq, projections.c.experiment_id, projections.c.run_id, models.c.registered).select_from(
    projections.outerjoin(models, models.c.sweep == projections.c.sweep)
)
_REQUEST = (requests.c.id, requests.c.kind, requests.c.payload)


class SqlLedger:
    """One writing connection under a lock, kept open; readers have connections of their own."""

    def __init__(self, url: str, clock_ms: Callable[[], int] | None = None) -> None:
        self._engine = connect(url)
        try:
            bring_up_to_date(self._engine)
        except BaseException:
            self._engine.dispose()
            raise
        self._leases = Leases(self._engine.dialect.name, clock_ms)
        self._sequences: dict[int, sequence.Sequence] = {}
        self._writer = Writer(self._engine, forget=self._sequences.clear)

    def close(self) -> None:
        self._writer.close()
        self._engine.dispose()

    # ---- sweeps

    def create(self, name: str, config: Mapping[str, Json], first: Sequence[Body]) -> Sweep:
        with self._writer.transaction() as connection:
            now = self._leases.now(connection)
            values = {"name": name, "config": dumps(config), "state": "created", "created_ms": now}
            try:
                sweep: int = connection.execute(insert(sweeps).returning(sweeps.c.id), values).scalar_one()
            except IntegrityError:
                raise name_taken(name) from None
            self._leases.add(connection, sweep)
            connection.execute(insert(projections), {"sweep": sweep, "seq": 0})
            sequence.Sequence(sweep, 0).append(connection, first, now)
            return read_sweeps(connection, sweeps.c.id == sweep)[0]

    def find(self, name: str) -> Sweep:
        with self._read() as connection:
            if name == clean(name) and (found := read_sweeps(connection, sweeps.c.name == name)):  # others no database takes
                return found[0]
            names = list(connection.execute(select(sweeps.c.name)).scalars())
        raise no_such_sweep(name, names)

    def sweeps(self) -> list[Sweep]:
        with self._read() as connection:
            return read_sweeps(connection)

    def delete(self, sweep: int) -> None:
        with self._writer.transaction() as connection:
            self._leases.check_free(connection, sweep, "controller")
            for table in reversed(metadata.sorted_tables):
                connection.execute(delete(table).where((table.c.id if table is sweeps else table.c.sweep) == sweep))
            self._sequences.pop(sweep, None)

    # ---- leases

    def acquire(self, sweep: int, role: Role, holder: str, ttl_s: float) -> Lease:
        with self._writer.transaction() as connection:
            return self._leases.acquire(connection, sweep, role, holder, ttl_s)

    def renew(self, lease: Lease) -> None:
        with self._writer.transaction() as connection:
            self._leases.renew(connection, lease)

    def release(self, lease: Lease) -> None:
        with self._writer.transaction() as connection:
            self._leases.release(connection, lease)

    def holder(self, sweep: int, role: Role) -> str | None:
        with self._read() as connection:
            return self._leases.holder(connection, sweep, role)

    # ---- the sequence

    def commit(self, lease: Lease, bodies: Sequence[Body]) -> list[Event]:
        assert lease.role == "controller", lease
        with self._writer.transaction(_sync(bodies)) as connection:
            now = self._leases.fence(connection, lease)
            known = self._sequences.get(lease.sweep)
            if known is None or known.token != lease.token:
                known = sequence.Sequence(lease.sweep, lease.token, read_last_seq(connection, lease.sweep))
                self._sequences[lease.sweep] = known
            return known.append(connection, bodies, now)

    def events(self, sweep: int, after: int = 0, limit: int | None = None) -> list[Event]:
        with self._read() as connection:
            return read_events(connection, sweep, after, limit)

    # ---- requests

    def request(self, sweep: int, kind: RequestKind, payload: Mapping[str, Json]) -> int:
        with self._writer.transaction() as connection:
            values = {"sweep": sweep, "kind": kind, "payload": dumps(payload), "created_ms": self._leases.now(connection)}
            try:
                return int(connection.execute(insert(requests).returning(requests.c.id), values).scalar_one())
            except IntegrityError:
                raise no_such_id(sweep) from None

    def take_requests(self, lease: Lease) -> list[Request]:
        with self._writer.transaction() as connection:
            now = self._leases.fence(connection, lease)
            taken = update(requests).where(*_waiting(lease.sweep)).values(taken_ms=now).returning(*_REQUEST)
            return sorted((Request(r[0], r[1], loads(r[2])) for r in connection.execute(taken)), key=lambda request: request.id)

    def waiting_requests(self, sweep: int) -> list[Request]:
        with self._read() as connection:
            waiting = select(*_REQUEST).where(*_waiting(sweep)).order_by(requests.c.id)
            return [Request(r[0], r[1], loads(r[2])) for r in connection.execute(waiting)]

    # ---- the projection

    def projection(self, sweep: int) -> Projection:
        with self._read() as connection:
            row = connection.execute(_PROJECTION.where(projections.c.sweep == sweep)).one_or_none()
            return Projection(0, None, None) if row is None else Projection(*row[:3], row.registered and loads(row.registered))

    def project(self, lease: Lease, projection: Projection, runs: Mapping[int, str]) -> None:
        with self._writer.transaction() as connection:
            self._leases.fence(connection, lease)
            values = {"seq": projection.seq, "experiment_id": projection.experiment_id, "run_id": projection.run_id}
            connection.execute(update(projections).where(projections.c.sweep == lease.sweep).values(values))
            connection.execute(delete(models).where(models.c.sweep == lease.sweep))
            if projection.model is not None:
                connection.execute(insert(models), {"sweep": lease.sweep, "registered": dumps(dict(projection.model))})
            if runs:
                rows = [{"sweep": lease.sweep, "trial": trial, "run_id": run} for trial, run in runs.items()]
                connection.execute(_DELETE_RUN, [{"in_sweep": lease.sweep, "of_trial": trial} for trial in runs])
                connection.execute(insert(trial_runs), rows)

    def runs(self, sweep: int) -> Mapping[int, str]:
        with self._read() as connection:
            statement = select(trial_runs.c.trial, trial_runs.c.run_id).where(trial_runs.c.sweep == sweep).order_by(trial_runs.c.trial)
            return {row.trial: row.run_id for row in connection.execute(statement)}

    # ---- within

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with store_errors(self._engine), self._engine.connect() as connection:
            yield connection


def _waiting(sweep: int) -> tuple[ColumnElement[bool], ...]:
    return requests.c.sweep == sweep, requests.c.taken_ms.is_(None)


def _sync(bodies: Sequence[Body]) -> Sync:
    """What was observed need not wait for the disk: the first decision that rests on it, or the lease's next renewal, brings it there too.

    A machine that loses its power before that has lost its workers as well: the steps run again.
    """
    observed = all(isinstance(body, Begun | Reported | Sampled) and getattr(body, "checkpoint", None) is None for body in bodies)
    return "NORMAL" if observed else "FULL"
