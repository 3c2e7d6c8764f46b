"""The sweep's page among the artifacts of its run: attached when the sweep has ended, renewed, linked, repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.events import SweepOpened
from hpsearch.tracking.files import TrialFiles
from hpsearch.tracking.projector import Projector
from hpsearch.tracking.runs import Runs
from hpsearch.tracking.sync import Synced, sync

pytestmark = pytest.mark.slow


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "digits <b>.html"


@pytest.fixture
def begin(story: Any, tracking_uri: str, artifacts: Path, files: TrialFiles, page: Path) -> Iterator[Callable[[], Projector]]:
    """A projector, as after a kill of the one before it."""
    lease = story.ledger.acquire(story.sweep.id, "projector", ledgers.holder(), 600)
    runs = Runs(tracking_uri, "digits", artifacts)
    yield lambda: Projector(story.ledger, lease, story.sweep, runs, replace(files, report=page))
    story.ledger.release(lease)


def catch_up(projector: Projector) -> int:
    rounds = 0
    while projector.catch_up():
        rounds += 1
    return rounds


def attached(seen: Any) -> tuple[str | None, str]:
    """What the parent has as its page, and its note."""
    (parent,) = seen.parents()
    path = "report.html" in seen.artifacts(parent) and seen.client.download_artifacts(parent.info.run_id, "report.html")
    return (Path(path).read_text() if path else None), parent.data.tags["mlflow.note.content"]


def test_it_is_attached_when_the_sweep_has_ended_and_the_note_links_to_it(story: Any, begin: Any, seen: Any, page: Path) -> None:
    page.write_text("an old one")
    projector = begin()
    story.trial()
    catch_up(projector)
    assert attached(seen)[0] is None
    assert "report" not in attached(seen)[1]
    story.close()
    page.write_text("the page")
    catch_up(projector)
    content, note = attached(seen)
    (parent,) = seen.parents()
    link = f"#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}/artifacts/report.html?workflowType=machine_learning"
    assert content == "the page"
    assert f"({link})" in note
    assert catch_up(projector) == catch_up(begin()) == 0


def test_a_page_that_is_written_after_the_last_event_is_attached_too(story: Any, begin: Any, seen: Any, page: Path) -> None:
    projector = begin()
    story.trial()
    story.close()
    catch_up(projector)
    page.write_text("the page")
    catch_up(projector)
    assert attached(seen)[0] == "the page"


def test_the_next_run_of_the_sweep_renews_it(story: Any, begin: Any, seen: Any, page: Path) -> None:
    story.close()
    page.write_text("first")
    catch_up(begin())
    story.commit(SweepOpened("controller"))
    page.write_text("half")
    catch_up(begin())
    assert attached(seen)[0] == "first"
    story.close()
    page.write_text("second")
    catch_up(begin())
    assert attached(seen)[0] == "second"


def test_sync_repairs_it(story: Any, seen: Any, tracking_uri: str, artifacts: Path, files: TrialFiles, page: Path) -> None:
    def synced() -> Synced:
        return sync(story.ledger, "digits", tracking_uri, artifacts, replace(files, report=page))

    story.trial()
    story.close()
    page.write_text("first")
    synced()
    assert attached(seen)[0] == "first"
    assert synced().repairs == 0
    next(artifacts.rglob("report.html")).unlink()
    assert synced().repairs > 0
    assert attached(seen)[0] == "first"
    page.write_text("second")
    assert synced().repairs > 0
    assert attached(seen)[0] == "second"
    seen.client.delete_run(seen.parents()[0].info.run_id)
    assert synced().missing_runs == 1
    assert attached(seen)[0] == "second"
    assert "/artifacts/report.html" in attached(seen)[1]
    assert synced().repairs == 0
