"""What a ledger may cost the controller. Processor time, with room to spare: other programs may be running."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hpsearch.ledger.sql
from hpsearch import ledger as ledgers
from hpsearch.events import Assigned, Begun, Body, Ended, Reported, TrialCreated
from hpsearch.ledger import Lease, Ledger
from hpsearch.trial import TrialKind, TrialState

pytestmark = pytest.mark.slow

METRICS = {"val_accuracy": 0.987654321, "val_loss": 0.123456789, "train_loss": 0.0123456789}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    assert hpsearch.ledger.sql
    return ledgers.open(f"sqlite:///{tmp_path}/ledger.db")


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    return ledger.acquire(ledger.create("digits", {}, []).id, "controller", ledgers.holder(), 60)


def median_ms(act: Callable[[int], object], times: int) -> float:
    taken = []
    for i in range(times):
        began = time.process_time()
        act(i)
        taken.append(time.process_time() - began)
    return statistics.median(taken) * 1000


def started(trial: int) -> list[Body]:
    return [
        TrialCreated(trial, TrialKind.SEARCH, {"learning_rate": 0.1}, 1, 1000),
        Assigned(trial, 1, "slot", 1000),
        Begun(trial, 1, "w", 0),
    ]


def test_opening_a_new_file(tmp_path: Path) -> None:
    assert median_ms(lambda i: ledgers.open(f"sqlite:///{tmp_path}/{i}.db").close(), 5) < 150


def test_a_report(ledger: Ledger, lease: Lease) -> None:
    ledger.commit(lease, started(0))
    assert median_ms(lambda i: ledger.commit(lease, [Reported(0, 1, i + 1, METRICS, 0.01)]), 500) < 0.6
    ledger.close()


def test_ten_reports_cost_little_more_than_one(ledger: Ledger, lease: Lease) -> None:
    for trial in range(10):
        ledger.commit(lease, started(trial))
    assert median_ms(lambda i: ledger.commit(lease, [Reported(trial, 1, i + 1, METRICS, 0.01) for trial in range(10)]), 200) < 1.5
    ledger.close()


def test_two_thousand_short_trials(ledger: Ledger, lease: Lease) -> None:
    """The last hundred cost what the first hundred did."""

    def told(trial: int) -> list[list[Body]]:
        return [started(trial), [Reported(trial, 1, 1, METRICS, 0.01)], [Ended(trial, 1, TrialState.COMPLETED)]]

    def run(trial: int) -> None:
        for bodies in told(trial):
            ledger.commit(lease, bodies)

    first = median_ms(run, 100)
    for trial in range(100, 1900):
        ledger.commit(lease, [body for bodies in told(trial) for body in bodies])
    last = median_ms(lambda i: run(1900 + i), 100)
    assert last < 5
    assert last < 2 * first
    assert median_ms(lambda _: ledger.find("digits"), 5) < 20
    ledger.close()
