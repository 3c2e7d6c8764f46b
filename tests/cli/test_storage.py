"""`storage`, from the command line: a sweep whose checkpoints lie in a folder or in S3, and a storage that cannot be used."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest
from s3_server import READS, InBucket, OnDisk, S3Server

from hpsearch import ledger as ledgers
from hpsearch.events import Begun, Reported

FUNCTION = """
import time

def train(trial):
    total = (trial.load_checkpoint() or {"total": 0})["total"]
    for step in trial.steps():
        time.sleep(0.05)
        total += step * trial.params["x"]
        trial.report(step, {"total": total}, checkpoint=lambda: {"total": total})
"""

COMMAND = """
import json, os, pathlib, sys, time

folder = pathlib.Path(os.environ["HPSEARCH_CHECKPOINT_FOLDER"])
done = int(os.environ["HPSEARCH_FROM_STEP"])
total = float((folder / f"{done}.txt").read_text()) if done else 0.0
for step in range(done + 1, int(os.environ["HPSEARCH_UNTIL_STEP"]) + 1):
    time.sleep(0.05)
    total += step * float(sys.argv[1])
    (folder / f"{step}.txt").write_text(str(total))  # by the time that a checkpoint is made, later steps may lie there too
    print(json.dumps({"total": total}), flush=True)
"""

TASKS = {"function": "{kind: function, target: 'mine:train'}", "command": "{kind: command, run: 'python mine_script.py {x}'}"}
STEPS = 30


@pytest.fixture
def sweep(tmp_path: Path):
    """Writes the sweep file `one`, with a storage."""
    (tmp_path / "mine.py").write_text(FUNCTION)
    (tmp_path / "mine_script.py").write_text(COMMAND)

    def write(storage: object, task: str = "function", more: str = "") -> Path:
        file = tmp_path / "one.yaml"
        file.write_text(f"""
name: one
task: {TASKS[task]}
objective: {{metric: total, goal: maximize}}
space: {{x: {{min: 1.0, max: 2.0}}}}
training: {{epochs: {STEPS}, checkpoint_every: 0s}}
search: {{sampler: random, scheduler: none}}
budget: {{trials: 2}}
resources: {{workers: 2, retries: 0}}
storage: {storage}
{more}""")
        return file

    return write


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path):
    return OnDisk(tmp_path / "storage") if request.param == "disk" else InBucket(request.getfixturevalue("s3_server"))


def history(folder: Path):
    with contextlib.closing(ledgers.open(f"sqlite:///{folder}/.hpsearch/ledger.db")) as ledger:
        return [event.body for event in ledger.events(ledger.find("one").id)]


def checkpoints(place) -> set[str]:
    """Trial and step of each that there is a manifest of."""
    return {path for path in place.paths() if re.fullmatch(r"one/trial-\d{5}/step-\d{5}\.json", path)}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("task", TASKS)
def test_a_sweep_killed_goes_on_from_there_and_is_deleted_there(processes, sweep, place, tmp_path, task):
    file = sweep(place.location, task)
    process = processes.start("run", file)
    deadline = time.monotonic() + 60
    while len(checkpoints(place)) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ran = processes.run("resume", "one", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["trials"] == {"completed": 2}
    bodies = history(tmp_path)
    again = [body for body in bodies if isinstance(body, Begun) and body.attempt == 2]
    assert {body.trial for body in again} == {0, 1}
    assert all(body.from_step > 0 for body in again)
    assert all(
        body.checkpoint is None or body.checkpoint.uri.startswith(f"{place.location}/one/") for body in bodies if isinstance(body, Reported)
    )
    for trial in ran.json["best"]:
        assert trial["values"]["total"] == pytest.approx(trial["params"]["x"] * STEPS * (STEPS + 1) / 2)
    assert checkpoints(place) >= {f"one/trial-0000{trial}/step-000{STEPS}.json" for trial in (0, 1)}
    assert [path for path in (tmp_path / ".hpsearch" / "checkpoints").rglob("*") if path.is_file()] == []
    place.put("one/mine.txt", b"stays")
    place.put("one-2/trial-00000/step-00001.json", b"stays")
    assert processes.run("delete", "one", "--yes").code == 0
    assert sorted(place.files()) == ["one-2/trial-00000/step-00001.json", "one/mine.txt"]


@pytest.mark.slow
@pytest.mark.long
def test_a_relative_folder_starts_from_the_sweep_file(hp, sweep, tmp_path):
    file = sweep("kept/here", more="")
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    assert hp("run", file, "--executor", "inline", "budget.trials=1", "training.epochs=1").code == 0
    assert len(checkpoints(OnDisk(tmp_path / "kept" / "here"))) == 1


def refused(ran, code: int, *told: str) -> None:
    assert ran.code == code, ran.err
    assert ran.err.startswith("error: ")
    assert len(ran.err.splitlines()) == 1
    for words in told:
        assert words in ran.err


def test_a_folder_that_cannot_be_written(hp, sweep, tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(
        hp("run", sweep("file/x")), 3, "file/x/one, where checkpoints go, cannot be written and read: Not a directory", "choose another"
    )
    assert hp("list", "--json").json == {"sweeps": []}


@pytest.mark.slow
@pytest.mark.long
def test_a_bucket_that_cannot_be_used(processes, sweep, s3_server: S3Server, monkeypatch):
    refused(processes.run("run", sweep("s3://no-such-bucket/x")), 3, "s3://no-such-bucket/x/one", "The specified bucket does not exist")
    file = sweep("s3://sweeps/denied")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(s3_server.keys("nobody", "AKIANOBODY0000000000", "a-secret-of-nobody")))
    ran = processes.run("run", file)
    refused(ran, 3, "s3://sweeps/denied/one, where checkpoints go", "credentials")
    assert "a-secret-of-nobody" not in ran.out + ran.err
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(s3_server.user("looks", READS)))
    refused(processes.run("run", file), 3, "Access Denied")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    began = time.monotonic()
    refused(processes.run("run", file), 3, "Could not connect to the endpoint URL")
    assert time.monotonic() - began < 20
    assert processes.run("list", "--json").json == {"sweeps": []}


@pytest.mark.slow
@pytest.mark.long
def test_a_server_that_goes_away_costs_no_trial(processes, sweep, tmp_path, monkeypatch):
    (tmp_path / "server").mkdir()
    server = S3Server(tmp_path / "server")
    try:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        place = InBucket(server)
        process = processes.start("run", sweep(place.location), "--json")
        deadline = time.monotonic() + 60
        while len(checkpoints(place)) < 2:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        server.stop()
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert '"completed": 2' in out.splitlines()[-1]
    logs = "".join(log.read_text() for log in (tmp_path / ".hpsearch" / "logs" / "one").glob("trial-*.log"))
    assert "cannot be saved: Could not connect to the endpoint URL" in logs
    assert "training goes on without it" in logs


@pytest.mark.slow
@pytest.mark.long
def test_what_cannot_be_deleted_is_named(processes, sweep, s3_server, monkeypatch):
    place = InBucket(s3_server)
    assert processes.run("run", sweep(place.location), "budget.trials=1", "training.epochs=1").code == 0
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(s3_server.user("keeps", READS)))
    refused(
        processes.run("delete", "one", "--yes"), 3, "'one' is deleted, but for its checkpoints in", place.location, "remove them yourself"
    )
    assert processes.run("list", "--json").json == {"sweeps": []}
    assert len(checkpoints(place)) == 1
