"""The runs of one MLflow experiment: found, made, written, deleted. The one place that calls MLflow's client."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.errors import TrackerError
from hpsearch.tracking import quiet
from hpsearch.tracking.keys import MODEL_KEY, SWEEP_KEY
from hpsearch.tracking.origin import Input
from hpsearch.tracking.picture import Point, Wanted
from hpsearch.tracking.schema import create_store, sqlite_file

_PAGE = 1_000
_MAX_POINTS = 900
_MAX_PAIRS = 90
"""MLflow takes 1,000 entities a request, of these 100 parameters and 100 tags."""


@dataclass(frozen=True, slots=True)
class Found:
    """A run as MLflow has it."""

    run_id: str
    start_ms: int
    status: str
    end_ms: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: frozenset[str] = frozenset()
    inputs: frozenset[tuple[str, str]] = frozenset()
    """Name and digest of each dataset."""


class Runs:
    """The runs of the experiment called `experiment`, which is made when it is first needed.

    Args:
        tracking_uri: a database or a server.
        experiment: its name.
        artifacts: the folder for the artifacts of a store that is no server.
    """

    def __init__(self, tracking_uri: str, experiment: str, artifacts: Path | None = None) -> None:
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.experiment_id: str | None = None
        self._artifacts = artifacts
        self._client: Any = None

    def open(self) -> str:
        """Look for the experiment (again), restore it or make it; its id."""
        with self._errors():
            if self._client is None:
                create_store(self.tracking_uri, self._artifacts)
                self._client = quiet.client(self.tracking_uri)
            self.experiment_id = self._find_experiment() or self._make_experiment()
        return self.experiment_id

    def _find_experiment(self) -> str | None:
        found = self._client.get_experiment_by_name(self.experiment)
        if found is not None and found.lifecycle_stage != "active":
            self._client.restore_experiment(found.experiment_id)
        return None if found is None else str(found.experiment_id)

    def _make_experiment(self) -> str:
        location = None
        if self._artifacts is not None and not self.tracking_uri.startswith(("http:", "https:")):
            location = self._artifacts.absolute().as_uri()
        try:
            return str(self._client.create_experiment(self.experiment, artifact_location=location))
        except Exception:  # another sweep of the same experiment may have been quicker
            if (found := self._find_experiment()) is None:
                raise
            return found

    def experiment_tag(self, key: str) -> str | None:
        """The value of a tag of the experiment as it is now; None where there is none."""
        with self._errors():
            value = self._client.get_experiment(self.experiment_id).tags.get(key)
            return None if value is None else str(value)

    def tag_experiment(self, key: str, value: str) -> None:
        with self._errors():
            self._client.set_experiment_tag(self.experiment_id, key, value)

    def search(self, sweep_key: str) -> list[Found]:
        """All runs of a sweep that are not deleted."""
        found: list[Found] = []
        token = None
        with self._errors():
            while True:
                page = self._client.search_runs(
                    [self.experiment_id], f"tags.`{SWEEP_KEY}` = '{sweep_key}'", max_results=_PAGE, page_token=token
                )
                found += [_found(run) for run in page]
                if not (token := page.token):
                    return found

    def create(self, wanted: Wanted) -> Found:
        """A new run, RUNNING, with its tags."""
        with self._errors():
            tags = {k: v for k, v in wanted.tags.items() if v}
            run = self._client.create_run(self.experiment_id, start_time=wanted.start_ms, tags=tags, run_name=wanted.name)
            return _found(run)

    def log(self, run_id: str, points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> None:
        """Write all of it, in as few calls as may be; what is there already stays as it is."""
        with self._errors():
            from mlflow.entities import Metric, Param, RunTag

            metrics = [Metric(p.key, p.value, p.at_ms, p.step) for p in points]
            rest = [Param(k, v) for k, v in params.items()], [RunTag(k, v) for k, v in tags.items()]
            while metrics or any(rest):
                (ps, ts), batch = [part[:_MAX_PAIRS] for part in rest], metrics[: _MAX_POINTS - 2 * _MAX_PAIRS]
                self._client.log_batch(run_id, metrics=batch, params=ps, tags=ts)
                rest, metrics = (rest[0][len(ps) :], rest[1][len(ts) :]), metrics[len(batch) :]

    def set_status(self, run_id: str, status: str, end_ms: int | None) -> None:
        """`end_ms` None: it goes on."""
        with self._errors():
            if end_ms is None:
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, status, end_ms)

    def delete(self, run_id: str) -> None:
        with self._errors():
            self._client.delete_run(run_id)

    def points(self, run: Found) -> Iterator[Point]:
        """Every point that MLflow has of a run."""
        with self._errors():
            for key in sorted(run.metrics):
                for metric in self._client.get_metric_history(run.run_id, key):
                    yield Point(key, metric.value, metric.timestamp, metric.step)

    def log_inputs(self, run_id: str, inputs: Sequence[Input]) -> None:
        """Datasets that the run was trained on; those that are there already stay as they are."""
        with self._errors():
            from mlflow.entities import Dataset, DatasetInput, InputTag

            datasets = [Dataset(i.name, i.digest, i.source_type, i.source, i.schema, i.profile) for i in inputs]
            contexts = [InputTag("mlflow.data.context", i.context) for i in inputs]
            pairs = zip(datasets, contexts, strict=True)
            self._client.log_inputs(run_id, [DatasetInput(dataset, [context]) for dataset, context in pairs])

    def attach(self, run_id: str, name: str, text: str) -> None:
        """A text as an artifact, in place of an earlier one."""
        with self._errors():
            self._client.log_text(run_id, text, name)

    def attach_file(self, run_id: str, file: Path) -> None:
        """A file as an artifact of its name, in place of an earlier one."""
        with self._errors():
            self._client.log_artifact(run_id, str(file))

    def attach_page(self, run_id: str, file: Path, name: str) -> None:
        """A file of text as an artifact of another name, in place of an earlier one."""
        with self._errors():
            self._client.log_text(run_id, file.read_text(encoding="utf-8"), name)

    def artifacts(self, run_id: str) -> frozenset[str] | None:
        """The names of a run's artifacts; None where the artifact store is out of reach: nobody can tell."""
        try:
            return frozenset(entry.path for entry in self._client.list_artifacts(run_id))
        except Exception:
            return None

    def has_version(self, key: str) -> bool:
        """Whether the model registry has the network of this key, whatever it is called there."""
        with self._errors():
            return len(self._client.search_model_versions(f"tags.`{MODEL_KEY}` = '{key}'", max_results=1)) > 0

    def close(self) -> None:
        """Leave a SQLite file complete in itself, without what waits beside it to be merged."""
        if self._client is not None and (path := sqlite_file(self.tracking_uri)) is not None:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=1)) as db:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """MLflow raises its own, SQLAlchemy's, requests' and OSError; callers see one, without passwords."""
        try:
            yield
        except Exception as error:
            where = quiet.masked(self.tracking_uri)
            message = quiet.masked(f"{error}", self.tracking_uri).strip().partition("\n")[0]
            raise TrackerError(f"MLflow at {where}: {message or type(error).__name__}") from None


def _found(run: Any) -> Found:
    info, data = run.info, run.data
    datasets = [each.dataset for each in run.inputs.dataset_inputs] if run.inputs else []
    return Found(
        info.run_id, info.start_time, info.status, info.end_time or None, dict(data.params), dict(data.tags), frozenset(data.metrics),
        frozenset((dataset.name, dataset.digest) for dataset in datasets),
    )  # fmt: skip
