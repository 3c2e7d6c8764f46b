"""The ledger's twin in memory, for tests and simulations: the same contract, and nothing survives the process."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from hpsearch.events import Body, Event, Reported, SweepClosed, SweepOpened, SweepState
from hpsearch.ledger.codec import EventRow, ReportRow, clean, decode, decode_report, dumps, encode, encode_report, loads
from hpsearch.ledger.face import Lease, Projection, Request, RequestKind, Role, Sweep
from hpsearch.ledger.fence import Standing, advance
from hpsearch.ledger.messages import held, lost, name_taken, no_such_id, no_such_sweep
from hpsearch.ledger.process import is_dead
from hpsearch.trial import Json, TrialState

_Stored: TypeAlias = tuple[int, EventRow | ReportRow]
"""Time and row: bodies are kept as the databases keep them, so that nobody shares a mapping with the past."""


@dataclass
class _LeaseRow:
    token: int = 0
    holder: str | None = None
    expires_ms: int = 0


@dataclass
class _SweepRow:
    id: int
    name: str
    config: str
    created_ms: int
    state: SweepState = "created"
    reason: str | None = None
    ended_ms: int | None = None
    events: list[_Stored] = field(default_factory=list)
    standings: dict[int, Standing] = field(default_factory=dict)
    leases: dict[Role, _LeaseRow] = field(default_factory=lambda: {"controller": _LeaseRow(), "projector": _LeaseRow()})
    requests: list[tuple[int, RequestKind, str]] = field(default_factory=list)
    projection: Projection = field(default_factory=lambda: Projection(0, None, None))
    runs: dict[int, str] = field(default_factory=dict)


class MemoryLedger:
    """See `Ledger`. Its methods may be called from any thread."""

    def __init__(self, clock_ms: Callable[[], int] | None = None) -> None:
        self._clock_ms = clock_ms or (lambda: time.time_ns() // 1_000_000)
        self._lock = threading.Lock()
        self._sweeps: dict[int, _SweepRow] = {}
        self._last_sweep = 0
        self._last_request = 0

    def close(self) -> None:
        """Nothing to close."""

    # ---- sweeps

    def create(self, name: str, config: Mapping[str, Json], first: Sequence[Body]) -> Sweep:
        with self._lock:
            if any(row.name == name for row in self._sweeps.values()):
                raise name_taken(name)
            row = _SweepRow(self._last_sweep + 1, name, dumps(config), self._clock_ms())
            self._append(row, first, row.created_ms)
            self._last_sweep = row.id
            self._sweeps[row.id] = row
            return _shown(row)

    def find(self, name: str) -> Sweep:
        with self._lock:
            for row in self._sweeps.values():
                if row.name == name:
                    return _shown(row)
            raise no_such_sweep(name, [row.name for row in self._sweeps.values()])

    def sweeps(self) -> list[Sweep]:
        with self._lock:
            return [_shown(row) for row in self._sweeps.values()]

    def delete(self, sweep: int) -> None:
        with self._lock:
            self._check_free(sweep, "controller")
            del self._sweeps[sweep]

    # ---- leases

    def acquire(self, sweep: int, role: Role, holder: str, ttl_s: float) -> Lease:
        with self._lock:
            row = self._check_free(sweep, role)
            row.token, row.holder, row.expires_ms = row.token + 1, clean(holder), self._clock_ms() + round(ttl_s * 1000)
            return Lease(sweep, role, holder, row.token, ttl_s)

    def renew(self, lease: Lease) -> None:
        with self._lock:
            self._fence(lease)
            self._row(lease.sweep).leases[lease.role].expires_ms = self._clock_ms() + round(lease.ttl_s * 1000)

    def release(self, lease: Lease) -> None:
        with self._lock:
            row = self._sweeps[lease.sweep].leases[lease.role] if lease.sweep in self._sweeps else None
            if row is not None and row.token == lease.token:
                row.holder = None

    def holder(self, sweep: int, role: Role) -> str | None:
        with self._lock:
            return self._live_holder(sweep, role)

    # ---- the sequence

    def commit(self, lease: Lease, bodies: Sequence[Body]) -> list[Event]:
        assert lease.role == "controller", lease
        with self._lock:
            return self._append(self._fence(lease), bodies, self._clock_ms())

    def events(self, sweep: int, after: int = 0, limit: int | None = None) -> list[Event]:
        with self._lock:
            stored = self._sweeps[sweep].events if sweep in self._sweeps else []
            chosen = stored[after : None if limit is None else after + limit]
        return [Event(after + 1 + i, at_ms, _body(row)) for i, (at_ms, row) in enumerate(chosen)]

    # ---- requests

    def request(self, sweep: int, kind: RequestKind, payload: Mapping[str, Json]) -> int:
        with self._lock:
            self._row(sweep).requests.append((self._last_request + 1, kind, dumps(payload)))
            self._last_request += 1
            return self._last_request

    def take_requests(self, lease: Lease) -> list[Request]:
        with self._lock:
            row = self._fence(lease)
            taken, row.requests = row.requests, []
            return [Request(number, kind, loads(payload)) for number, kind, payload in taken]

    def waiting_requests(self, sweep: int) -> list[Request]:
        with self._lock:
            waiting = self._sweeps[sweep].requests if sweep in self._sweeps else []
            return [Request(number, kind, loads(payload)) for number, kind, payload in waiting]

    # ---- the projection

    def projection(self, sweep: int) -> Projection:
        with self._lock:
            return self._sweeps[sweep].projection if sweep in self._sweeps else Projection(0, None, None)

    def project(self, lease: Lease, projection: Projection, runs: Mapping[int, str]) -> None:
        with self._lock:
            row = self._fence(lease)
            row.projection = projection
            row.runs.update(runs)

    def runs(self, sweep: int) -> Mapping[int, str]:
        with self._lock:
            return dict(sorted(self._sweeps[sweep].runs.items())) if sweep in self._sweeps else {}

    # ---- within

    def _row(self, sweep: int) -> _SweepRow:
        if sweep not in self._sweeps:
            raise no_such_id(sweep)
        return self._sweeps[sweep]

    def _fence(self, lease: Lease) -> _SweepRow:
        row = self._sweeps.get(lease.sweep)
        current = row.leases[lease.role] if row else _LeaseRow()
        if row is None or current.token != lease.token or current.holder is None:
            raise lost(lease, current.holder)
        return row

    def _check_free(self, sweep: int, role: Role) -> _LeaseRow:
        row = self._row(sweep).leases[role]
        if holder := self._live_holder(sweep, role):
            raise held(self._row(sweep).name, role, holder, row.expires_ms - self._clock_ms())
        return row

    def _live_holder(self, sweep: int, role: Role) -> str | None:
        row = self._row(sweep).leases[role]
        is_live = row.holder is not None and self._clock_ms() < row.expires_ms and not is_dead(row.holder)
        return row.holder if is_live else None

    def _append(self, row: _SweepRow, bodies: Sequence[Body], at_ms: int) -> list[Event]:
        """All of them or, where one is refused, none."""
        standings = dict(row.standings)
        stored: list[_Stored] = []
        for body in bodies:
            trial: int | None = getattr(body, "trial", None)
            if trial is not None and (moved := advance(body, standings.get(trial))):
                standings[trial] = moved
            stored.append((at_ms, encode_report(body) if isinstance(body, Reported) else encode(body)))
        first = len(row.events) + 1
        row.events += stored
        row.standings = standings
        _follow(row, bodies, at_ms)
        return [Event(first + i, at_ms, body) for i, body in enumerate(bodies)]


def _follow(row: _SweepRow, bodies: Sequence[Body], at_ms: int) -> None:
    for body in bodies:
        if isinstance(body, SweepOpened):
            row.state, row.reason, row.ended_ms = "running", None, None
        elif isinstance(body, SweepClosed):
            row.state, row.reason, row.ended_ms = body.state, clean(body.reason), at_ms


def _body(row: EventRow | ReportRow) -> Body:
    return decode_report(row) if isinstance(row, ReportRow) else decode(row)


def _shown(row: _SweepRow) -> Sweep:
    counted = Counter(standing.state for standing in row.standings.values())
    counts = {state: counted[state] for state in TrialState if counted[state]}
    return Sweep(row.id, row.name, loads(row.config), row.state, row.reason, row.created_ms, row.ended_ms, counts, len(row.events))
