"""What the ledger's tables say that MLflow should show, and what MLflow's client says that it shows: both as the same plain data.

The ledger is read in SQL, and counted anew from its rows: nothing here goes by what the tracker itself makes of them.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hpsearch.diagnosis import diagnose
from hpsearch.ledger.codec import loads
from hpsearch.tracking import quiet
from hpsearch.tracking.keys import fitting_name
from hpsearch.trial import TrialState

STATUS = {
    "completed": "FINISHED", "pruned": "KILLED", "diverged": "FAILED", "out_of_memory": "FAILED", "timed_out": "KILLED", "failed": "FAILED",
    "infeasible": "KILLED", "cancelled": "KILLED",
}  # fmt: skip
OVER = frozenset(STATUS)
BIG = 1.7976931348623157e308

Of = int | None


@dataclass(frozen=True)
class Shown:
    """A run. `parent` is the trial whose run is above it, None for the sweep's; points are (step, value, time) by metric."""

    name: str
    parent: Of
    status: str
    start: int
    end: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: Mapping[str, Sequence[tuple[int, str, int]]]
    inputs: frozenset[tuple[str, ...]] = frozenset()
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """The SHA-256 of each, by name."""


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def value(number: float) -> str:
    """As MLflow keeps it: an infinity is its largest number, and zero has no sign."""
    return "nan" if math.isnan(number) else repr(max(-BIG, min(BIG, number)) + 0.0)


@dataclass
class InMlflow:
    """One sweep's runs, through MLflow's public client."""

    uri: str
    sweep: str
    note: str = ""
    texts: dict[str, bytes] = field(default_factory=dict)
    """The artifacts of the sweep's own run."""

    def runs(self) -> dict[Of, Shown]:
        """By trial. No run is there twice."""
        client = quiet.client(self.uri)
        experiments = [e.experiment_id for e in client.search_experiments() if e.name == self.sweep]
        found = list(client.search_runs(experiments, max_results=5000))
        of = {run.info.run_id: self._of(run) for run in found}
        assert len(set(of.values())) == len(found)
        return {of[run.info.run_id]: self._shown(client, run, of) for run in found}

    def _of(self, run: Any) -> Of:
        key = run.data.tags.get("hpsearch.trial_key")
        return None if key is None else int(key.rpartition("/")[2])

    def _shown(self, client: Any, run: Any, of: Mapping[str, Of]) -> Shown:
        tags = dict(run.data.tags)
        is_parent = of[run.info.run_id] is None
        above = tags.pop("mlflow.parentRunId", None)
        assert (above is None) == is_parent
        if is_parent:
            self.note = tags.pop("mlflow.note.content")
        artifacts = {a.path: self._content(client, run, a.path) for a in client.list_artifacts(run.info.run_id)}
        if is_parent:
            self.texts = artifacts
        return Shown(
            name=tags.pop("mlflow.runName"),
            parent=None if above is None else of[above],
            status=run.info.status,
            start=run.info.start_time,
            end=run.info.end_time,
            params=dict(run.data.params),
            tags={k: v for k, v in tags.items() if v},
            points={
                key: sorted((m.step, value(m.value), m.timestamp) for m in client.get_metric_history(run.info.run_id, key))
                for key in run.data.metrics
            },
            inputs=frozenset(_input(each) for each in run.inputs.dataset_inputs),
            artifacts={name: sha(content) for name, content in artifacts.items()},
        )

    def _content(self, client: Any, run: Any, path: str) -> bytes:
        return Path(client.download_artifacts(run.info.run_id, path)).read_bytes()


def _input(each: Any) -> tuple[str, ...]:
    """Name, digest, context, rows, source."""
    (tag,) = each.tags
    rows = json.loads(each.dataset.profile)["num_rows"]
    source = json.loads(each.dataset.source)
    assert tag.key == "mlflow.data.context"
    return each.dataset.name, each.dataset.digest, tag.value, str(rows), source.get("uri") or source["tags"]["builtin"]


