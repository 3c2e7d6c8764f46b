"""What trials leave on the disk, brought to their runs: once, whole, and again where it is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.errors import TrackerError
from hpsearch.executors.job import Job
from hpsearch.tracking import files as files_module
from hpsearch.tracking.files import TrialFiles, tag
from hpsearch.tracking.projector import Projector
from hpsearch.tracking.runs import Runs
from hpsearch.tracking.sync import Synced, sync
from hpsearch.trial import TrialState


class Counting(Runs):
    """Counts the files that it stores, and fails on request: `fails` more times."""

    stored: list[str]
    fails = 0

    def attach_file(self, run_id: str, file: Path) -> None:
        self.stored.append(file.name)
        super().attach_file(run_id, file)
        if self.fails:
            self.fails -= 1
            raise TrackerError("lost on the way back")


@pytest.fixture
def runs(tracking_uri: str, artifacts: Path) -> Counting:
    runs = Counting(tracking_uri, "digits", artifacts)
    runs.stored = []
    return runs


@pytest.fixture
def begin(story: Any, runs: Counting, files: TrialFiles) -> Iterator[Callable[[], Projector]]:
    """A projector, as after a kill of the one before it."""
    lease = story.ledger.acquire(story.sweep.id, "projector", ledgers.holder(), 600)
    yield lambda: Projector(story.ledger, lease, story.sweep, runs, files)
    story.ledger.release(lease)


def catch_up(projector: Projector) -> int:
    rounds = 0
    while projector.catch_up():
        rounds += 1
    return rounds


def names(seen: Any, trial: int) -> list[str]:
    (run,) = seen.children()[trial]
    return sorted(seen.artifacts(run))


def test_it_finds_what_a_job_makes_room_for(files: TrialFiles, leave: Any, tmp_path: Path) -> None:
    job = Job(task=None, checkpoints=tmp_path, logs=files.logs, checkpoint_every_s=1.0, outputs=files.outputs)  # type: ignore[arg-type]
    leave(17, "printed", **{"b.txt": b"b", "a.txt": b"a"})
    assert [file.path.name for file in files.of(17)] == ["a.txt", "b.txt", "trial-00017.log"]
    assert files.of(17)[-1].path == job.log_file(17)
    assert files.of(18) == []


def test_an_empty_log_temporary_files_folders_and_links_are_none(files: TrialFiles, leave: Any, tmp_path: Path) -> None:
    leave(0, "", **{"a.txt": b"a"})
    folder = files.outputs / "trial-00000"
    (folder / ".a.txt.123").write_text("half")
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(folder / "a.txt")
    assert [file.path.name for file in files.of(0)] == ["a.txt"]


def test_what_is_too_large_is_left_out_and_said_so(files: TrialFiles, leave: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MAX_BYTES", 1_000_000)
    leave(0, "printed", **{"a.bin": b"x" * 2_400_000})
    assert tag(files.of(0)) == "a.bin (left out: 2 MB), trial-00000.log"


@pytest.mark.slow
def test_an_ended_trials_files_are_brought_once(story: Any, begin: Any, leave: Any, seen: Any, runs: Counting) -> None:
    leave(0, "a warning\n", **{"samples.png": b"png"})
    leave(1)
    leave(2, "still going\n")
    story.trial(TrialState.FAILED)
    story.trial()
    story.start()
    catch_up(begin())
    assert names(seen, 0) == ["samples.png", "trial-00000.log"]
    assert (names(seen, 1), names(seen, 2)) == ([], [])
    (run,) = seen.children()[0]
    assert run.data.tags["hpsearch.artifacts"] == "samples.png, trial-00000.log"
    assert "hpsearch.artifacts" not in seen.children()[1][0].data.tags
    story.report(2, 1)
    catch_up(begin())
    assert sorted(runs.stored) == ["samples.png", "trial-00000.log"]


@pytest.mark.slow
def test_what_a_kill_or_a_failure_left_undone_is_done_by_the_next(story: Any, begin: Any, leave: Any, seen: Any, runs: Counting) -> None:
    leave(0, "printed", **{"a.txt": b"a"})
    story.trial()
    runs.fails = 1
    projector = begin()
    assert catch_up(projector) == 1  # a failing artifact store does not hold up the rest
    assert seen.children()[0][0].info.status == "FINISHED"
    assert "hpsearch.artifacts" not in seen.children()[0][0].data.tags
    assert catch_up(projector) == 0  # not before ten seconds have passed
    projector._attach_at = 0.0
    assert catch_up(projector) == 1
    assert names(seen, 0) == ["a.txt", "trial-00000.log"]
    assert catch_up(projector) == 0
    seen.client.delete_tag(seen.children()[0][0].info.run_id, "hpsearch.artifacts")  # as after a kill between the files and the tag
    catch_up(begin())
    assert seen.children()[0][0].data.tags["hpsearch.artifacts"] == "a.txt, trial-00000.log"
    assert names(seen, 0) == ["a.txt", "trial-00000.log"]


@pytest.mark.slow
def test_sync_repairs_lost_artifacts(story: Any, leave: Any, files: TrialFiles, tracking_uri: str, artifacts: Path, seen: Any) -> None:
    def synced() -> Synced:
        return sync(story.ledger, "digits", tracking_uri, artifacts, files)

    leave(0, "printed", **{"a.txt": b"a", "b.txt": b"b"})
    leave(1)
    story.trial()
    story.trial()
    synced()
    assert names(seen, 0) == ["a.txt", "b.txt", "trial-00000.log"]
    assert synced().repairs == 0
    (lost,) = artifacts.rglob("b.txt")
    lost.unlink()
    assert synced().updated == 1
    assert names(seen, 0) == ["a.txt", "b.txt", "trial-00000.log"]
    assert synced().repairs == 0
    seen.client.delete_run(seen.children()[0][0].info.run_id)
    assert synced().missing_runs == 1
    assert names(seen, 0) == ["a.txt", "b.txt", "trial-00000.log"]
