"""Random sweeps, told to a database and to the twin in memory: both answer alike, and the tables that people read agree with the fold."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from hpsearch import ledger as ledgers
from hpsearch.errors import HpsearchError, LeaseLost, StaleAttempt
from hpsearch.events import Answered, Assigned, Begun, Body, Ended, Reported, SweepClosed, SweepExtended, SweepOpened, TrialCreated
from hpsearch.ledger import Lease, Ledger
from hpsearch.ledger.connect import connect
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.trial import TRANSITIONS, Checkpoint, Objective, SearchState, TrialKind, TrialState

OBJECTIVES = (Objective("loss", "minimize"),)


class Teller:
    """Tells a random story of a sweep; now and then something that is late."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.states: list[TrialState] = []
        self.attempts: list[int] = []
        self.steps: list[int] = []

    def batch(self) -> list[Body]:
        return [body for _ in range(self.random.randint(0, 6)) for body in self.tell()]

    def tell(self) -> list[Body]:
        kind = self.random.choice([self.create, self.assign, self.assign, self.run, self.run, self.run, self.end, self.sweep])
        return kind()

    def create(self) -> list[Body]:
        state = self.random.choice([TrialState.WAITING] * 4 + [TrialState.INFEASIBLE])
        self.states.append(state)
        self.attempts.append(0)
        self.steps.append(0)
        parameters = {"learning_rate": self.random.random(), "layers": self.random.randint(1, 9), "optimizer": self.random.choice("ab")}
        remembered = SearchState({"n": len(self.states)}, {"x": [1]}) if self.random.random() < 0.3 else SearchState()
        kind = self.random.choice(list(TrialKind))
        return [TrialCreated(len(self.states) - 1, kind, parameters, self.random.getrandbits(31), 9, state, search_state=remembered)]

    def assign(self) -> list[Body]:
        trial = self.pick(TrialState.WAITING, TrialState.PAUSED)
        if trial is None:
            return []
        self.states[trial] = TrialState.RUNNING
        self.attempts[trial] += 1
        assigned = Assigned(trial, self.attempts[trial], f"slot {trial % 3}", 9)
        return (
            [assigned, Begun(trial, self.attempts[trial], f"worker {trial}", self.steps[trial])]
            if self.random.random() < 0.8
            else [assigned]
        )

    def run(self) -> list[Body]:
        trial = self.pick(TrialState.RUNNING)
        if trial is None:
            return []
        self.steps[trial] += 1
        step = self.steps[trial]
        checkpoint = Checkpoint(f"file:///{trial}/{step}", "ab", step) if self.random.random() < 0.2 else None
        reported = Reported(trial, self.attempts[trial], step, {"loss": self.random.choice([0.5, float("nan"), 2])}, 0.1, checkpoint)
        answer = Answered(trial, step, "continue", "search", step + 2)
        return [reported, answer] if self.random.random() < 0.3 else [reported]

    def end(self) -> list[Body]:
        trial = self.pick(TrialState.RUNNING, TrialState.WAITING, TrialState.PAUSED)
        if trial is None:
            return []
        allowed = sorted(TRANSITIONS[self.states[trial]] - {TrialState.RUNNING, TrialState.INFEASIBLE})
        state = self.random.choice(allowed)
        self.states[trial] = state
        return [Ended(trial, self.attempts[trial], state, self.random.choice([None, "why\0"]), None, self.random.random() < 0.2)]

    def sweep(self) -> list[Body]:
        return [self.random.choice([SweepOpened("me"), SweepClosed("stopped", "x"), SweepClosed("completed"), SweepExtended(trials=9)])]

    def late(self) -> list[Body]:
        """Something of an attempt that is not the current one."""
        trial = self.random.randrange(len(self.states) + 1)
        attempt = 1 if trial == len(self.states) else self.attempts[trial] + self.random.choice([-1, 1])
        ended = Ended(trial, attempt, TrialState.FAILED)
        return [self.random.choice([Begun(trial, attempt, "w", 0), Reported(trial, attempt, 1, {}, 0.0), ended])]

    def pick(self, *states: TrialState) -> int | None:
        found = [trial for trial, state in enumerate(self.states) if state in states]
        return self.random.choice(found) if found else None


class Pair:
    """A database and its twin, asked the same."""

    def __init__(self, *ledgers: Ledger) -> None:
        self.ledgers = ledgers
        self.leases: list[Any] = [None, None]

    def ask(self, question: Callable[[Ledger, Any], Any]) -> Any:
        """Their one answer, or the one error that both raise; `repr` finds NaN equal to itself."""
        answers = [_answer(question, ledger, lease) for ledger, lease in zip(self.ledgers, self.leases, strict=True)]
        assert repr(answers[0]) == repr(answers[1])
        return answers[0]

    def acquire(self, holder: str) -> None:
        """Try to take the sweep over; the one before is then fenced off."""
        taken = self.ask(lambda ledger, _: ledger.acquire(1, "controller", holder, 30))
        if isinstance(taken, Lease):
            old = self.leases[0]
            self.leases = [taken, taken]
            if old is not None:
                assert isinstance(self.ask(lambda ledger, _: ledger.commit(old, [])), LeaseLost)


