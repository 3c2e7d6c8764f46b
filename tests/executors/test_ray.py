"""Sweeps on a real cluster of several raylets on this machine, some of which are killed."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import exercises
import numpy as np
import pytest
from bench import Bench, Steadily
from raylets import COMMAND, Cluster, kill_tree, tree
from whole import check_whole

from hpsearch.controller import Controller
from hpsearch.errors import ClusterError
from hpsearch.events import Begun, Ended, Reported
from hpsearch.trial import Pause, Stop, TrialState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TOTAL = [1, 3, 6, 10, 15, 21]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head without places, and three nodes with two each."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.start(cpus=0)
        for _ in range(3):
            made.start()
        made.wait_for_cpus(6)
        with made.as_its_driver():
            yield made


@pytest.fixture
def bench(cluster: Cluster, tmp_path: Path) -> Bench:
    """On the cluster, as a driver of it."""
    return Bench(tmp_path)


def ray_executor():
    from hpsearch.executors.ray import RayExecutor

    return RayExecutor


def first_report(bench: Bench, step: int = 1) -> int:
    """Waits for a report of this step; its trial."""
    while not (found := [body for body in bench.bodies(Reported) if body.step >= step]):
        time.sleep(0.01)
    return found[0].trial


def test_short_trials_use_every_place_of_every_node(bench):
    history = bench.run(ray_executor(), exercises.Counts(step_s=0.05), trials=36, workers=None)
    assert [t.state for t in history] == [TrialState.COMPLETED] * 36
    assert all([r["total"] for r in t.reports] == TOTAL for t in history)
    assert len({begun.worker for begun in bench.bodies(Begun)}) == 6, "six workers for six places, which live on from trial to trial"


def test_the_contract_of_executors(bench, tmp_path):
    """A stop, a pause, an exception, a time-out, and what is printed: one sweep after another on one cluster."""
    search = Steadily({(1, 3): Stop("worse"), (2, 2): Pause()})
    history = bench.run(ray_executor(), exercises.Counts(step_s=1.0), search=search, trials=3)
    assert [str(t.state) for t in history] == ["completed", "pruned", "paused"]
    assert (history.trials[1].step, history.trials[1].reason) == (3, "worse")
    assert history.trials[2].checkpoint.step in (2, 3), "where the answer took longer than a fiftieth of the epoch, a step later"
    assert (tmp_path / "logs" / "trial-00001.log").read_text() == "attempt 1 begins after step 0\n"
    failing = Bench(tmp_path / "failing").run(ray_executor(), exercises.Raises(), trials=2, retries=0)
    assert [t.state for t in failing] == [TrialState.FAILED] * 2
    assert "ValueError: no step 1 for trial 1" in failing.trials[1].reason
    hanging = Bench(tmp_path / "hanging").run(ray_executor(), exercises.Hangs(), trials=3, timeout_s=4.0, retries=0)
    assert [str(t.state) for t in hanging] == ["timed_out", "completed", "completed"]


def test_a_first_interrupt_ends_in_order_and_the_next_run_goes_on_from_there(bench):
    def interrupt(controller: Controller) -> None:
        first_report(bench, step=2)
        controller.interrupt()

    history = bench.run(ray_executor(), exercises.Counts(step_s=0.2), beside=interrupt)
    begun = [t for t in history if t.step]
    assert begun
    assert {t.state for t in begun} == {TrialState.WAITING}
    history = bench.run(ray_executor())
    assert [t.state for t in history] == [TrialState.COMPLETED] * 4
    assert all([r["total"] for r in t.reports] == TOTAL for t in history)


def test_a_killed_worker_costs_an_attempt_and_nothing_else(bench):
    history = bench.run(ray_executor(), exercises.DiesOnce(step_s=0.3), trials=3)
    assert [(t.state, t.attempt) for t in history] == [(TrialState.COMPLETED, 2)] * 3
    assert all([r["total"] for r in t.reports] == TOTAL for t in history)
    assert [b.from_step for b in bench.bodies(Begun) if b.attempt == 2] == [3] * 3, "goes on from the last checkpoint"


def test_a_worker_that_is_lost_before_it_trains_costs_nothing_but_not_for_ever(bench, tmp_path):
    history = bench.run(ray_executor(), exercises.DiesUnbegun(folder=tmp_path), trials=1, workers=1, retries=0)
    assert [(t.state, t.attempt) for t in history] == [(TrialState.COMPLETED, 2)]
    assert next(e.reason for e in bench.bodies(Ended)) == "its worker was lost before it began"
    never = Bench(tmp_path / "never").run(ray_executor(), exercises.DiesUnbegun(folder=tmp_path, times=99), trials=1, workers=1, retries=0)
    assert [(t.state, t.attempt) for t in never] == [(TrialState.FAILED, 4)]


def test_a_node_that_is_killed_gives_its_trials_back(bench, cluster):
    """They are no failures of theirs: `retries` is 0."""
    node = cluster.start()
    cluster.wait_for_cpus(8)

    def kill(_: Controller) -> None:
        while len({body.trial for body in bench.bodies(Reported) if body.step >= 2}) < 8:
            time.sleep(0.01)
        kill_tree(node)

    history = bench.run(ray_executor(), exercises.Counts(step_s=1.0), trials=8, workers=8, retries=0, beside=kill)
    assert [t.state for t in history] == [TrialState.COMPLETED] * 8
    assert all([r["total"] for r in t.reports] == TOTAL for t in history)
    again = [b for b in bench.bodies(Begun) if b.attempt == 2]
    assert len(again) == 2, "the two that were on the node"
    assert all(b.from_step > 0 for b in again)


def drain(node: subprocess.Popen[bytes], address: str) -> None:
    """What a cloud's notice comes to where somebody tells Ray of it."""
    (raylet,) = (each for each in tree(node) if each.name() == "raylet")
    (node_id,) = (word.partition("=")[2] for word in raylet.cmdline() if word.startswith("--node_id="))
    words = ["--node-id", node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "wanted back"]
    deadline = ["--deadline-remaining-seconds", "60"]
    subprocess.run([COMMAND.with_name("ray"), "drain-node", "--address", address, *words, *deadline], check=True, capture_output=True)


