"""What is read from the tables: sweeps, the event sequence, where a trial stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Integer, Select, Text, cast, func, literal, null, select, union_all

from hpsearch.events import Event
from hpsearch.ledger.codec import EventRow, ReportRow, decode, decode_report, loads
from hpsearch.ledger.face import Sweep
from hpsearch.ledger.fence import Standing
from hpsearch.ledger.tables import events, reports, sweeps, trials
from hpsearch.trial import TrialState


def read_sweeps(connection: Connection, *where: ColumnElement[bool]) -> list[Sweep]:
    """Sweeps, oldest first."""
    counted: dict[int, dict[str, int]] = {}
    matching = select(sweeps.c.id).where(*where)
    by_state = select(trials.c.sweep, trials.c.state, func.count()).group_by(trials.c.sweep, trials.c.state)
    by_state = by_state.where(trials.c.sweep.in_(matching))
    for sweep, state, count in connection.execute(by_state):
        counted.setdefault(sweep, {})[state] = count
    rows = connection.execute(select(*sweeps.c, *_last_seqs(sweeps.c.id)).where(*where).order_by(sweeps.c.id))
    return [_sweep(row, counted.get(row[0], {})) for row in rows]


def read_last_seq(connection: Connection, sweep: int) -> int:
    return max(map(int, connection.execute(select(*_last_seqs(literal(sweep)))).one()))


def read_standing(connection: Connection, sweep: int, trial: int) -> Standing | None:
    last_step = select(func.coalesce(func.max(reports.c.step), 0)).where(reports.c.sweep == sweep, reports.c.trial == trial)
    statement = select(trials.c.state, trials.c.attempt, last_step.scalar_subquery())
    row = connection.execute(statement.where(trials.c.sweep == sweep, trials.c.number == trial)).one_or_none()
    return None if row is None else Standing(TrialState(row[0]), row[1], row[2])


def read_events(connection: Connection, sweep: int, after: int, limit: int | None) -> list[Event]:
    """One statement, so one moment: both tables as they were together."""
    until = None if limit is None else after + limit  # the sequence has no gaps
    rows = connection.execute(union_all(_events(sweep, after, until), _reports(sweep, after, until)))
    return sorted(map(_event, rows), key=lambda event: event.seq)


def _sweep(row: Sequence[Any], counted: Mapping[str, int]) -> Sweep:
    counts = {state: counted[state] for state in TrialState if state in counted}
    number, name, config, state, reason, created_ms, ended_ms, *last_seqs = row
    return Sweep(number, name, loads(config), state, reason, created_ms, ended_ms, counts, max(last_seqs))


def _last_seqs(sweep: ColumnElement[int]) -> list[ColumnElement[int]]:
    """Of the events and of the reports; the larger is the sweep's."""
    return [func.coalesce(select(func.max(t.c.seq)).where(t.c.sweep == sweep).scalar_subquery(), 0) for t in (events, reports)]


def _events(sweep: int, after: int, until: int | None) -> Select[Any]:
    nothing = (cast(null(), Integer).label("attempt"), cast(null(), Integer).label("step"), cast(null(), Double).label("duration_s"))
    table = events.c
    statement = select(table.seq, table.at_ms, table.kind, table.trial, table.payload, table.search_state.label("extra"), *nothing)
    return statement.where(table.sweep == sweep, *_between(table.seq, after, until))


def _reports(sweep: int, after: int, until: int | None) -> Select[Any]:
    table = reports.c
    columns = (table.trial, table.metrics, table.checkpoint, table.attempt, table.step, table.duration_s)
    statement = select(table.seq, table.at_ms, cast(null(), Text), *columns)
    return statement.where(table.sweep == sweep, *_between(table.seq, after, until))


def _between(seq: ColumnElement[int], after: int, until: int | None) -> list[ColumnElement[bool]]:
    return [seq > after] if until is None else [seq > after, seq <= until]


def _event(row: Sequence[Any]) -> Event:
    seq, at_ms, kind, trial, payload, extra, attempt, step, duration_s = row
    if kind is None:
        return Event(seq, at_ms, decode_report(ReportRow(trial, attempt, step, payload, duration_s, extra)))
    return Event(seq, at_ms, decode(EventRow(kind, trial, payload, extra)))
