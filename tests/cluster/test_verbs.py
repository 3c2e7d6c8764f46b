"""`hpsearch cluster` on a real cluster of this machine: runs join it, submitted sweeps go on alone on it, and nothing is left of it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from compose_file import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(400)]

TRAIN = """
import csv, os, pathlib, time

def train(trial):
    here = pathlib.Path(__file__).parent
    points = list(csv.reader((here / "points.csv").open()))
    while (here / ".hold").exists():
        time.sleep(0.1)
    for step in trial.steps():
        time.sleep(0.4)
        print(f"trial {trial.number} step {step}: {len(points)} points, beside me {sorted(each.name for each in here.iterdir())}")
        print(f"my temporary folder is {os.environ['TMPDIR']}")
        trial.report(step, {"loss": trial.params["x"] ** 2 / step})
"""
SWEEP = """
task: {kind: function, target: "train_it:train"}
objective: {metric: loss, goal: minimize}
space: {x: {min: -1.0, max: 1.0}}
training: {epochs: 4}
search: {sampler: random, scheduler: none, seed: 1}
budget: {trials: 12}
resources: {retries: 0}
"""
FEW = ["budget.trials=4", "training.epochs=2", "resources.workers=2"]
"""Changes where it is not the trials that matter."""


@dataclass
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str
    wall_s: float

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


@dataclass
class Place:
    """A folder with a sweep file, and a home in it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "train_it.py").write_text(TRAIN)
        (self.folder / "points.csv").write_text("x,y\n1,2\n3,4\n")

    def write(self, name: str) -> str:
        (self.folder / f"{name}.yaml").write_text(SWEEP)
        return f"{name}.yaml"

    def call(self, *words: str, **more: str) -> Ran:
        """In a session of its own, of which all that is left is killed when the command has ended: its terminal is closed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_", "RAY_"))}
        environment = {**clean, "PYTHONPATH": str(ROOT), **self.environment, **more}
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "hpsearch", *words],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        out, err = process.communicate(timeout=150)
        for number in (signal.SIGHUP, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        assert "Traceback" not in out + err, err
        return Ran(process.returncode, out, err, time.monotonic() - began)

    def json(self, *words: str, **more: str) -> Any:
        ran = self.call(*words, "--json", **more)
        assert ran.code == 0, ran.err
        return ran.json

    def wait_until_completed(self, sweep: str) -> dict[str, Any]:
        deadline = time.monotonic() + 200
        while not (seen := [each for each in self.json("list")["sweeps"] if (each["sweep"], each["state"]) == (sweep, "completed")]):
            assert time.monotonic() < deadline
            time.sleep(0.5)
        return dict(seen[0])


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A home with a cluster of three nodes, two places each. Its processes are all of sessions that `cluster.json` names."""
    with tempfile.TemporaryDirectory() as folder:
        made = Place(Path(folder) / "here")
        try:
            made.json("cluster", "up", "--nodes", "3", "--cpus", "2")
            yield made
        finally:
            made.call("cluster", "down")


def record(place: Place) -> dict[str, Any]:
    return dict(json.loads((place.folder / ".hpsearch" / "cluster" / "cluster.json").read_text()))


def tree(node: dict[str, Any]) -> set[int]:
    """The process ids of a node and all that runs on it."""
    root = psutil.Process(node["pid"])
    return {root.pid, *(child.pid for child in root.children(recursive=True))}


def test_up_again_says_that_it_is_there(place):
    ran = place.call("cluster", "up", "--json")
    assert (ran.code, ran.json["new"], ran.json["nodes"]) == (0, False, 3)
    ran = place.call("cluster", "up", "--nodes", "2")
    assert ran.code == 2
    assert "--nodes 2: a cluster of this home is up, with nodes 3" in ran.err


def test_its_token_is_the_owners_alone(place):
    file = place.folder / ".hpsearch" / "cluster" / "token"
    token = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(token) == 64
    assert token not in json.dumps(record(place))
    lines = [" ".join(psutil.Process(pid).cmdline()) for node in record(place)["nodes"] for pid in tree(node)]
    assert len(lines) > 9
    assert not [line for line in lines if token in line]
    assert stat.S_IMODE(Path(record(place)["scratch"]).stat().st_mode) == 0o700