@pytest.mark.timeout(600)
def test_nodes_that_are_drained_give_their_trials_back_with_all_that_they_have_trained(bench, cluster, tmp_path):
    """One by `ray drain-node`, the other as Ray does when a container is told to end. No failures: `retries` is 0."""
    from hpsearch.executors import ray_cluster

    nodes = [cluster.start(), cluster.start()]
    cluster.wait_for_cpus(10)
    there: set[int] = set()
    left: list[int] = []

    def drain_both(_: Controller) -> None:
        while len({body.trial for body in bench.bodies(Reported) if body.step == 2}) < 10:
            time.sleep(0.01)
        there.update(process.pid for node in nodes for process in tree(node))
        drain(nodes[0], cluster.address)
        nodes[1].terminate()
        while len(ray_cluster.state.get_draining_nodes()) < 2:
            time.sleep(0.1)
        left.append(len(ray_cluster.nodes()))
        time.sleep(2 * ray_cluster.KNOCK_S)
        (tmp_path / "go").touch()

    task = exercises.WaitsInTheThirdStep(step_s=0.5, folder=tmp_path)
    history = bench.run(ray_executor(), task, trials=10, workers=10, retries=0, beside=drain_both)
    assert [t.state for t in history] == [TrialState.COMPLETED] * 10
    assert all([r["total"] for r in t.reports] == TOTAL for t in history)
    begun = bench.bodies(Begun)
    moved = {b.trial for b in begun if int(b.worker.partition(":")[2]) in there}
    assert len(moved) == 4
    ends = [e for e in bench.bodies(Ended) if e.state is TrialState.WAITING]
    assert {(e.trial, e.reason) for e in ends} == {(trial, "its node is being drained") for trial in moved}
    for again in (b for b in begun if b.attempt == 2):
        assert int(again.worker.partition(":")[2]) not in there
        assert again.from_step == max(r.step for r in bench.bodies(Reported) if (r.trial, r.attempt) == (again.trial, 1)) >= 3
    assert sorted(b.attempt for b in begun) == [1] * 10 + [2] * 4
    assert left == [4], "the others are no places any more"
    for node in nodes:
        kill_tree(node)


def test_a_cluster_without_room_says_what_there_is(bench):
    from hpsearch.trial import Resources

    with pytest.raises(ClusterError, match=r"no node of the cluster has room for a trial, which needs 9 CPUs: .* has 2 CPUs and 0 GPUs"):
        bench.run(ray_executor(), resources=Resources(cpus=9))
    with pytest.raises(ClusterError, match=r"needs 1 CPUs and 0.5 GPUs"):
        bench.run(ray_executor(), resources=Resources(gpus=0.5))


def test_a_node_of_another_version_is_named(bench, monkeypatch):
    from hpsearch.executors import ray_cluster

    ours = ray_cluster.versions()
    monkeypatch.setattr(ray_cluster.metadata, "version", lambda name: "9.9" if name == "hpsearch" else ours[name])
    with pytest.raises(ClusterError, match=rf"node .* has hpsearch {ours['hpsearch']}, and this machine 9.9; install the same on all"):
        bench.run(ray_executor())


SWEEP = """
name: on-ray
task: {kind: classification, data: digits, model: mlp}
objective: {metric: val_accuracy, goal: maximize}
space:
  learning_rate: {min: 1.0e-4, max: 0.1, log: true}
  hidden_units: {min: 16, max: 64, log: true}
baseline:
  - {learning_rate: 0.001, hidden_units: 32}
training: {epochs: 6, checkpoint_every: 0.05s}
search: {seed: 3, scheduler: {kind: median, n_startup_trials: 4, n_warmup_steps: 2}}
budget: {trials: 24}
resources: {executor: ray, retries: 0}
"""


