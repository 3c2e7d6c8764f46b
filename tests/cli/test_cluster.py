"""`hpsearch cluster`, as far as no cluster is needed: bad input, clusters that are not there. tests/cluster/test_verbs.py has the rest."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from hpsearch.executors import ray_nodes

STORE = "postgresql+psycopg://ada:lovelace@127.0.0.1/hpsearch"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_cluster_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")  # what is set while a test runs is taken back


@pytest.mark.parametrize("option", [["--nodes", "0"], ["--nodes", "many"], ["--nodes", "65"], ["--cpus", "0"], ["--gpus", "-1"]])
def test_up_refuses_numbers_that_cannot_be(hp, option):
    ran = hp("cluster", "up", *option)
    assert ran.code == 2
    assert option[0] in ran.err


def test_up_says_what_ray_lacks(hp, monkeypatch):
    monkeypatch.setattr(ray_nodes, "_OF_THE_DASHBOARD", ("aiohttp", "no_such_package"))
    ran = hp("cluster", "up", "--json")
    assert ran.code == 3
    assert ran.json["error"] == "Ray's dashboard, which takes jobs, needs no_such_package: pip install 'ray[default]'"


def test_without_a_cluster(hp, sweep_file, tmp_path):
    for words in (["status"], ["submit", sweep_file]):
        ran = hp("cluster", *words)
        assert ran.code == 3
        assert "start one with `hpsearch cluster up`" in ran.err
    ran = hp("cluster", "down", "--json")
    assert (ran.code, ran.json) == (0, {"was_up": False})
    assert not (tmp_path / ".hpsearch").exists()


def test_a_sweep_file_is_checked_first(hp, sweep_file):
    sweep_file.write_text(sweep_file.read_text().replace("val_accuracy", "val_acuracy"))
    ran = hp("cluster", "submit", sweep_file)
    assert ran.code == 2
    assert "did you mean 'val_accuracy'" in ran.err


@pytest.mark.parametrize("address", ["HEAD:8265", "ray://head:10001", "http://", "http://head:99999", "http://user:word@head:8265", "auto"])
def test_an_address_that_is_no_dashboards(hp, sweep_file, address):
    for words in (["status"], ["submit", sweep_file]):
        ran = hp("cluster", *words, "--address", address)
        assert ran.code == 2
        assert "must be the URL of the dashboard of the cluster's head, such as http://HEAD:8265" in ran.err
        assert "word@" not in ran.err


def test_an_address_without_a_cluster(hp, sweep_file):
    ran = hp("cluster", "status", "--address", NOWHERE)
    assert ran.code == 3
    assert f"no dashboard of a Ray cluster answers at {NOWHERE}" in ran.err


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HPSEARCH_STORE", "sqlite:////data/ledger.db", "HPSEARCH_STORE: sqlite:////data/ledger.db is a file of this machine"),
        ("HPSEARCH_STORE", STORE, "HPSEARCH_STORE: postgresql+psycopg://ada:***@127.0.0.1/hpsearch is this machine's own address"),
        ("MLFLOW_TRACKING_URI", "http://localhost:5000", "MLFLOW_TRACKING_URI: http://localhost:5000 is this machine's own address"),
        ("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db", "MLFLOW_TRACKING_URI: sqlite:///mlflow.db is a file of this machine"),
    ],
)
def test_what_another_machines_cluster_cannot_reach(hp, sweep_file, monkeypatch, variable, value, said):
    """Refused before anybody knocks at the cluster."""
    monkeypatch.setenv(variable, value)
    ran = hp("cluster", "submit", sweep_file, "--address", NOWHERE)
    assert ran.code == 2
    assert said in ran.err
    assert f"the cluster at {NOWHERE} does not reach; unset it" in ran.err
    assert "lovelace" not in ran.err


def test_a_store_in_a_file_is_looked_at_too(hp, sweep_file, monkeypatch, tmp_path):
    (tmp_path / "store").write_text(STORE)
    monkeypatch.setenv("HPSEARCH_STORE_FILE", str(tmp_path / "store"))
    ran = hp("cluster", "submit", sweep_file, "--address", NOWHERE)
    assert ran.code == 2
    assert f"HPSEARCH_STORE_FILE ({tmp_path / 'store'}): postgresql+psycopg://ada:***@127.0.0.1/hpsearch is" in ran.err
    assert "lovelace" not in ran.err


@pytest.mark.parametrize("option", [["--home", "elsewhere"], ["--store", "sqlite:///x.db"]])
def test_options_about_this_machine_are_not_for_another(hp, sweep_file, option):
    ran = hp("cluster", "submit", sweep_file, "--address", NOWHERE, *option)
    assert ran.code == 2
    assert f"{option[0]} is of this machine" in ran.err


def test_a_damaged_record_is_named(hp, tmp_path):
    (tmp_path / ".hpsearch" / "cluster").mkdir(parents=True)
    (tmp_path / ".hpsearch" / "cluster" / "cluster.json").write_text('{"nodes": [')
    for word in ("status", "down"):
        ran = hp("cluster", word)
        assert ran.code == 3
        assert "cluster.json, which tells of the home's cluster, cannot be read" in ran.err


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.slow
def test_a_dashboard_that_hangs_is_told(processes, silent):
    began = time.monotonic()
    ran = processes.run("cluster", "status", "--address", silent)
    assert ran.code == 3
    assert f"the dashboard at {silent} does not answer in time" in ran.err
    assert time.monotonic() - began < 15
