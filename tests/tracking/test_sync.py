"""Damage in MLflow, done through its public client; `sync` must mend all of it, and find nothing the second time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.errors import InputError, LeaseHeld
from hpsearch.events import Ended
from hpsearch.tracking.projector import Projector
from hpsearch.tracking.runs import Runs
from hpsearch.tracking.sync import Synced, sync
from hpsearch.trial import TrialKind, TrialState

pytestmark = pytest.mark.slow


def _child(seen: Any, chance: random.Random) -> Any:
    return chance.choice(seen.children()[chance.choice(sorted(seen.children()))])


def delete_a_run(seen: Any, chance: random.Random) -> None:
    seen.client.delete_run(_child(seen, chance).info.run_id)


def delete_an_origin(seen: Any, _: random.Random) -> None:
    """Of a re-test, which then has to get another parent."""
    for run in seen.children().get(1, [])[:1]:  # other damage may have come before
        seen.client.delete_run(run.info.run_id)


def delete_the_parent(seen: Any, chance: random.Random) -> None:
    seen.client.delete_run(seen.parents()[0].info.run_id)


def double_a_run(seen: Any, chance: random.Random) -> None:
    run = _child(seen, chance)
    later = run.info.start_time + chance.choice((0, 5))
    seen.client.create_run(run.info.experiment_id, start_time=later, tags=dict(run.data.tags))


def double_the_parent(seen: Any, chance: random.Random) -> None:
    (parent,) = seen.parents()
    seen.client.create_run(parent.info.experiment_id, start_time=parent.info.start_time + 1, tags=dict(parent.data.tags))


def wrong_status(seen: Any, chance: random.Random) -> None:
    seen.client.update_run(_child(seen, chance).info.run_id, status="RUNNING")


def wrong_tag(seen: Any, chance: random.Random) -> None:
    seen.client.set_tag(_child(seen, chance).info.run_id, chance.choice(("hpsearch.state", "mlflow.parentRunId")), "nonsense")


def no_key(seen: Any, chance: random.Random) -> None:
    seen.client.delete_tag(_child(seen, chance).info.run_id, "hpsearch.sweep_key")


def point_too_many(seen: Any, chance: random.Random) -> None:
    seen.client.log_metric(_child(seen, chance).info.run_id, "val_loss", 0.5, timestamp=1, step=77)


def delete_the_experiment(seen: Any, chance: random.Random) -> None:
    seen.client.delete_experiment(seen.parents()[0].info.experiment_id)


DAMAGES: tuple[Callable[[Any, random.Random], None], ...] = (
    delete_a_run, delete_an_origin, delete_the_parent, double_a_run, double_the_parent, wrong_status, wrong_tag, point_too_many,
)  # fmt: skip


@pytest.fixture
def synced(story: Any, tracking_uri: str, artifacts: Path) -> Callable[[], Synced]:
    return lambda: sync(story.ledger, "digits", tracking_uri, artifacts)


@pytest.fixture
def whole(story: Any, synced: Callable[[], Synced]) -> Any:
    """A sweep that is in MLflow."""
    story.trial(kind=TrialKind.BASELINE)
    for state in (TrialState.COMPLETED, TrialState.PRUNED, TrialState.FAILED):
        story.trial(state)
    odd = story.start()
    for step, value in enumerate((math.nan, math.inf, -math.inf), 1):
        story.report(odd, step, val_loss=value)
    story.infeasible()
    for parent in (0, 1):
        story.trial(kind=TrialKind.RETEST, parent=parent)
    story.close()
    assert synced().missing_runs == 9
    return story


def test_an_empty_store_is_filled_and_then_nothing_is_left_to_do(whole: Any, synced: Callable[[], Synced], seen: Any, check: Any) -> None:
    check(seen, whole)
    again = synced()
    assert again.repairs == 0
    assert (again.runs, again.points) == (9, sum(r.step * 3 for r in whole.history()) + len(parents_points(seen)))
    assert again.run_id == seen.parents()[0].info.run_id


def parents_points(seen: Any) -> list[Any]:
    return [point for points in seen.points(seen.parents()[0]).values() for point in points]


@pytest.mark.parametrize("damage", [*DAMAGES, delete_the_experiment], ids=lambda d: d.__name__)
def test_each_damage_is_mended(whole: Any, synced: Callable[[], Synced], seen: Any, check: Any, damage: Any) -> None:
    damage(seen, random.Random(1))
    assert synced().repairs > 0 or damage is delete_the_experiment
    check(seen, whole)
    assert synced().repairs == 0


def test_any_damages_together_are_mended(whole: Any, synced: Callable[[], Synced], seen: Any, check: Any) -> None:
    chance = random.Random(0)
    for _ in range(12):
        for damage in chance.choices(DAMAGES, k=chance.randint(1, 5)):
            if seen.parents():
                damage(seen, chance)
        synced()
        check(seen, whole)
        assert synced().repairs == 0


def test_points_that_are_missing_are_added(
    story: Any, tracking_uri: str, artifacts: Path, synced: Callable[[], Synced], seen: Any, check: Any
) -> None:
    story.trial()
    lease = story.ledger.acquire(story.sweep.id, "projector", ledgers.holder(), 60)

    class Forgetful(Runs):
        def log(self, run_id: str, points: Any, params: Any, tags: Any) -> None:
            super().log(run_id, points[1:], params, tags)

    Projector(story.ledger, lease, story.sweep, Forgetful(tracking_uri, "digits", artifacts)).catch_up()
    story.ledger.release(lease)
    assert synced().missing_points == 2  # of the trial, and of the parent's best
    check(seen, story)


def test_what_others_added_stays(whole: Any, synced: Callable[[], Synced], seen: Any) -> None:
    run = seen.children()[1][0]
    seen.client.log_metric(run.info.run_id, "my_own", 3.0)
    seen.client.set_tag(run.info.run_id, "seen by", "me")
    assert synced().repairs == 0
    assert seen.client.get_run(run.info.run_id).data.metrics["my_own"] == 3.0


def test_a_lost_configuration_file_comes_back(whole: Any, synced: Callable[[], Synced], artifacts: Path) -> None:
    (file,) = artifacts.rglob("sweep.json")
    file.unlink()
    assert synced().updated == 1
    assert file.exists()
    assert synced().repairs == 0


def test_a_wrong_diagnosis_is_mended(story: Any, synced: Callable[[], Synced], seen: Any) -> None:
    diverged = story.start()
    story.report(diverged, 1, val_loss=math.nan)
    story.commit(Ended(diverged, 1, TrialState.DIVERGED, "val_loss is nan at step 1"))
    healthy = story.trial()
    synced()
    runs = {number: run.info.run_id for number, (run,) in seen.children().items()}
    seen.client.delete_tag(runs[diverged], "hpsearch.diagnosis")
    seen.client.set_tag(runs[healthy], "hpsearch.diagnosis", "overfitting")
    assert synced().updated == 2
    assert seen.client.get_run(runs[diverged]).data.tags["hpsearch.diagnosis"] == "divergence"
    assert seen.client.get_run(runs[healthy]).data.tags["hpsearch.diagnosis"] == ""
    assert synced().repairs == 0


def test_it_waits_for_nobody(story: Any, synced: Callable[[], Synced]) -> None:
    story.ledger.acquire(story.sweep.id, "projector", "another", 60)
    with pytest.raises(LeaseHeld):
        synced()


def test_an_unknown_sweep_is_named(story: Any, tracking_uri: str) -> None:
    with pytest.raises(InputError, match="digits"):
        sync(story.ledger, "digit", tracking_uri)
