"""What of a submitter's settings another machine reaches, and what of them goes along."""

from __future__ import annotations

import pytest

from hpsearch.config.home import Home
from hpsearch.executors.ray_reach import carried, is_loopback, kept_back, unreachable


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////data/ledger.db",
        "sqlite+pysqlite:///ledger.db",
        "postgresql://localhost/x",
        "postgresql+psycopg://ada:word@127.0.0.1:5432/x",
        "postgresql+psycopg://ada@[::1]/x",
        "postgresql+psycopg:///x",
        "postgresql+psycopg://ada@/x?host=%2Fvar%2Frun%2Fpostgresql",
        "postgresql+psycopg://ada@db.example/x?host=localhost",
        "http://LOCALHOST:5000",
        "http://127.8.9.1:5000",
        "https://mlflow.localhost",
        "http://0.0.0.0:5000",
        "file:///srv/mlruns",
        "./mlruns",
    ],
)
def test_what_other_machines_do_not_reach(url):
    assert unreachable(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ada:word@db.example:5432/x",
        "postgresql+psycopg:///x?host=db.example",
        "http://mlflow:5000",
        "https://10.1.2.3",
        "databricks",
        "databricks://profile",
    ],
)
def test_what_they_may(url):
    assert unreachable(url) is None


@pytest.mark.parametrize(("storage", "is_refused"), [("s3://bucket/sweeps", False), ("/shared/sweeps", False), ("sweeps", True)])
def test_a_folder_in_full_may_be_one_that_all_share(storage, is_refused):
    assert bool(unreachable(storage, is_folder=True)) == is_refused


def test_loopback():
    assert all(map(is_loopback, ("localhost", "localhost.", "127.0.0.1", "::1")))
    assert not any(map(is_loopback, ("127.example", "localhost.example", "head", "10.0.0.1")))


def test_what_holds_a_password_stays(monkeypatch):
    monkeypatch.delenv("HPSEARCH_STORE_FILE", raising=False)
    monkeypatch.setenv("HPSEARCH_STORE", "postgresql+psycopg://ada:word@db.example/x")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    home = Home.find()
    assert carried(home) == {"MLFLOW_TRACKING_URI": "http://mlflow.example:5000"}
    assert kept_back(home) == ["HPSEARCH_STORE"]


def test_defaults_are_not_settings(monkeypatch):
    for name in ("HPSEARCH_STORE", "HPSEARCH_STORE_FILE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    assert (carried(Home.find()), kept_back(Home.find())) == ({}, [])