def test_the_dashboard_listens_on_loopback(place):
    port = int(record(place)["dashboard"].rpartition(":")[2])
    listening = [each.laddr for each in psutil.net_connections("tcp") if each.status == "LISTEN" and each.laddr.port == port]
    assert {address.ip for address in listening} == {"127.0.0.1"}


def test_a_run_of_the_home_joins_it(place):
    result = place.json("run", place.write("joins"), "--executor", "ray", *FEW)
    assert (result["state"], result["trials"]) == ("completed", {"completed": 4})
    texts = [log["text"] for log in place.json("logs", "joins")["logs"]]
    assert len(texts) == 4
    assert all(f"my temporary folder is {record(place)['scratch']}/tmp\n" in text for text in texts)


def test_a_submitted_sweep_goes_on_when_its_terminal_is_closed(place):
    file = place.write("alone")
    (place.folder / ".hold").touch()
    job = place.json("cluster", "submit", file)
    assert (job["new"], job["sweep"]) == (True, "alone")
    again = place.json("cluster", "submit", file)
    assert (again["new"], again["job"], again["state"]) == (False, job["job"], "RUNNING")
    other = place.call("cluster", "submit", file, "search.seed=2")
    assert other.code == 4
    assert f"runs sweep 'alone' with another configuration, as job {job['job']}" in other.err
    check_where_trials_are(place)
    (place.folder / ".hold").unlink()
    seen = place.wait_until_completed("alone")
    assert seen["trials"] == {"completed": 12}
    for number, log in enumerate(place.json("logs", "alone")["logs"]):
        assert [line.partition(",")[0] for line in log["text"].splitlines()][-2] == f"trial {number} step 4: 3 points"
    assert place.call("logs", "alone", "11").out.startswith("trial 11 step 1: 3 points")
    wait_for_job(place, job["job"], "SUCCEEDED")
    once_more = place.json("cluster", "submit", file)
    assert (once_more["new"], once_more["job"]) == (True, f"{job['job']}-2")
    wait_for_job(place, once_more["job"], "SUCCEEDED")
    assert place.json("status", "alone")["trials"] == {"completed": 12}, "it was complete already"


def check_where_trials_are(place: Place) -> None:
    """Each node that `cluster status` names holds, by the process tree, the workers of its trials."""
    deadline = time.monotonic() + 100
    while True:
        seen = place.json("cluster", "status")
        trees = [tree(node) for node in record(place)["nodes"]]
        found = [{int(each["worker"].rpartition(":")[2]) for each in node["trials"]} for node in seen["nodes"]]
        if all(found):
            break
        assert time.monotonic() < deadline, seen
    holders = [[number for number, pids in enumerate(trees) if workers <= pids] for workers in found]
    assert sorted(holders) == [[0], [1], [2]], "each node's trials are in the tree of one node, and of another one each"
    assert [node["head"] for node in seen["nodes"]] == [True, False, False]
    assert [node["cpus"] for node in seen["nodes"]] == [{"used": 2.0, "total": 2.0}] * 3
    assert [job["state"] for job in seen["jobs"] if job["sweep"] == "alone"] == ["RUNNING"]


def wait_for_job(place: Place, job: str, state: str) -> None:
    deadline = time.monotonic() + 100
    while next(each for each in place.json("cluster", "status")["jobs"] if each["id"] == job)["state"] != state:
        assert time.monotonic() < deadline, place.json("cluster", "status")
        time.sleep(0.5)


@pytest.fixture
def elsewhere(place: Place, tmp_path: Path) -> Place:
    """Another home, for which the cluster is another's."""
    token = place.folder / ".hpsearch" / "cluster" / "token"
    return Place(tmp_path / "elsewhere", {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)})


