"""The plug is pulled, again and again: nothing is lost, nothing is there twice, and the search decides as it would have."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from hpsearch import ledger as ledgers
from hpsearch.config import SweepConfig
from hpsearch.events import Begun, Reported
from hpsearch.plan import make_plan
from hpsearch.search.replay import replay
from hpsearch.trial import TrialKind, TrialState
from hpsearch.winner import contenders

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

COMMAND = Path(sys.executable).with_name("hpsearch")
TRIALS = 40
SWEEP = f"""
name: killed
task: {{kind: classification, data: digits, model: mlp}}
objective: {{metric: val_accuracy, goal: maximize}}
space:
  learning_rate: {{min: 1.0e-4, max: 0.1, log: true}}
  hidden_units: {{min: 32, max: 256, log: true}}
  dropout: {{min: 0.0, max: 0.5}}
  optimizer: {{values: [adamw, sgd]}}
  momentum: {{min: 0.5, max: 0.99, when: {{optimizer: sgd}}}}
baseline:
  - {{learning_rate: 0.001, hidden_units: 64, dropout: 0.0, optimizer: adamw}}
training: {{epochs: 12, checkpoint_every: 0.05s}}
search: {{seed: 3, scheduler: {{kind: median, n_startup_trials: 4, n_warmup_steps: 2}}}}
budget: {{trials: {TRIALS}}}
resources: {{workers: 2, retries: 0}}
"""


class Place:
    """A folder with the sweep file and a home of its own."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        (folder / "killed.yaml").write_text(SWEEP)

    def start(self, *options: str) -> subprocess.Popen[str]:
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("HPSEARCH_", "MLFLOW_"))}
        command = [str(COMMAND), "run", "killed.yaml", "--json", *options]
        with (self.folder / "output.txt").open("a") as log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)

    def finish(self, *options: str) -> dict[str, object]:
        process = self.start(*options)
        output = process.communicate(timeout=200)[0]
        assert process.returncode == 0, (self.folder / "output.txt").read_text()[-3000:]
        result: dict[str, object] = json.loads(output.splitlines()[-1])
        return result

    def ledger(self):
        return contextlib.closing(ledgers.open(f"sqlite:///{self.folder}/.hpsearch/ledger.db"))

    def sweep(self):
        with self.ledger() as ledger:
            return ledger.find("killed")

    def history(self):
        with self.ledger() as ledger:
            sweep = ledger.find("killed")
            return ledgers.fold(ledger, sweep.id, SweepConfig.from_json(sweep.config).objectives)

    def events(self):
        """None yet before the sweep is there."""
        if not (self.folder / ".hpsearch" / "ledger.db").exists():
            return []
        with self.ledger() as ledger:
            return [event for sweep in ledger.sweeps() for event in ledger.events(sweep.id)]

    def mlflow(self):
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{self.folder}/.hpsearch/mlflow.db")


