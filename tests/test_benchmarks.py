"""What benchmarks say that they have written is there, counted in the stores themselves."""

from __future__ import annotations

import sqlite3
import urllib.request
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from benchmarks import tracking
from benchmarks.mlflow_by_hand import WAYS
from benchmarks.tracking import Measured, Store, by_hand, hpsearch, logged, mlflow_server, stores, table

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


def points_in(database: Path) -> int:
    with closing(sqlite3.connect(database)) as opened:
        return int(opened.execute("SELECT count(*) FROM metrics WHERE key LIKE 'metric\\_%' ESCAPE '\\'").fetchone()[0])


def test_all_of_hpsearchs_points_are_in_mlflow(tmp_path: Path) -> None:
    in_ledger, in_mlflow = hpsearch(Store("SQLite", None), 2, 10, tmp_path)
    assert in_ledger.points == in_mlflow.points == points_in(tmp_path / "home" / "mlflow.db") == 200
    assert in_ledger.per_s > in_mlflow.per_s > 0
    assert in_ledger.stall_p50_ms is not None
    assert in_ledger.stall_p99_ms is not None
    assert 0 < in_ledger.stall_p50_ms <= in_ledger.stall_p99_ms
    assert points_in(tmp_path / "paced" / "home" / "mlflow.db") == 2 * 5 * 10


@pytest.mark.parametrize("way", WAYS)
def test_all_points_of_mlflows_own_calls_are_there(tmp_path: Path, way: str) -> None:
    database = tmp_path / "mlflow.db"
    said = logged(way, f"sqlite:///{database}", 2, 0.5, tmp_path)
    assert said["fast"]["points"] > 0
    assert said["paced"]["points"] > 0
    assert said["fast"]["points"] + said["paced"]["points"] == points_in(database)
    assert len(said["paced"]["stalls"]) * 10 == said["paced"]["points"]


def test_the_other_store_is_postgresql_behind_a_server(tmp_path: Path) -> None:
    with stores(tmp_path) as (_, store):
        assert store.settings["MLFLOW_TRACKING_URI"] == store.tracking_uri
        measured = by_hand(store, "log_batch", 2, 0.5, tmp_path)
        assert measured.failed == 0
        with psycopg.connect(store.settings["HPSEARCH_STORE"].replace("+psycopg", "").replace("/ledger?", "/mlflow?")) as database:
            ((rows,),) = database.execute("SELECT count(*) FROM metrics").fetchall()
        assert rows >= measured.points > 0
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{store.tracking_uri}/health", timeout=5)


def test_a_server_that_cannot_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="mlflow server does not answer"), mlflow_server("postgresql://nobody@127.0.0.1:9/x", tmp_path):
        pass


def test_quantiles_and_table() -> None:
    assert tracking._quantiles_ms([i / 1000 for i in range(100)]) == (50.0, 99.0)
    shown = table([Measured("SQLite", "log_batch", 8, 64_000, 9876.5, 0.5, 12.25, 3)], 64, 1000, 4.0)
    assert "64 workers × 10 metrics × 1,000 steps = 640,000 points" in shown
    assert "      8    64,000     9,876        0.50 ms    12.25 ms   3 calls failed" in shown