def test_code_and_data_travel_to_another_cluster_and_secrets_do_not(place, elsewhere):
    (elsewhere.folder / ".env").write_text("PASSWORD=lovelace")
    (elsewhere.folder / "notes.txt").write_text("not needed")
    (elsewhere.folder / ".rayignore").write_text("notes.txt\n")
    file, address = elsewhere.write("far"), record(place)["dashboard"]
    job = elsewhere.json("cluster", "submit", file, *FEW, "--address", address)
    assert job["new"]
    place.wait_until_completed("far")
    (log,) = place.json("logs", "far", "1")["logs"]
    beside = re.findall(r"beside me \[(.*)\]", log["text"])[0].replace("'__pycache__', ", "")
    assert beside == "'.rayignore', 'far.yaml', 'points.csv', 'train_it.py'"
    assert not (elsewhere.folder / ".hpsearch").exists(), "the head's home has it all"
    store = "postgresql+psycopg://ada:lovelace@db.example/hpsearch"
    ran = elsewhere.call("cluster", "submit", file, "name=farther", "--address", address, HPSEARCH_STORE=store)
    assert ran.code == 3
    assert "the head has no HPSEARCH_STORE, and that of the submitter holds a password" in ran.err
    assert "lovelace" not in json.dumps(elsewhere.json("cluster", "status", "--address", address)) + ran.err


@pytest.mark.parametrize("mode", ["token", "disabled"])
def test_a_wrong_token_is_told_at_once(place, elsewhere, mode, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text(secrets.token_hex(32))
    wrong.chmod(0o600)
    more = {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": str(wrong)}
    ran = elsewhere.call("cluster", "submit", elsewhere.write("far"), "--address", record(place)["dashboard"], **more)
    assert ran.code == 3
    assert "does not let us in; its token must be in the file that RAY_AUTH_TOKEN_PATH names" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.wall_s < 15
    assert wrong.read_text() not in ran.err


def test_other_stores_than_the_clusters_are_refused(place):
    ran = place.call("cluster", "submit", place.write("stored"), HPSEARCH_STORE="postgresql+psycopg://ada:lovelace@db.example/hpsearch")
    assert ran.code == 2
    assert "was started with the ledger sqlite:///" in ran.err
    assert "and here it is postgresql+psycopg://ada:***@db.example/hpsearch; start it anew" in ran.err


def test_a_start_that_is_interrupted_leaves_nothing(tmp_path):
    place = Place(tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_", "RAY_"))}
    words = [sys.executable, "-m", "hpsearch", "cluster", "up", "--nodes", "2"]
    with (tmp_path / "said").open("w") as said:
        starting = subprocess.Popen(words, cwd=tmp_path, env=environment | {"PYTHONPATH": str(ROOT)}, stdout=said, stderr=said)
    file = tmp_path / ".hpsearch" / "cluster" / "cluster.json"
    while not file.exists():
        time.sleep(0.1)
    there = record(place)
    starting.send_signal(signal.SIGINT)
    assert starting.wait(timeout=60) == 130
    assert not psutil.pid_exists(there["nodes"][0]["pid"])
    assert not file.exists()
    assert not Path(there["scratch"]).exists()
    assert not sessions(there)


def sessions(there: dict[str, Any]) -> list[psutil.Process]:
    """The processes that are still in the sessions of the nodes, which Ray's processes do not leave."""
    leaders = {node["pid"] for node in there["nodes"]}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
            if os.getsid(process.pid) in leaders:
                found.append(process)
    return found


def test_down_leaves_no_process(place):
    """Also of a sweep that runs: it can be gone on with."""
    place.json("cluster", "submit", place.write("cut"), "training.epochs=200", "resources.workers=1")
    there = record(place)
    pids = {pid: psutil.Process(pid).create_time() for node in there["nodes"] for pid in tree(node)}
    assert any("hpsearch run" in " ".join(psutil.Process(pid).cmdline()).replace("-m ", "") for pid in pids)
    assert place.json("cluster", "down") == {"was_up": True}
    alive = [pid for pid, began in pids.items() if psutil.pid_exists(pid) and psutil.Process(pid).create_time() == began]
    assert alive == []
    assert not sessions(there)
    assert not Path(there["scratch"]).exists()
    assert place.json("cluster", "down") == {"was_up": False}
    assert place.call("cluster", "status").code == 3
    assert place.json("status", "cut")["state"] in ("interrupted", "created")