def kill_and_resume(place: Place, options: tuple[str, ...], times: int, seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(times):
        before = len(place.events())
        process = place.start(*options)
        # Half of the kills come while the command starts, half while it trains.
        if moments.random() < 0.5:
            time.sleep(moments.uniform(0.0, 3.0))
        else:
            _wait_for_progress(place, process, before)
            time.sleep(moments.uniform(0.0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()


def _wait_for_progress(place: Place, process: subprocess.Popen[str], before: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if len(place.events()) > before + 20:
            return
        time.sleep(0.05)


def check_nothing_is_lost_or_twice(place: Place, result: dict[str, object]) -> None:
    history = place.history()
    assert len(history) == TRIALS
    assert {t.state for t in history} <= {TrialState.COMPLETED, TrialState.PRUNED, TrialState.DIVERGED}
    assert sum(result["trials"].values()) == TRIALS
    reported = [(e.body.trial, e.body.step) for e in place.events() if isinstance(e.body, Reported)]
    assert len(reported) == len(set(reported)) == sum(t.step for t in history)


def check_mlflow_agrees(place: Place, result: dict[str, object]) -> None:
    client, history = place.mlflow(), place.history()
    experiment = result["mlflow"]["experiment_id"]
    runs = client.search_runs([experiment], max_results=1000)
    parents = [r for r in runs if "mlflow.parentRunId" not in r.data.tags]
    assert [p.info.status for p in parents] == ["FINISHED"]
    children = {int(r.data.tags["hpsearch.trial_key"].rpartition("/")[2]): r for r in runs if "mlflow.parentRunId" in r.data.tags}
    assert len(runs) == TRIALS + 1
    assert children.keys() == history.trials.keys()
    for number, run in children.items():
        assert run.info.status not in ("RUNNING", "SCHEDULED")
        points = client.get_metric_history(run.info.run_id, "val_accuracy")
        assert [(p.step, p.value) for p in sorted(points, key=lambda p: p.step)] == [
            (i + 1, pytest.approx(r["val_accuracy"])) for i, r in enumerate(history.trials[number].reports)
        ]


def check_decisions_replay(place: Place) -> None:
    plan = make_plan(SweepConfig.from_json(place.sweep().config))
    assert replay(place.events(), plan.search(TRIALS), plan.config.objectives) == []


def test_ten_kills_of_a_sweep_with_worker_processes_lose_nothing(tmp_path):
    place = Place(tmp_path / "killed")
    kill_and_resume(place, (), times=10, seed=int.from_bytes(os.urandom(2), "big"))
    result = place.finish()
    check_nothing_is_lost_or_twice(place, result)
    check_mlflow_agrees(place, result)
    check_decisions_replay(place)


def test_an_inline_sweep_killed_ten_times_proposes_what_one_run_in_one_go_does(tmp_path):
    killed, whole = Place(tmp_path / "killed"), Place(tmp_path / "whole")
    whole.finish("--executor", "inline")
    kill_and_resume(killed, ("--executor", "inline"), times=10, seed=int.from_bytes(os.urandom(2), "big"))
    result = killed.finish("--executor", "inline")
    check_nothing_is_lost_or_twice(killed, result)
    check_mlflow_agrees(killed, result)
    check_decisions_replay(killed)
    for a, b in zip(killed.history(), whole.history(), strict=True):
        assert (a.number, a.parameters, a.seed, a.state, a.reports) == (b.number, b.parameters, b.seed, b.state, b.reports)


def test_a_worker_killed_during_the_command_costs_an_attempt_and_the_sweep_goes_on(tmp_path):
    place = Place(tmp_path / "killed")
    process = place.start("resources.retries=1", "training.epochs=200", "budget.trials=4", "search.scheduler=none")
    _wait_for_progress(place, process, 0)
    begun = [e.body for e in place.events() if isinstance(e.body, Begun)]
    os.kill(int(begun[-1].worker.rpartition(":")[2]), signal.SIGKILL)
    output = process.communicate(timeout=100)[0]
    assert process.returncode == 0
    assert json.loads(output.splitlines()[-1])["trials"] == {"completed": 4}
    again = [e.body for e in place.events() if isinstance(e.body, Begun) and e.body.attempt == 2]
    assert [b.trial for b in again] == [begun[-1].trial]
    assert again[0].from_step > 0, "goes on from its last checkpoint"


RETESTED = ("budget.trials=6", "winner={top: 2, seeds: 3}", "training.epochs=30")


def test_kills_between_re_tests_leave_exactly_as_many_as_were_asked_for(tmp_path):
    place = Place(tmp_path / "killed")
    for asked in (1, 3, 5):
        process = place.start(*RETESTED)
        _wait_for_re_tests(place, process, asked)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    result = place.finish(*RETESTED)
    retests = [t for t in place.history() if t.kind is TrialKind.RETEST]
    winner, parents = result["winner"], Counter(t.parent for t in retests)
    assert set(parents.values()) == {3}
    assert len(parents) == 2 + (0 not in contenders_of(place)), "the best two, and the baseline"
    assert {t.state for t in retests} == {TrialState.COMPLETED}
    assert [t.step for t in retests] == [30] * len(retests)
    assert max(t.attempt for t in retests) > 1, "one of them was killed while it ran"
    assert winner["trial"] in parents
    check_retests_are_grandchildren(place, result)
    check_replays_bit_for_bit(place, max(retests, key=lambda t: t.attempt).number)


def contenders_of(place: Place) -> set[int]:
    return {t.number for t in contenders(place.history(), 2)}


def _wait_for_re_tests(place: Place, process: subprocess.Popen[str], begun: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        assigned = {e.body.trial for e in place.events() if isinstance(e.body, Begun)}
        if assigned and sum(t.kind is TrialKind.RETEST and t.number in assigned for t in place.history()) >= begun:
            return
        time.sleep(0.05)


def check_retests_are_grandchildren(place: Place, result: dict[str, object]) -> None:
    runs = place.mlflow().search_runs([result["mlflow"]["experiment_id"]], max_results=1000)
    by_trial = {int(r.data.tags["hpsearch.trial_key"].rpartition("/")[2]): r for r in runs if "mlflow.parentRunId" in r.data.tags}
    for trial in place.history():
        parent = result["mlflow"]["run_id"] if trial.parent is None else by_trial[trial.parent].info.run_id
        assert by_trial[trial.number].data.tags["mlflow.parentRunId"] == parent
        assert ("test_accuracy" in by_trial[trial.number].data.metrics) == (trial.kind is TrialKind.RETEST)


def check_replays_bit_for_bit(place: Place, trial: int) -> None:
    """In one go, though it was trained in several."""
    command = [str(COMMAND), "replay", "killed", str(trial), "--json"]
    done = subprocess.run(command, cwd=place.folder, capture_output=True, text=True, timeout=100, check=False)
    replayed = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, replayed["same"], replayed["steps"]) == (0, True, 30), replayed
