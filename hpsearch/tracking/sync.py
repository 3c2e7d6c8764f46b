"""`hpsearch sync`: compare MLflow itself with the ledger, run by run and point by point, and repair what differs."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hpsearch.errors import InputError
from hpsearch.ledger import holder
from hpsearch.ledger.face import Ledger
from hpsearch.tracking.documents import NAMES
from hpsearch.tracking.files import TrialFiles
from hpsearch.tracking.keys import ARTIFACTS, REPORT
from hpsearch.tracking.links import REPORT_FILE
from hpsearch.tracking.picture import Of, Point, Wanted, experiment_name
from hpsearch.tracking.projector import BATCH, Projector, has_other_status, missing_inputs, missing_tags
from hpsearch.tracking.runs import Found, Runs
from hpsearch.trial import Json

_LEASE_TTL_S = 30.0


@dataclass(slots=True)
class Synced:
    """What was compared, and what had to be repaired. A second `sync` finds nothing."""

    experiment_id: str
    run_id: str
    runs: int = 0
    points: int = 0
    missing_runs: int = 0
    wrong_runs: int = 0
    """Runs that contradicted the ledger: deleted, and written again."""
    duplicates: int = 0
    missing_points: int = 0
    updated: int = 0
    """Runs whose status, tags or parameters were mended."""
    models: int = 0
    """Registered anew."""
    model: dict[str, Json] | None = None
    """Where the winner's network is in the model registry."""
    unregistered: str | None = None
    """Why it is not there, though it should be."""
    views: int = 0
    """Whether the view that links open was written anew."""

    @property
    def repairs(self) -> int:
        """How many things were wrong."""
        rest = self.duplicates + self.missing_points + self.updated + self.models + self.views
        return self.missing_runs + self.wrong_runs + rest


def sync(ledger: Ledger, name: str, tracking_uri: str, artifacts: Path | None = None, files: TrialFiles | None = None) -> Synced:
    """Make MLflow show the sweep `name` as the ledger has it.

    Args:
        artifacts: the folder for artifacts, where the experiment has to be made and the store is no server.
        files: where the sweep's trials leave theirs.

    Raises:
        InputError: there is no such sweep.
        LeaseHeld: a running sweep's own projector is at work.
        TrackerError: MLflow cannot be reached.
    """
    sweep = ledger.find(name)
    lease = ledger.acquire(sweep.id, "projector", holder(), _LEASE_TTL_S)
    try:
        return _Sync(Projector(ledger, lease, sweep, Runs(tracking_uri, experiment_name(sweep), artifacts), files)).run(ledger)
    finally:
        ledger.release(lease)


class _Sync:
    def __init__(self, projector: Projector) -> None:
        self.projector = projector
        self.result = Synced("", "")
        self.metrics: set[str] = set()

    def run(self, ledger: Ledger) -> Synced:
        projector = self.projector
        while events := ledger.events(projector.sweep.id, projector.picture.seq, BATCH):
            projector.add(events)
        projector.look()
        projector.pending.clear()  # everything is compared here, and what is missing becomes pending anew
        expected = projector.all_points()
        self.metrics = {p.key for points in expected.values() for p in points}
        for of in (None, *projector.picture.history.trials):
            self._compare(of, expected.get(of, []))
        projector.write()
        self._register()
        self.result.duplicates, self.result.views = projector.deleted, projector.views
        self.result.experiment_id, self.result.run_id = projector.runs.experiment_id or "", projector.run_id or ""
        return self.result

    def _register(self) -> None:
        projector, result = self.projector, self.result
        if projector.picture.model and not projector.runs.has_version(projector.picture.model.key):
            projector.picture.model = None  # deleted since
        if (wanted := projector.unregistered()) is not None:
            try:
                projector.register(wanted, lambda at: None)
                projector.write()
                result.models += 1
            except InputError as error:
                result.unregistered = str(error)
        result.model = model.to_json() if (model := projector.picture.model) else None

    def _compare(self, of: Of, expected: list[Point]) -> None:
        projector, result = self.projector, self.result
        result.runs += 1
        result.points += len(expected)
        found = projector.found.get(of)
        if found is None:
            result.missing_runs += 1
            projector.pending[of] = expected
            return
        wanted = projector.wanted(of)
        present = set(_as_stored(projector.runs.points(found)))
        if self._contradicts(of, found, wanted, present, expected):
            projector.runs.delete(found.run_id)
            del projector.found[of]
            result.wrong_runs += 1
            projector.pending[of] = expected
            return
        self._complete(of, found, wanted, [p for p, stored in zip(expected, _as_stored(expected), strict=True) if stored not in present])

    def _contradicts(self, of: Of, found: Found, wanted: Wanted, present: set[Point], expected: list[Point]) -> bool:
        """A parameter or a point cannot be changed in MLflow. Metrics and parameters that others have added are left alone."""
        other_points = {p for p in present if p.key in self.metrics} - set(_as_stored(expected))
        other_params = of is not None and any(found.params.get(k, v) != v for k, v in wanted.params.items())
        return bool(other_points) or other_params

    def _lost_artifacts(self, of: Of, found: Found) -> set[str]:
        """The tags that say of artifacts that they are there, where one of them is not."""
        if of is None:
            expected = {tag: {name} for tag, name in {**NAMES, REPORT: REPORT_FILE}.items() if tag in found.tags}
        else:
            is_over = self.projector.picture.history.trials[of].state.is_terminal
            expected = {ARTIFACTS: {file.path.name for file in self.projector.files_of(of) if is_over and file.left_out is None}}
        if not any(expected.values()) or (present := self.projector.runs.artifacts(found.run_id)) is None:
            return set()
        return {tag for tag, names in expected.items() if names - present}

    def _complete(self, of: Of, found: Found, wanted: Wanted, missing: list[Point]) -> None:
        projector, result = self.projector, self.result
        lost = self._lost_artifacts(of, found)
        if lost:
            projector.found[of] = found = replace(found, tags={k: v for k, v in found.tags.items() if k not in lost})
        lacks = (lost, missing_tags(found, wanted), wanted.params.keys() - found.params.keys(), missing_inputs(found, wanted))
        is_wrong = any(lacks) or has_other_status(found, wanted) or (of is None and projector.has_new_files())
        result.updated += is_wrong
        result.missing_points += len(missing)
        if missing or is_wrong:
            projector.pending[of] = missing


def _as_stored(points: Iterable[Point]) -> Iterable[Point]:
    """Points that compare as MLflow keeps them: infinities as the largest double, and NaN (which it gives back as such) equal to itself."""
    for p in points:
        value = max(-sys.float_info.max, min(sys.float_info.max, p.value)) if not math.isnan(p.value) else 0.0
        yield Point(p.key, value, p.at_ms, p.step if not math.isnan(p.value) else ~p.step)
