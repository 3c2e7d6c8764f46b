"""A sweep that happened, written into a ledger without a controller; and MLflow's own view of it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.events import Assigned, Begun, Body, Ended, Reported, SweepClosed, SweepOpened, TrialCreated
from hpsearch.ledger.face import Lease, Ledger, Sweep
from hpsearch.search.history import History
from hpsearch.tracking import quiet
from hpsearch.tracking.files import TrialFiles
from hpsearch.training.artifacts import ArtifactFolder
from hpsearch.trial import MLFLOW_STATUS, Objective, TrialKind, TrialState

OBJECTIVES = (Objective("val_accuracy", "maximize"),)
CONFIG = {
    "name": "digits <b>*mlp*</b>",
    "task": {"kind": "classification", "data": "digits", "model": "mlp"},
    "objective": [{"metric": "val_accuracy", "goal": "maximize", "at": "last"}],
    "space": {"learning_rate": {"min": 1e-5, "max": 0.1, "log": True}, "hidden": {"values": [[64], [64, 32]]}},
    "training": {"epochs": 3, "patience": None},
    "search": {"sampler": "tpe", "scheduler": "none", "seed": 7},
    "budget": {"trials": 60, "time": 1800.0, "total_epochs": None},
    "tracking": {"tags": {"team": "vision"}},
}


@dataclass
class Story:
    """A sweep whose events a test writes one after another."""

    ledger: Ledger
    sweep: Sweep
    lease: Lease
    random: random.Random = field(default_factory=lambda: random.Random(0))
    trials: int = 0

    def commit(self, *bodies: Body) -> None:
        self.ledger.commit(self.lease, bodies)

    def trial(
        self,
        end: TrialState = TrialState.COMPLETED,
        steps: int = 3,
        kind: TrialKind = TrialKind.SEARCH,
        reason: str | None = None,
        parent: int | None = None,
    ) -> int:
        """A whole trial."""
        number = self.start(kind, parent)
        for step in range(1, steps + 1):
            self.report(number, step)
        self.finish(number, end, reason)
        return number

    def finish(self, number: int, end: TrialState = TrialState.COMPLETED, reason: str | None = None) -> None:
        self.commit(Ended(number, 1, end, reason))

    def start(self, kind: TrialKind = TrialKind.SEARCH, parent: int | None = None) -> int:
        number = self.trials
        self.trials += 1
        parameters = {
            "learning_rate": 10 ** self.random.uniform(-5, -1),
            "hidden": self.random.choice([[64], [64, 32]]),
            "optimizer": "adamw|<i>",
        }
        created = TrialCreated(number, kind, parameters, number, 3, parent=parent)
        self.commit(created, Assigned(number, 1, "worker 1", 3), Begun(number, 1, "w", 0))
        return number

    def report(self, number: int, step: int, **metrics: float) -> None:
        values = {"train_loss": self.random.random(), "val_loss": self.random.random(), "val_accuracy": self.random.random(), **metrics}
        self.commit(Reported(number, 1, step, values, 0.01))

    def infeasible(self) -> int:
        number = self.trials
        self.trials += 1
        self.commit(TrialCreated(number, TrialKind.SEARCH, {"learning_rate": 0.1}, 1, 3, TrialState.INFEASIBLE, "parameters: 9 > 5"))
        return number

    def close(self, state: Any = "completed") -> None:
        self.commit(SweepClosed(state))

    def history(self) -> History:
        return ledgers.fold(self.ledger, self.sweep.id, OBJECTIVES)


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/ledger.db"


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    ledger = ledgers.open(ledger_url)
    yield ledger
    ledger.close()


@pytest.fixture
def story(ledger: Ledger) -> Story:
    sweep = ledger.create("digits", CONFIG, [])
    lease = ledger.acquire(sweep.id, "controller", ledgers.holder(), 600)
    story = Story(ledger, sweep, lease)
    story.commit(SweepOpened("controller"))
    return story


@pytest.fixture
def tracking_uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@dataclass
class Seen:
    """MLflow through its public client: what a test may compare with the ledger."""

    uri: str

    @cached_property
    def client(self) -> Any:
        return quiet.client(self.uri)

    def runs(self, view: int = 1) -> list[Any]:
        return list(
            self.client.search_runs([e.experiment_id for e in self.client.search_experiments()], run_view_type=view, max_results=5000)
        )

    def parents(self) -> list[Any]:
        return [r for r in self.runs() if r.data.tags["hpsearch.kind"] == "sweep"]

    def children(self) -> dict[int, list[Any]]:
        """By trial number."""
        found: dict[int, list[Any]] = {}
        for run in self.runs():
            if (key := run.data.tags.get("hpsearch.trial_key")) is not None:
                found.setdefault(int(key.rpartition("/")[2]), []).append(run)
        return found

    def artifacts(self, run: Any) -> dict[str, int]:
        """Sizes by name."""
        return {entry.path: entry.file_size for entry in self.client.list_artifacts(run.info.run_id)}

    def points(self, run: Any) -> dict[str, list[tuple[int, float, int]]]:
        """(step, value, timestamp) by metric."""
        return {
            key: sorted((m.step, m.value, m.timestamp) for m in self.client.get_metric_history(run.info.run_id, key))
            for key in run.data.metrics
        }


def assert_shows(seen: Seen, story: Story) -> None:
    """MLflow has one parent and one child a trial (of a re-test a child of that), and every number that the ledger has."""
    (parent,) = seen.parents()
    children = seen.children()
    history = story.history()
    assert sorted(children) == sorted(history.trials)
    at = {(e.body.trial, e.body.step): e.at_ms for e in story.ledger.events(story.sweep.id) if isinstance(e.body, Reported)}
    for number, record in history.trials.items():
        (run,) = children[number]
        above = parent if record.parent is None else children[record.parent][0]
        assert run.data.tags["mlflow.parentRunId"] == above.info.run_id
        assert run.data.tags["hpsearch.state"] == record.state
        assert run.info.status == MLFLOW_STATUS[record.state]
        assert (run.info.start_time, run.info.end_time) == (record.created_ms, record.ended_ms)
        assert set(run.data.params) == set(record.parameters)
        assert float(run.data.params["learning_rate"]) == record.parameters["learning_rate"]
        expected: dict[str, list[tuple[int, float, int]]] = {}
        for step, metrics in enumerate(record.reports, 1):
            for key, value in metrics.items():
                expected.setdefault(key, []).append((step, value, at[number, step]))
        assert _comparable(seen.points(run)) == _comparable(expected)


def _comparable(points: dict[str, Sequence[tuple[int, float, int]]]) -> dict[str, list[tuple[int, str, int]]]:
    big = 1.7976931348623157e308
    return {k: [(s, "nan" if math.isnan(v) else repr(max(-big, min(big, v))), t) for s, v, t in ps] for k, ps in points.items()}


@pytest.fixture
def seen(tracking_uri: str) -> Seen:
    return Seen(tracking_uri)


@pytest.fixture
def see() -> Any:
    """MLflow at another address."""
    return Seen


@pytest.fixture
def check() -> Any:
    return assert_shows


@pytest.fixture
def files(tmp_path: Path) -> TrialFiles:
    """Where the story's trials leave files; nothing is there yet."""
    return TrialFiles(tmp_path / "outputs", tmp_path / "logs")


@pytest.fixture
def leave(files: TrialFiles) -> Any:
    """Leave files as a trial does: `leave(3, "printed", **{"a.png": b"..."})`."""

    def leaving(trial: int, printed: str = "", **artifacts: bytes) -> None:
        folder = ArtifactFolder(files.outputs / f"trial-{trial:05d}")
        for name, data in artifacts.items():
            folder.save(name, data)
        files.logs.mkdir(exist_ok=True)
        (files.logs / f"trial-{trial:05d}.log").write_text(printed)

    return leaving
