"""stop, extend, cancel, delete, sync: of a sweep that nobody runs."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from hpsearch import ledger as ledgers
from hpsearch.events import TrialCreated
from hpsearch.ledger import holder
from hpsearch.trial import TrialKind

pytestmark = pytest.mark.slow


def test_extend_only_raises(hp, copied):
    ran = hp("extend", "small", "--trials", 4)
    assert ran.code == 2
    assert "has a total of 4 trials already" in ran.err
    assert hp("extend", "small", "--trials", 6, "--json").json == {"sweep": "small", "trials": 6, "asked": None}
    assert hp("status", "small", "--json").json["budget"]["trials"] == 6
    assert hp("extend", "small", "--trials", 5).code == 2


def test_stop_where_nothing_runs(hp, copied):
    assert hp("stop", "small", "--json").json == {"sweep": "small", "asked": None, "stopped": True}


def test_cancel_a_trial_that_waits(hp, copied):
    with contextlib.closing(ledgers.open(f"sqlite:///{copied}/ledger.db")) as ledger:
        sweep = ledger.find("small")
        lease = ledger.acquire(sweep.id, "controller", holder(), 60)
        ledger.commit(lease, [TrialCreated(4, TrialKind.SEARCH, {"learning_rate": 0.1}, 0, 2)])
        ledger.release(lease)
    assert hp("cancel", "small", 4).code == 0
    assert hp("show", "small", 4, "--json").json["state"] == "cancelled"
    again = hp("cancel", "small", 4)
    assert (again.code, "has ended already (cancelled)" in again.err) == (2, True)


def test_delete_asks_first_and_then_forgets_everything(hp, copied: Path, monkeypatch: pytest.MonkeyPatch):
    ran = hp("delete", "small")
    assert (ran.code, "--yes" in ran.err) == (2, True)
    monkeypatch.setattr("hpsearch.cli.changing.has_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    assert "nothing was deleted" in hp("delete", "small").out
    assert (copied / "checkpoints" / "small").exists()
    assert hp("delete", "small", "--yes", "--json").json == {"sweep": "small", "deleted": True, "trials": 4}
    assert hp("list", "--json").json == {"sweeps": []}
    assert not [path for path in copied.rglob("*") if path.name == "small"]


def test_a_sweep_that_runs_is_not_deleted(hp, copied):
    with contextlib.closing(ledgers.open(f"sqlite:///{copied}/ledger.db")) as ledger:
        ledger.acquire(ledger.find("small").id, "controller", holder(), 60)
        assert hp("list", "--json").json["sweeps"][0]["state"] == "running"
        assert hp("delete", "small", "--yes").code == 4
    assert (copied / "checkpoints" / "small").exists()


def test_requests_reach_a_controller_that_runs(hp, copied):
    with contextlib.closing(ledgers.open(f"sqlite:///{copied}/ledger.db")) as ledger:
        lease = ledger.acquire(ledger.find("small").id, "controller", holder(), 60)
        assert hp("extend", "small", "--trials", 9, "--json").json["asked"]
        assert hp("stop", "small", "--no-wait").code == 0
        assert [(r.kind, dict(r.payload)) for r in ledger.take_requests(lease)] == [("extend", {"trials": 9}), ("stop", {})]


@pytest.mark.slow
def test_sync_finds_nothing_to_repair(hp, copied):
    synced = hp("sync", "small", "--json").json
    assert (synced["runs"], synced["repairs"]) == (5, 0)
    assert "MLflow has all of it" in hp("sync", "small").out
