from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from hpsearch.ledger.face import Sweep
from hpsearch.tracking import links
from hpsearch.tracking.view import view_key


def sweep(name: str = "digits", created_ms: int = 1) -> Sweep:
    return Sweep(1, name, {}, "running", None, created_ms, None, {}, 0)


def test_links_open_the_view_of_runs() -> None:
    assert links.experiment_link("http://h:5000/", "1") == "http://h:5000/#/experiments/1/runs?workflowType=machine_learning"
    assert links.runs_link("1", "a&b", charts=True).endswith("?workflowType=machine_learning&viewStateShareKey=a%26b&compareRunsMode=CHART")


def test_a_sweeps_link_opens_its_own_view_on_its_server_or_on_this_machine() -> None:
    key = view_key(sweep())
    assert key.isalnum()
    there = f"https://h/mlflow/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey={key}"
    assert links.sweep_link("https://ada:secret@h/mlflow", "1", sweep()) == there
    assert str(links.sweep_link("sqlite:///mlflow.db", "7", sweep())).startswith("http://127.0.0.1:5000/#/experiments/7/runs?")
    assert links.sweep_link("sqlite:///mlflow.db", None, sweep()) is None
    assert len({view_key(s) for s in (sweep(), sweep("wine"), sweep(created_ms=2))}) == 3


@pytest.mark.parametrize(
    ("uri", "url"),
    [
        ("http://ada:secret@mlflow:5000/", "http://mlflow:5000"),
        ("https://host/mlflow", "https://host/mlflow"),
        ("sqlite:////data/mlflow.db", None),
        ("postgresql://ada:secret@db/mlflow", None),
    ],
)
def test_the_server_of_a_tracking_uri(uri: str, url: str | None) -> None:
    assert links.server_url(uri) == url


def test_a_taken_port_is_not_chosen() -> None:
    with socket.socket() as taken:
        taken.bind((links.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert links.free_port(port) != port
    assert links.free_port(port) == port


def test_no_password_among_the_arguments() -> None:
    uri = "postgresql://ada:secret@db/mlflow"
    assert not any("secret" in argument for argument in links.ui_command(5000))
    assert links.ui_environment(uri, Path("artifacts"))["MLFLOW_BACKEND_STORE_URI"] == uri


@pytest.mark.slow
def test_the_command_serves_the_store(tmp_path: Path) -> None:
    port = links.free_port(0)
    environment = {**os.environ, **links.ui_environment(f"sqlite:///{tmp_path}/mlflow.db", tmp_path / "artifacts")}
    with subprocess.Popen(
        links.ui_command(port), env=environment, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            for _ in range(1_000):
                try:
                    with urllib.request.urlopen(f"http://{links.HOST}:{port}/health") as answer:
                        assert answer.read() == b"OK"
                        break
                except OSError:
                    time.sleep(0.1)
            else:
                pytest.fail("it does not answer")
        finally:
            server.terminate()
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith("mlflow.db")] == []