def command(folder: Path, cluster: Cluster, *words: str) -> subprocess.Popen[str]:
    environment = {**cluster.environment}
    return subprocess.Popen([str(COMMAND), *words], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err[-3000:]
    assert "Traceback" not in out + err
    result: dict[str, object] = json.loads(out.splitlines()[-1])
    return result


ONE_BY_ONE = ["budget.trials=12", "resources.workers=1", "winner={top: 1, seeds: 2}", "tracking.register=digits"]
"""So that a trial's end, which proposals depend on, comes before the next one's begin on either executor."""


def test_a_sweep_is_the_same_in_processes_and_on_three_nodes(cluster, tmp_path):
    file = str(Path(__file__).parents[2] / "search_spaces" / "digits_mlp.yaml")
    seen = {}
    for executor, more in {"process": [], "ray": ["--address", cluster.address]}.items():
        folder = tmp_path / executor
        folder.mkdir()
        finished(command(folder, cluster, "run", file, *ONE_BY_ONE, "--executor", executor, *more, "--json"))
        seen[executor] = (trials_of_ledger(folder), trials_of_mlflow(folder), networks_of(folder))
    kinds = Counter(kind for _, kind, *_ in seen["ray"][0])
    assert kinds["search"] + kinds["baseline"] == 12
    assert kinds["retest"] >= 2
    assert len(seen["ray"][2]) == kinds["retest"]
    assert seen["ray"] == seen["process"]


def trials_of_ledger(folder: Path) -> list[object]:
    """All but times and workers."""
    import contextlib

    from hpsearch import ledger as ledgers
    from hpsearch.config import SweepConfig

    with contextlib.closing(ledgers.open(f"sqlite:///{folder}/.hpsearch/ledger.db")) as ledger:
        sweep = ledger.find("digits-mlp")
        history = ledgers.fold(ledger, sweep.id, SweepConfig.from_json(sweep.config).objectives)
        return [(t.number, t.kind, t.parameters, t.seed, t.state, t.reason, t.attempt, t.reports) for t in history]


def networks_of(folder: Path) -> dict[str, dict[str, bytes]]:
    """What re-tests have left for the model registry: each array, by trial."""
    left = {}
    for file in (folder / ".hpsearch" / "outputs" / "digits-mlp").glob("*/hpsearch-network.npz"):
        with np.load(file, allow_pickle=False) as arrays:
            left[file.parent.name] = {name: arrays[name].tobytes() for name in arrays.files}
    return left


def trials_of_mlflow(folder: Path) -> dict[str, object]:
    """Parameters, curves and states, by trial."""
    import mlflow

    client = mlflow.MlflowClient(f"sqlite:///{folder}/.hpsearch/mlflow.db")
    experiment = client.get_experiment_by_name("digits-mlp")
    picture = {}
    for run in client.search_runs([experiment.experiment_id], max_results=100):
        if "mlflow.parentRunId" in run.data.tags:
            curves = {key: [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, key)] for key in run.data.metrics}
            assert curves["val_accuracy"]
            timeless = {key: curve for key, curve in curves.items() if "second" not in key and not key.startswith("system/")}
            picture[run.info.run_name] = (run.info.status, run.data.params, run.data.tags["hpsearch.state"], timeless)
    return picture


def test_a_sweep_survives_its_driver_and_its_head(tmp_path):
    with Cluster(tmp_path) as cluster:
        cluster.start()
        interrupt_twice(cluster, tmp_path)
    with Cluster(tmp_path) as anew:
        anew.start()
        finished(command(tmp_path, anew, "resume", "on-ray", "--address", anew.address, "--json"))
    check_whole(f"sqlite:///{tmp_path}/.hpsearch/ledger.db", f"sqlite:///{tmp_path}/.hpsearch/mlflow.db", "on-ray", 24)


def interrupt_twice(cluster: Cluster, tmp_path: Path) -> None:
    """Kill the driver; then, under another one, the head."""
    (tmp_path / "on-ray.yaml").write_text(SWEEP)
    driver = command(tmp_path, cluster, "run", "on-ray.yaml", "--address", cluster.address, "--json")
    assert driver.stderr is not None
    for line in driver.stderr:
        if line.startswith("[3/24]"):
            break
    driver.kill()
    driver.communicate()
    second = command(tmp_path, cluster, "resume", "on-ray", "--address", cluster.address, "--json")
    assert second.stderr is not None
    for line in second.stderr:
        if line.startswith("[8/24]"):
            break
    kill_tree(cluster.nodes[0])  # the head: no cluster any more
    out, err = second.communicate(timeout=200)
    assert second.returncode in (1, 3), "1 where Ray itself ends the driver, whose raylet is gone"
    assert "Traceback" not in out + err


def test_a_wrong_token_is_told_in_seconds(tmp_path):
    (tmp_path / "on-ray.yaml").write_text(SWEEP)
    with Cluster(tmp_path) as cluster:
        cluster.start()
        wrong = tmp_path / "wrong"
        wrong.write_text(secrets.token_hex(32))
        wrong.chmod(0o600)
        environment = {**cluster.environment, "RAY_AUTH_TOKEN_PATH": str(wrong)}
        run = [str(COMMAND), "run", "on-ray.yaml", "--address", cluster.address]
        done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 3, done.stderr
    assert "does not let us in; its token must be in the file that RAY_AUTH_TOKEN_PATH names" in done.stderr
    assert cluster.token.read_text() not in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
