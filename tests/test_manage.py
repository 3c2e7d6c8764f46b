"""Changes from outside, on the ledger in memory: with a controller that runs, and without."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hpsearch import ledger as ledgers
from hpsearch import manage
from hpsearch.config import SweepConfig, load
from hpsearch.config.home import Home
from hpsearch.errors import InputError, LeaseHeld
from hpsearch.events import Assigned, Ended, SweepClosed, TrialCreated
from hpsearch.ledger.face import Ledger
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.trial import TrialKind, TrialState

FILE = """\
name: one
task: {kind: classification, data: iris}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {min: 0.1, max: 1.0}}
budget: {trials: 4}
"""


@pytest.fixture
def config(tmp_path: Path) -> SweepConfig:
    file = tmp_path / "one.yaml"
    file.write_text(FILE)
    return load(file)


@pytest.fixture
def ledger(config: SweepConfig) -> Ledger:
    """With the sweep `one`, whose trials 0, 1, 2, 3 are waiting, running (its controller is gone), paused and completed."""
    ledger = MemoryLedger()
    sweep = ledger.create("one", config.to_json(), [TrialCreated(i, TrialKind.SEARCH, {}, i, 2) for i in range(4)])
    lease = ledger.acquire(sweep.id, "controller", "me", 60)
    ledger.commit(lease, [Assigned(i, 1, "p", 2) for i in (1, 2, 3)])
    ledger.commit(lease, [Ended(2, 1, TrialState.PAUSED), Ended(3, 1, TrialState.COMPLETED), SweepClosed("stopped")])
    ledger.release(lease)
    return ledger


def history(ledger: Ledger, config: SweepConfig):
    return ledgers.fold(ledger, ledger.find("one").id, config.objectives)


@pytest.mark.parametrize("trial", [0, 1, 2])
def test_cancel_where_nobody_runs_it(ledger: Ledger, config: SweepConfig, trial: int):
    assert manage.cancel(ledger, "one", trial) is None
    record = history(ledger, config).trials[trial]
    assert (record.state, record.reason) == (TrialState.CANCELLED, "cancelled on request")
    assert ledger.holder(ledger.find("one").id, "controller") is None


@pytest.mark.parametrize(("trial", "why"), [(3, r"has ended already \(completed\)"), (4, "has trials 0 to 3")])
def test_what_cannot_be_cancelled(ledger: Ledger, trial: int, why: str):
    with pytest.raises(InputError, match=why):
        manage.cancel(ledger, "one", trial)


def test_extend_where_nobody_runs_it(ledger: Ledger, config: SweepConfig):
    assert manage.extend(ledger, "one", 6) is None
    assert history(ledger, config).extended_to.trials == 6
    with pytest.raises(InputError, match="has a total of 6 trials already; give the new total, such as 12"):
        manage.extend(ledger, "one", 6)


def test_a_sweep_without_a_limit_of_trials_has_none_to_extend(config: SweepConfig, tmp_path: Path):
    file = tmp_path / "one.yaml"
    file.write_text(FILE.replace("trials: 4", "time: 30m"))
    ledger = MemoryLedger()
    ledger.create("one", load(file).to_json(), [])
    with pytest.raises(InputError, match="no limit of trials to raise"):
        manage.extend(ledger, "one", 6)


def test_a_controller_that_runs_is_asked(ledger: Ledger):
    lease = ledger.acquire(ledger.find("one").id, "controller", "me", 60)
    assert manage.extend(ledger, "one", 6) == "me"
    assert manage.cancel(ledger, "one", 0) == "me"
    assert manage.stop(ledger, "one") == "me"
    assert [(r.kind, r.payload) for r in ledger.take_requests(lease)] == [("extend", {"trials": 6}), ("cancel", {"trial": 0}), ("stop", {})]


def test_a_stop_can_be_waited_for(ledger: Ledger):
    lease = ledger.acquire(ledger.find("one").id, "controller", "me", 60)
    leaving = threading.Timer(0.3, ledger.release, [lease])
    leaving.start()
    assert not manage.wait_until_let_go(ledger, "one", patience_s=0.05)
    assert manage.wait_until_let_go(ledger, "one")
    leaving.join()


def test_who_takes_the_sweep_while_it_is_being_changed_is_asked(ledger: Ledger, monkeypatch: pytest.MonkeyPatch):
    sweep, holder = ledger.find("one").id, ledger.holder

    def taken_since(*asked: object) -> str | None:
        monkeypatch.setattr(ledger, "holder", holder)
        ledger.acquire(sweep, "controller", "me", 60)
        return None

    monkeypatch.setattr(ledger, "holder", taken_since)
    assert manage.extend(ledger, "one", 6) == "me"
    assert [(r.kind, r.payload) for r in ledger.waiting_requests(sweep)] == [("extend", {"trials": 6})]


def test_delete(ledger: Ledger, tmp_path: Path):
    home = Home(tmp_path / "home", "", "")
    for folder in (home.checkpoints, home.logs, home.outputs, home.data):
        for name in ("one", "two"):
            (folder / name / "x").mkdir(parents=True)
    home.reports.mkdir()
    for file in (home.report_of("one"), home.export_of("one")):
        file.touch()
    lease = ledger.acquire(ledger.find("one").id, "controller", "me", 60)
    with pytest.raises(LeaseHeld):
        manage.delete(ledger, home, "one")
    assert (home.logs / "one").exists()
    ledger.release(lease)
    manage.delete(ledger, home, "one")
    assert ledger.sweeps() == []
    assert sorted(path.name for path in home.root.glob("*/*")) == ["two"] * 4


def test_free_names(ledger: Ledger, config: SweepConfig):
    assert manage.free_name(ledger, "two") == "two"
    assert manage.free_name(ledger, "one") == "one-2"
    ledger.create("one-2", config.to_json(), [])
    assert manage.free_name(ledger, "one") == "one-3"
