"""One commit as rows: its events and reports, and what they change in the tables that people read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from sqlalchemy import Connection, Executable, Table, Update, bindparam, insert, update

from hpsearch.events import Answered, Assigned, Begun, Body, Ended, Event, Reported, SweepClosed, SweepOpened, TrialCreated
from hpsearch.ledger.codec import clean, dumps, encode, encode_report
from hpsearch.ledger.tables import attempts, events, reports, sweeps, trials

Parameters: TypeAlias = Mapping[str, Any]


def _update(table: Table, *keys: str) -> Update:
    """An update of the row with these keys, whose values come as `of_KEY`."""
    return update(table).where(*(table.c[key] == bindparam(f"of_{key}") for key in keys))


def _set(statement: Update, *columns: str) -> Update:
    return statement.values({name: bindparam(name) for name in columns})


_TRIAL = _update(trials, "sweep", "number")
_ATTEMPT = _update(attempts, "sweep", "trial", "attempt")

_SET_SWEEP = _set(_update(sweeps, "id"), "state", "reason", "ended_ms")
_ASSIGN_TRIAL = _set(_TRIAL, "state", "reason", "attempt", "until_step")
_RETARGET_TRIAL = _set(_TRIAL, "until_step")
_END_TRIAL = _set(_TRIAL, "state", "reason", "ended_ms").values(retries=trials.c.retries + bindparam("retry"))
_BEGIN_ATTEMPT = _set(_ATTEMPT, "worker", "from_step", "begun_ms")
_END_ATTEMPT = _set(_ATTEMPT, "state", "reason", "ended_ms").where(attempts.c.ended_ms.is_(None))
_INSERT_TRIAL, _INSERT_ATTEMPT, _INSERT_EVENTS, _INSERT_REPORTS = insert(trials), insert(attempts), insert(events), insert(reports)


class Rows:
    """Collects the bodies of one transaction, then writes them table by table."""

    def __init__(self, sweep: int, at_ms: int) -> None:
        self.events: list[Event] = []
        self._sweep = sweep
        self._at_ms = at_ms
        self._changes: list[tuple[Executable, list[Parameters]]] = []
        self._events: list[Parameters] = []
        self._reports: list[Parameters] = []

    def add(self, seq: int, body: Body) -> None:
        self.events.append(Event(seq, self._at_ms, body))
        if isinstance(body, Reported):
            self._reports.append({"sweep": self._sweep, "seq": seq, "at_ms": self._at_ms, **encode_report(body)._asdict()})
        else:
            self._events.append({"sweep": self._sweep, "seq": seq, "at_ms": self._at_ms, **encode(body)._asdict()})
            self._add_changes(body)

    def write(self, connection: Connection) -> None:
        for statement, parameters in self._changes:
            connection.execute(statement, parameters)
        if self._events:
            connection.execute(_INSERT_EVENTS, self._events)
        if self._reports:
            connection.execute(_INSERT_REPORTS, self._reports)

    def _add_changes(self, body: Body) -> None:
        match body:
            case SweepOpened():
                self._change(_SET_SWEEP, of_id=self._sweep, state="running", reason=None, ended_ms=None)
            case SweepClosed():
                self._change(_SET_SWEEP, of_id=self._sweep, state=body.state, reason=clean(body.reason), ended_ms=self._at_ms)
            case TrialCreated():
                self._create(body)
            case Assigned():
                self._assign(body)
            case Begun():
                self._begin(body)
            case Answered() if body.until_step is not None:
                self._change(_RETARGET_TRIAL, **self._trial(body.trial), until_step=body.until_step)
            case Ended():
                self._end(body)

    def _create(self, body: TrialCreated) -> None:
        self._change(
            _INSERT_TRIAL, sweep=self._sweep, number=body.trial, kind=body.kind.value, parent=body.parent, seed=body.seed,
            parameters=dumps(body.parameters), until_step=body.until_step, attempt=0, retries=0,
            state=body.state.value, reason=clean(body.reason),
            created_ms=self._at_ms, ended_ms=self._at_ms if body.state.is_terminal else None,
        )  # fmt: skip

    def _assign(self, body: Assigned) -> None:
        new = {"attempt": body.attempt, "state": "running", "until_step": body.until_step}
        self._change(_ASSIGN_TRIAL, **self._trial(body.trial), **new, reason=None)
        attempt = {"sweep": self._sweep, "trial": body.trial, **new, "place": clean(body.place), "assigned_ms": self._at_ms}
        self._change(_INSERT_ATTEMPT, **attempt)

    def _begin(self, body: Begun) -> None:
        begun = {"worker": clean(body.worker), "from_step": body.from_step, "begun_ms": self._at_ms}
        self._change(_BEGIN_ATTEMPT, **self._attempt(body.trial, body.attempt), **begun)

    def _end(self, body: Ended) -> None:
        end = {"state": body.state.value, "reason": clean(body.reason)}
        ended_ms = self._at_ms if body.state.is_terminal else None
        self._change(_END_TRIAL, **self._trial(body.trial), **end, ended_ms=ended_ms, retry=int(body.retry))
        self._change(_END_ATTEMPT, **self._attempt(body.trial, body.attempt), **end, ended_ms=self._at_ms)

    def _trial(self, number: int) -> dict[str, int]:
        return {"of_sweep": self._sweep, "of_number": number}

    def _attempt(self, trial: int, attempt: int) -> dict[str, int]:
        return {"of_sweep": self._sweep, "of_trial": trial, "of_attempt": attempt}

    def _change(self, statement: Executable, **parameters: Any) -> None:
        """One more change, in order; equal neighbours go to the database together."""
        if self._changes and self._changes[-1][0] is statement:
            self._changes[-1][1].append(parameters)
        else:
            self._changes.append((statement, [parameters]))