def _answer(question: Callable[[Ledger, Any], Any], ledger: Ledger, lease: Any) -> Any:
    try:
        return question(ledger, lease)
    except HpsearchError as error:
        return error


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_database_and_its_twin_answer_alike(sql: Ledger, store_url: str, clock: Any, seed: int) -> None:
    pair, teller = Pair(sql, MemoryLedger(clock)), Teller(seed)
    first = teller.create() + teller.create()
    pair.ask(lambda ledger, _: ledger.create("digits", {"seed": seed}, first))
    pair.acquire("me")
    for turn in range(80):
        clock.advance(teller.random.random() * 5 - 0.5)
        match teller.random.randrange(12):
            case 0:
                late = teller.late()
                assert isinstance(pair.ask(lambda ledger, lease, late=late: ledger.commit(lease, late)), StaleAttempt)
            case 1:
                pair.acquire(f"holder {turn}")
            case 2:
                pair.ask(lambda ledger, _: ledger.request(1, "extend", {"trials": 3}))
            case 3:
                pair.ask(lambda ledger, lease: ledger.take_requests(lease))
            case _:
                batch = teller.batch()
                assert isinstance(pair.ask(lambda ledger, lease, batch=batch: ledger.commit(lease, batch)), list)
        pair.ask(lambda ledger, _: ledger.holder(1, "controller"))
        pair.ask(lambda ledger, _: ledger.find("digits"))
    assert len(pair.ask(lambda ledger, _: ledger.events(1))) > 60
    agree_with_the_fold(sql, store_url)


def agree_with_the_fold(sql: Ledger, store_url: str) -> None:
    history = ledgers.fold(sql, 1, OBJECTIVES)
    assert sql.find("digits").trials == Counter(record.state for record in history)
    engine = connect(store_url)
    with engine.connect() as connection:
        trials = connection.execute(
            sa.text("SELECT number, kind, state, attempt, retries, until_step, seed, created_ms, ended_ms FROM trials ORDER BY number")
        )
        assert [tuple(row) for row in trials] == [
            (r.number, r.kind, r.state, r.attempt, r.retries, r.until_step, r.seed, r.created_ms, r.ended_ms) for r in history
        ]
        steps = connection.execute(sa.text("SELECT trial, count(*), max(step) FROM reports GROUP BY trial ORDER BY trial"))
        assert [tuple(row) for row in steps] == [(r.number, r.step, r.step) for r in history if r.step]
        attempts = connection.execute(sa.text("SELECT trial, max(attempt), count(*) FROM attempts GROUP BY trial ORDER BY trial"))
        assert [tuple(row) for row in attempts] == [(r.number, r.attempt, r.attempt) for r in history if r.attempt]
        running = connection.execute(sa.text("SELECT trial FROM attempts WHERE ended_ms IS NULL ORDER BY trial")).scalars()
        assert list(running) == [r.number for r in history.in_state(TrialState.RUNNING)]
    engine.dispose()


def test_attempts_can_be_read_with_plain_sql(sql: Ledger, store_url: str, clock: Any) -> None:
    lease = sql.acquire(sql.create("digits", {}, [TrialCreated(0, TrialKind.BASELINE, {"a": 1}, 1, 3)]).id, "controller", "me", 30)
    began = clock.ms
    sql.commit(lease, [Assigned(0, 1, "slot 0", 3)])
    clock.advance(1)
    sql.commit(lease, [Begun(0, 1, "worker 7", 2)])
    clock.advance(1)
    sql.commit(lease, [Ended(0, 1, TrialState.WAITING, "killed", retry=True)])
    engine = connect(store_url)
    with engine.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM attempts")).mappings().one()
        part = "parameters ->> 'a'" if engine.dialect.name == "postgresql" else "json_extract(parameters, '$.a')"
        parameter = connection.execute(sa.text(f"SELECT {part} FROM trials")).scalar_one()
    engine.dispose()
    assert dict(row) == {
        "sweep": 1, "trial": 0, "attempt": 1, "state": "waiting", "reason": "killed", "place": "slot 0", "worker": "worker 7",
        "from_step": 2, "until_step": 3, "assigned_ms": began, "begun_ms": began + 1000, "ended_ms": began + 2000,
    }  # fmt: skip
    assert int(parameter) == 1