@dataclass
class InLedger:
    """One sweep of the ledger at `url`, from its tables. `home` has what it has left on the disk."""

    url: str
    name: str
    home: Path

    def rows(self, table: str, order: str) -> list[dict[str, Any]]:
        columns = "id" if table == "sweeps" else "sweep"
        engine = sa.create_engine(self.url.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect() as db:
            number = db.execute(sa.text("SELECT id FROM sweeps WHERE name = :name"), {"name": self.name}).scalar_one()
            found = db.execute(sa.text(f"SELECT * FROM {table} WHERE {columns} = :sweep ORDER BY {order}"), {"sweep": number})
            rows = [{key: _read(key, item) for key, item in row.items()} for row in found.mappings()]
        engine.dispose()
        return rows

    @cached_property
    def sweep(self) -> dict[str, Any]:
        return self.rows("sweeps", "id")[0]

    @cached_property
    def trials(self) -> list[dict[str, Any]]:
        return self.rows("trials", "number")

    @cached_property
    def reports(self) -> list[dict[str, Any]]:
        return self.rows("reports", "seq")

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        return self.rows("events", "seq")

    @property
    def key(self) -> str:
        safe = "".join(c if c.isalnum() or c in "_.-" else "_" for c in self.name)
        return f"{safe}@{self.sweep['created_ms']}"

    @property
    def objectives(self) -> list[dict[str, str]]:
        return self.sweep["config"]["objective"]

    def runs(self) -> dict[Of, Shown]:
        """What MLflow should show, but for the sweep's own artifacts and the tags about them."""
        return {None: self.parent(), **{trial["number"]: self.child(trial) for trial in self.trials}}

    def child(self, trial: dict[str, Any]) -> Shown:
        number, reports = trial["number"], [r for r in self.reports if r["trial"] == trial["number"]]
        points: dict[str, list[tuple[int, str, int]]] = {}
        for report in reports:
            for metric, measured in report["metrics"].items():
                points.setdefault(fitting_name(metric), []).append((report["step"], value(float(measured)), report["at_ms"]))
        samples = [e for e in self.events if e["kind"] == "sampled" and e["trial"] == number]
        for i, sample in enumerate(samples):
            for metric, used in sample["payload"]["used"].items():
                points.setdefault(f"system/{metric}", []).append((i, value(used), sample["payload"]["taken_ms"]))
        files = self.files(number)
        tags = {
            "hpsearch.sweep_key": self.key, "hpsearch.trial_key": f"{self.key}/{number}", "hpsearch.kind": trial["kind"],
            "hpsearch.state": trial["state"], "hpsearch.attempts": str(trial["attempt"]), "hpsearch.reason": trial["reason"] or "",
            **self.diagnosis(trial, reports), "hpsearch.artifacts": ", ".join(files),
        }  # fmt: skip
        name = {"search": f"trial {number}", "retest": f"retest {number}"}.get(trial["kind"]) or (
            f"baseline {number}" if number else "baseline"
        )
        return Shown(
            name=name, parent=trial["parent"], status=STATUS[trial["state"]], start=trial["created_ms"], end=trial["ended_ms"],
            params={fitting_name(k): v if isinstance(v, str) else json.dumps(v) for k, v in trial["parameters"].items()},
            tags={k: v for k, v in tags.items() if v}, points={k: sorted(v) for k, v in points.items()}, artifacts=files,
        )  # fmt: skip

    def diagnosis(self, trial: dict[str, Any], reports: Sequence[dict[str, Any]]) -> dict[str, str]:
        curves = [{k: float(v) for k, v in r["metrics"].items()} for r in reports]
        found = diagnose(curves, TrialState(trial["state"]), trial["reason"])
        return {
            "hpsearch.diagnosis": ", ".join(f.name for f in found),
            "hpsearch.diagnosis_reason": "; ".join(f"{f.name}: {f.reason}" for f in found),
        }

    def files(self, number: int) -> dict[str, str]:
        """What the trial has left, the log last."""
        folder, log = self.home / "outputs" / self.name / f"trial-{number:05d}", self.home / "logs" / self.name / f"trial-{number:05d}.log"
        left = [*sorted(folder.iterdir())] if folder.exists() else []
        left += [log] if log.exists() and log.stat().st_size else []
        return {file.name: sha(file.read_bytes()) for file in left}

    def parent(self) -> Shown:
        config, opened = self.sweep["config"], [e for e in self.events if e["kind"] == "sweep_opened"]
        last = opened[-1]["payload"]
        said = last["provenance"]
        commit = said.get("commit") or {}
        tags = {
            **{fitting_name(key): text for key, text in config["tracking"]["tags"].items()},
            "hpsearch.sweep_key": self.key, "hpsearch.kind": "sweep", "hpsearch.state": self.sweep["state"],
            "hpsearch.reason": self.sweep["reason"] or "", "hpsearch.best_trial": ", ".join(map(str, self.best())),
            "hpsearch.budget": f"{self.budgeted()} trials",
            "mlflow.user": last.get("user", ""), "mlflow.source.name": opened[0]["payload"]["provenance"]["file"],
            "mlflow.source.type": "LOCAL", "mlflow.source.git.commit": commit.get("sha", ""),
            "mlflow.source.git.dirty": {True: "true", False: "false"}.get(commit.get("dirty"), ""),
        }  # fmt: skip
        status = {"completed": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}[self.sweep["state"]]
        return Shown(
            name=self.name, parent=None, status=status, start=self.sweep["created_ms"], end=self.sweep["ended_ms"],
            params=dict(self.asked()), tags={k: v for k, v in tags.items() if v},
            points={k: sorted(v) for k, v in self.summary().items()}, inputs=frozenset(self.inputs(said.get("dataset"))),
        )  # fmt: skip

    def asked(self) -> Iterator[tuple[str, str]]:
        """The file's sections, flat."""
        config = self.sweep["config"]
        for name, item in config["space"].items():
            yield fitting_name(f"space.{name}"), item if isinstance(item, str) else json.dumps(item)
        for section in ("task", "objective", "training", "search"):
            for name, leaf in _leaves(section, config[section]):
                yield fitting_name(name), leaf if isinstance(leaf, str) else json.dumps(leaf)

    def budgeted(self) -> int:
        extended = [e["payload"].get("trials") or 0 for e in self.events if e["kind"] == "sweep_extended"]
        return max([self.sweep["config"]["budget"]["trials"], *extended])

    def inputs(self, dataset: dict[str, Any] | None) -> Iterator[tuple[str, ...]]:
        for split, context in (("train", "training"), ("validation", "validation"), ("test", "test")):
            if dataset and dataset["rows"][split]:
                yield f"{dataset['name']}/{context}", dataset["digest"], context, str(dataset["rows"][split]), dataset["place"]

    def values(self, trial: dict[str, Any]) -> list[float]:
        """Its objectives at its last step."""
        last = [r for r in self.reports if r["trial"] == trial["number"]][-1]
        return [float(last["metrics"][o["metric"]]) for o in self.objectives]

    def best(self) -> list[int]:
        """The first of the best; of several objectives, all that no other is better than in everything."""
        rated = {t["number"]: self.costs(t) for t in self.trials if t["state"] == "completed" and t["kind"] != "retest"}
        if len(self.objectives) == 1:
            return [min(rated, key=lambda n: (rated[n], n))] if rated else []
        return [n for n, a in rated.items() if not any(b != a and all(x <= y for x, y in zip(b, a, strict=True)) for b in rated.values())]

    def costs(self, trial: dict[str, Any]) -> list[float]:
        signs = [1 if o["goal"] == "minimize" else -1 for o in self.objectives]
        return [sign * v for sign, v in zip(signs, self.values(trial), strict=True)]

    def summary(self) -> dict[str, list[tuple[int, str, int]]]:
        """What the parent says of all trials, counted anew from the rows after each end of a trial, and at each end of a run."""
        points: dict[str, list[tuple[int, str, int]]] = {}
        said: dict[str, float] = {}
        ended = 0
        for event in self.events:
            state = event["payload"].get("state", "waiting")
            ended += event["kind"] == "ended" and state in OVER
            if (event["kind"] in ("ended", "trial_created") and state in OVER) or event["kind"] == "sweep_closed":
                now = {**self.counted(event), **self.best_so_far(event)}
                for name, number in now.items():
                    if said.get(name, None if name.startswith("best_") else 0) != number:
                        points.setdefault(name, []).append((ended, value(number), event["at_ms"]))
                said |= now
        return points

    def best_so_far(self, now: dict[str, Any]) -> dict[str, float]:
        over = [e["trial"] for e in self.events if e["kind"] == "ended" and e["payload"]["state"] == "completed" and e["seq"] <= now["seq"]]
        rated = [self.values(t) for t in self.trials if t["number"] in over and t["kind"] != "retest"]
        choose = {"maximize": max, "minimize": min}
        return {f"best_{o['metric']}": choose[o["goal"]](v[i] for v in rated) for i, o in enumerate(self.objectives)} if rated else {}

    def counted(self, now: dict[str, Any]) -> dict[str, float]:
        past = [e for e in self.events if e["seq"] <= now["seq"]]
        reports = [r for r in self.reports if r["seq"] < now["seq"]]
        over = [e for e in past if e["kind"] in ("ended", "trial_created") and e["payload"].get("state") in OVER]
        counts: dict[str, float] = {}
        saved = 0
        for event in over:
            state = event["payload"]["state"]
            counts[f"trials_{state}"] = counts.get(f"trials_{state}", 0) + 1
            if state == "pruned":
                saved += self.sweep["config"]["training"]["epochs"] - sum(r["trial"] == event["trial"] for r in reports)
        busy_ms = sum(self.lasted_ms(begun, past) for begun in past if begun["kind"] == "begun")
        seconds = busy_ms * self.sweep["config"]["resources"]["cpus"] / 1000
        return counts | {"epochs": len(reports), "epochs_saved": saved, "cpu_seconds": seconds}

    def lasted_ms(self, begun: dict[str, Any], past: Sequence[dict[str, Any]]) -> int:
        """From its begin to its end; of one lost with its controller, to what was last heard before the next one came."""
        later = [e for e in past if e["seq"] > begun["seq"]]
        for event in later:
            if event["kind"] == "ended" and event["trial"] == begun["trial"]:
                return event["at_ms"] - begun["at_ms"]
            if event["kind"] == "sweep_opened":
                heard = [e for e in [*past, *self.reports] if e["seq"] < event["seq"]]
                return max(e["at_ms"] for e in heard) - begun["at_ms"]
        return 0


def _read(column: str, item: Any) -> Any:
    """JSON is text in SQLite, and data already in PostgreSQL."""
    if column in ("config", "parameters", "metrics", "payload") and item is not None:
        return loads(item if isinstance(item, str) else json.dumps(item))
    return item


def _leaves(name: str, item: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(item, dict):
        for key, inner in item.items():
            yield from _leaves(f"{name}.{key}", inner)
    elif item not in (None, []):
        yield name, item


def without_own_files(shown: Shown) -> Shown:
    """A sweep's run without its artifacts and the tags of their digests."""
    about = {"hpsearch.config", "hpsearch.environment", "hpsearch.winner", "hpsearch.export", "hpsearch.report"}
    return replace(shown, artifacts={}, tags={k: v for k, v in shown.tags.items() if k not in about})
