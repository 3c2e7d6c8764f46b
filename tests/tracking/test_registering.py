"""A sweep whose winner is registered, and what may be in the way: an MLflow that is down, emptied or killed, a network that is gone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

import hpsearch
from hpsearch.tracking import links, quiet

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(400)]

FILE = """
name: flowers
task: {kind: classification, data: iris, model: mlp}
objective: {metric: val_loss, goal: minimize}
space: {learning_rate: {min: 1.0e-3, max: 0.05, log: true}, hidden_units: 8}
training: {epochs: 3}
search: {sampler: random, scheduler: none, seed: 1}
budget: {trials: 2}
resources: {executor: inline}
winner: {top: 1, seeds: 2}
tracking: {register: irises}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HPSEARCH_HOME", "HPSEARCH_STORE", "HPSEARCH_STORE_FILE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.yaml").write_text(FILE)
    return tmp_path


def run(place: Path, *overrides: str) -> Any:
    return hpsearch.run(hpsearch.load(place / "flowers.yaml", overrides))


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hpsearch", *words], capture_output=True, text=True, check=False)


def versions(uri: str) -> dict[int, str]:
    """The versions of irises by number, with the alias's name where it is one's."""
    client = quiet.client(uri)
    aliases = {int(version): alias for alias, version in client.get_registered_model("irises").aliases.items()}
    return {int(v.version): aliases.get(int(v.version), "") for v in client.search_model_versions() if v.name == "irises"}


def logged(uri: str) -> list[str]:
    client = quiet.client(uri)
    return [str(m.status) for e in client.search_experiments() for m in client.search_logged_models([e.experiment_id])]


def test_an_emptied_store_gets_it_back_and_so_does_one_without_the_version(place: Path) -> None:
    result = run(place)
    uri = f"sqlite:///{place}/.hpsearch/mlflow.db"
    assert result.tracked.model["version"] == 1
    for file in (place / ".hpsearch").glob("mlflow.db*"):
        file.unlink()
    shutil.rmtree(place / ".hpsearch" / "artifacts")
    first, second = command("sync", "flowers"), command("sync", "flowers")
    assert "1 model registered" in first.stdout, first.stderr
    assert "MLflow has all of it" in second.stdout
    assert (versions(uri), logged(uri)) == ({1: "champion"}, ["READY"])
    quiet.client(uri).delete_model_version("irises", "1")
    assert "1 model registered" in command("sync", "flowers").stdout
    assert (versions(uri), logged(uri)) == ({2: "champion"}, ["READY"])
    assert f"model: {result.tracked.model['said'].replace(' 1 ', ' 2 ')}" in command("best", "flowers").stdout


def test_a_sweep_that_goes_on_registers_its_new_winner(place: Path) -> None:
    first = run(place)
    more = run(place, "budget.trials=12", "search.seed=1")
    assert more.winner.trial.number != first.winner.trial.number, "or the test shows nothing"
    uri = f"sqlite:///{place}/.hpsearch/mlflow.db"
    is_better = more.winner.chosen.mean < first.winner.chosen.mean
    assert more.tracked.model["champion"] is is_better
    assert versions(uri) == ({1: "", 2: "champion"} if is_better else {1: "champion", 2: ""})
    again = run(place, "budget.trials=12")
    assert again.finished_before
    assert again.tracked.model == more.tracked.model


def test_without_the_network_it_says_so_and_all_else_is_there(place: Path) -> None:
    result = run(place, "tracking.register=null")
    assert result.tracked.model is None
    assert not list((place / ".hpsearch" / "outputs").rglob("*.npz")), "nobody has asked for it"
    result = run(place, "name=others")
    shutil.rmtree(place / ".hpsearch" / "outputs" / "others")
    uri = f"sqlite:///{place}/.hpsearch/mlflow.db"
    quiet.client(uri).delete_registered_model("irises")
    done = command("sync", "others")
    assert done.returncode == 0
    assert "has left no network here" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_away_gets_it_later(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port = links.free_port(0)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{port}")
    monkeypatch.setattr("hpsearch.sweep.TRACKING_PATIENCE_S", 2.0)
    result = run(place)
    assert not result.tracked.up_to_date
    assert result.tracked.model is None
    server = subprocess.Popen(
        links.ui_command(port),
        env={**os.environ, **links.ui_environment(f"sqlite:///{place}/server.db", place / "server")},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        _wait_for(port)
        done = command("sync", "flowers")
        assert "1 model registered" in done.stdout, done.stderr
        assert versions(f"http://127.0.0.1:{port}") == {1: "champion"}
        assert logged(f"http://127.0.0.1:{port}") == ["READY"]
        assert hpsearch.run(hpsearch.load(place / "flowers.yaml")).tracked.model["version"] == 1
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(port: int) -> None:
    client = quiet.client(f"http://127.0.0.1:{port}")
    for _ in range(120):
        try:
            client.search_experiments()
        except Exception:
            time.sleep(0.5)
        else:
            return
    pytest.fail("the server did not come up")


def test_the_projector_killed_while_it_registers_begins_again(place: Path) -> None:
    """With all that it has started, which ends when its input does."""
    result = run(place, "tracking.register=null", "name=first")
    assert result.tracked.up_to_date
    killed: list[int] = []
    stopped = threading.Event()
    watch = threading.Thread(target=_kill_the_first_projector_that_registers, args=(killed, stopped))
    watch.start()
    result = run(place)
    stopped.set()
    watch.join()
    assert killed, "or the test shows nothing"
    assert result.tracked.up_to_date, result.tracked.error
    assert result.tracked.model["version"] == 1
    uri = f"sqlite:///{place}/.hpsearch/mlflow.db"
    assert (versions(uri), logged(uri)) == ({1: "champion"}, ["READY"])
    time.sleep(1)
    assert not _registrations()


def _registrations() -> list[psutil.Process]:
    own = psutil.Process().children(recursive=True)
    return [process for process in own if "hpsearch.tracking.registration" in " ".join(_words(process))]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _kill_the_first_projector_that_registers(killed: list[int], stopped: threading.Event) -> None:
    while not killed and not stopped.is_set():
        for process in _registrations():
            parent = process.parent()
            if parent is not None and parent.pid != os.getpid():
                time.sleep(1.5)  # it imports MLflow, or has gone on
                parent.send_signal(signal.SIGKILL)
                killed.append(parent.pid)
        time.sleep(0.02)
