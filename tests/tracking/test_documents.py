"""The small files on a sweep's run: what they say, when they come, and that they are repaired."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch.events import SweepOpened
from hpsearch.provenance import Commit, Dataset, Provenance
from hpsearch.tracking.documents import NAMES
from hpsearch.tracking.files import TrialFiles
from hpsearch.tracking.sync import Synced, sync
from hpsearch.trial import TrialKind, TrialState

pytestmark = pytest.mark.slow

DATASET = Dataset("<b>.csv", "d" * 32, "csv", "/data/<b>.csv", {"x": "double"}, None, {"train": 7, "validation": 2, "test": 0})


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Where the winner's sweep file is, if it is there."""
    return tmp_path / "digits.yaml"


@pytest.fixture
def synced(story: Any, tracking_uri: str, artifacts: Path, files: TrialFiles, exported: Path) -> Callable[[], Synced]:
    return lambda: sync(story.ledger, "digits", tracking_uri, artifacts, replace(files, winner=exported))


@pytest.fixture
def read(seen: Any) -> Callable[[str], Any]:
    """A document of the sweep's run; None where it is not there."""

    def reading(name: str) -> Any:
        (parent,) = seen.parents()
        if name not in seen.artifacts(parent):
            return None
        text = Path(seen.client.download_artifacts(parent.info.run_id, name)).read_text()
        return json.loads(text) if name.endswith(".json") else text

    return reading


def test_the_best_trial_once_the_sweep_has_ended(story: Any, synced: Any, read: Any, exported: Path) -> None:
    for _ in range(4):
        story.trial()
    exported.write_text("an old one")
    synced()
    assert (read("winner.json"), read("winner.yaml")) == (None, None)
    exported.write_text("name: a\n")
    story.close()
    synced()
    best = story.history().best()[0]
    assert read("winner.json") == {
        "chosen_by": "its own training",
        "trial": best.number,
        "params": best.parameters,
        "values": {"val_accuracy": best.reports[-1]["val_accuracy"]},
    }
    assert read("winner.yaml") == "name: a\n"
    assert synced().repairs == 0


def test_the_winner_of_the_re_tests(story: Any, synced: Any, read: Any) -> None:
    story.trial(kind=TrialKind.BASELINE)
    story.trial()
    for parent in (0, 0, 1, 1):
        story.trial(kind=TrialKind.RETEST, parent=parent)
    story.close()
    synced()
    means = {p: sum(t.reports[-1]["val_accuracy"] for t in story.history() if t.parent == p) / 2 for p in (0, 1)}
    found = read("winner.json")
    assert (found["chosen_by"], found["trial"]) == ("re-tests", max(means, key=means.__getitem__))
    assert found["mean"] == pytest.approx(max(means.values()))


def test_without_a_completed_trial_there_is_no_winner(story: Any, synced: Any, read: Any) -> None:
    story.trial(TrialState.FAILED)
    story.close("failed")
    synced()
    assert read("winner.json") is None


def test_a_sweep_that_goes_on_has_a_new_winner_at_its_end(story: Any, synced: Any, read: Any) -> None:
    story.trial()
    story.close("stopped")
    synced()
    assert read("winner.json")["trial"] == 0
    story.commit(SweepOpened("another", user="ada", provenance=Provenance(commit=Commit("c" * 40, False))))
    better = story.start()
    story.report(better, 1, val_accuracy=2.0)
    synced()
    assert read("winner.json")["trial"] == 0
    story.finish(better)
    story.close()
    synced()
    assert read("winner.json")["trial"] == better
    assert [each["user"] for each in read("environment.json")] == [None, "ada"]


def test_each_that_is_lost_or_out_of_date_is_repaired(story: Any, synced: Any, read: Any, exported: Path, artifacts: Path) -> None:
    story.trial()
    story.close()
    exported.write_text("name: a\n")
    synced()
    for name in NAMES.values():
        before = read(name)
        next(artifacts.rglob(name)).unlink()
        assert read(name) is None
        assert synced().updated == 1
        assert read(name) == before
    exported.write_text("name: b\n")
    assert synced().updated == 1
    assert read("winner.yaml") == "name: b\n"
    assert synced().repairs == 0


def test_data_that_become_known_are_added_once(story: Any, synced: Any, seen: Any) -> None:
    """As on the run of a sweep that an older hpsearch has begun."""
    story.trial()
    synced()
    assert seen.parents()[0].inputs.dataset_inputs == []
    story.commit(SweepOpened("another", provenance=Provenance(dataset=DATASET)))
    assert synced().updated == 1
    inputs = seen.parents()[0].inputs.dataset_inputs
    assert {i.dataset.name for i in inputs} == {"<b>.csv/training", "<b>.csv/validation"}
    assert synced().repairs == 0
    assert len(seen.parents()[0].inputs.dataset_inputs) == 2


def test_text_that_no_database_takes(story: Any, synced: Any, seen: Any) -> None:
    """A path may hold bytes that are no text."""
    story.commit(SweepOpened("another", user="a\0b", provenance=Provenance(dataset=replace(DATASET, name="x\udcff"), file="/y\udcff.yaml")))
    synced()
    (parent,) = seen.parents()
    assert parent.data.tags["mlflow.source.name"] == "/y?.yaml"
    assert parent.data.tags["mlflow.user"] == "a�b"
    assert {i.dataset.name for i in parent.inputs.dataset_inputs} == {"x?/training", "x?/validation"}
