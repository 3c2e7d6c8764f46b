"""The projector against real MLflow on SQLite: what MLflow's public client then says is compared with the ledger."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.errors import LeaseLost, TrackerError
from hpsearch.events import Assigned, Begun, Ended, Sampled, SweepExtended, SweepOpened, TrialCreated
from hpsearch.tracking.projector import Projector
from hpsearch.tracking.runs import Runs
from hpsearch.tracking.sync import sync
from hpsearch.trial import TrialKind, TrialState


class Flaky(Runs):
    """MLflow as it fails: before a call has done its work, or after."""

    def __init__(self, *args: Any, chance: float, seed: int) -> None:
        super().__init__(*args)
        self._chance, self._random = chance, random.Random(seed)

    def create(self, wanted: Any) -> Any:
        return self._perhaps(super().create, wanted)

    def log(self, *args: Any) -> Any:
        return self._perhaps(super().log, *args)

    def set_status(self, *args: Any) -> Any:
        return self._perhaps(super().set_status, *args)

    def _perhaps(self, call: Callable[..., Any], *args: Any) -> Any:
        draw = self._random.random()
        if draw < self._chance / 2:
            raise TrackerError("lost on the way there")
        result = call(*args)
        if draw < self._chance:
            raise TrackerError("lost on the way back")
        return result


@pytest.fixture
def projector(story: Any, tracking_uri: str, artifacts: Path) -> Iterator[Projector]:
    lease = story.ledger.acquire(story.sweep.id, "projector", ledgers.holder(), 600)
    yield Projector(story.ledger, lease, story.sweep, Runs(tracking_uri, "digits", artifacts))
    story.ledger.release(lease)


def catch_up(projector: Projector) -> int:
    """All rounds that it takes; how many."""
    rounds = 0
    while projector.catch_up():
        rounds += 1
    return rounds


def _again(projector: Projector) -> Runs:
    return Runs(projector.runs.tracking_uri, "digits", projector.runs._artifacts)


def begin_again(projector: Projector, runs: Runs | None = None) -> Projector:
    """What a successor that knows nothing but the ledger makes of it."""
    return Projector(projector._ledger, projector._lease, projector.sweep, runs or _again(projector))


@pytest.mark.slow
def test_every_state_is_told_apart(story: Any, projector: Projector, seen: Any, check: Any) -> None:
    story.trial(kind=TrialKind.BASELINE)
    for state in TrialState:
        if state.is_terminal and state is not TrialState.INFEASIBLE:
            story.trial(state, reason=f"because {state}")
    infeasible = story.infeasible()
    story.start()
    story.trial(TrialState.PAUSED)
    story.trial(TrialState.WAITING, reason="its worker was lost")
    catch_up(projector)
    check(seen, story)
    children = {n: run for n, (run,) in seen.children().items()}
    assert children[0].info.run_name == "baseline"
    assert children[1].info.run_name == "trial 1"
    assert children[2].data.tags["hpsearch.reason"] == "because pruned"
    assert children[infeasible].info.status == "KILLED"
    assert children[1].data.params["hidden"] in ("[64]", "[64, 32]")
    assert children[1].data.params["optimizer"] == "adamw|<i>"
    assert len({run.data.tags["hpsearch.state"] for run in children.values()}) == len(TrialState)


@pytest.mark.slow
def test_what_is_found_in_a_trial_is_a_tag_once_it_has_ended(story: Any, projector: Projector, seen: Any) -> None:
    number = story.start()
    for step, (train, validation) in enumerate(zip((9, 5, 3, 2, 1, 0.9, 0.8, 0.7), (9, 4, 3, 3, 4, 5, 6, 7), strict=True), 1):
        story.report(number, step, train_loss=train, val_loss=validation)
    catch_up(projector)
    (running,) = seen.children()[number]
    assert "hpsearch.diagnosis" not in running.data.tags
    story.commit(Ended(number, 1, TrialState.COMPLETED))
    healthy = story.trial()
    catch_up(projector)
    (run,) = seen.children()[number]
    assert run.data.tags["hpsearch.diagnosis"] == "overfitting"
    assert run.data.tags["hpsearch.diagnosis_reason"] == (
        "overfitting: val_loss rose from about 3 at step 3 to 6 at step 8, while train_loss went on falling from 3 to 0.8"
    )
    (other,) = seen.children()[healthy]
    assert "hpsearch.diagnosis" not in other.data.tags


@pytest.mark.slow
def test_the_parent_has_what_was_asked_and_what_came_of_it(story: Any, projector: Projector, seen: Any, artifacts: Path) -> None:
    baseline = story.trial(kind=TrialKind.BASELINE)
    for _ in range(6):
        story.trial()
    story.trial(TrialState.PRUNED)
    story.commit(SweepExtended(trials=90))
    story.close()
    catch_up(projector)
    (parent,) = seen.parents()
    best = story.history().best()[0]
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "digits"
    assert parent.data.params["search.sampler"] == "tpe"
    assert parent.data.params["space.learning_rate"] == '{"min": 1e-05, "max": 0.1, "log": true}'
    assert parent.data.tags["team"] == "vision"
    assert parent.data.tags["hpsearch.budget"] == "90 trials or 1800 s"
    assert parent.data.metrics["best_val_accuracy"] == story.history().values(best)[0]
    points = [value for _, value, _ in seen.points(parent)["best_val_accuracy"]]
    assert points == sorted(set(points))
    note = parent.data.tags["mlflow.note.content"]
    assert f"best: trial {best.number}" in note if best.number != baseline else "best: baseline" in note
    assert (artifacts / parent.info.run_id / "artifacts" / "sweep.json").exists()


@pytest.mark.slow
def test_nothing_new_costs_nothing(story: Any, projector: Projector, monkeypatch: pytest.MonkeyPatch) -> None:
    story.trial()
    assert catch_up(projector) == 1
    monkeypatch.setattr(projector.runs, "_client", None)
    assert not projector.catch_up()


@pytest.mark.slow
def test_a_trial_grows_round_by_round(story: Any, projector: Projector, seen: Any, check: Any) -> None:
    number = story.start()
    catch_up(projector)
    check(seen, story)
    for step in (1, 2, 3):
        story.report(number, step, val_loss=(math.nan, math.inf, -math.inf)[step - 1])
        catch_up(projector)
        check(seen, story)
    story.commit(Ended(number, 1, TrialState.WAITING, "an error"))
    catch_up(projector)
    check(seen, story)
    story.commit(Assigned(number, 2, "worker 2", 3), Begun(number, 2, "w", 3), Ended(number, 2, TrialState.COMPLETED))
    catch_up(projector)
    check(seen, story)
    (run,) = seen.children()[number]
    assert run.data.tags["hpsearch.attempts"] == "2"
    assert run.data.tags["hpsearch.reason"] == ""


@pytest.mark.slow
def test_a_stopped_sweep_goes_on_under_the_same_runs(story: Any, projector: Projector, seen: Any, check: Any) -> None:
    story.trial()
    story.close("stopped")
    catch_up(projector)
    assert seen.parents()[0].info.status == "KILLED"
    story.commit(SweepOpened("another"))
    story.trial()
    successor = begin_again(projector)
    catch_up(successor)
    assert seen.parents()[0].info.status == "RUNNING"
    check(seen, story)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_failures_before_and_after_the_work_leave_nothing_twice(
    story: Any, projector: Projector, seen: Any, check: Any, tracking_uri: str, seed: int
) -> None:
    for _ in range(4):
        story.trial()
    story.trial(kind=TrialKind.RETEST, parent=2)
    open_trial = story.start()
    flaky = begin_again(projector, Flaky(tracking_uri, "digits", projector.runs._artifacts, chance=0.4, seed=seed))
    failures = 0
    for _ in range(200):
        try:
            if not flaky.catch_up():
                break
        except TrackerError:
            failures += 1
        if failures == 4:
            story.report(open_trial, 1)
            flaky = begin_again(projector, flaky.runs)
    assert failures > 4
    check(seen, story)


@pytest.mark.slow
def test_runs_that_were_deleted_or_doubled_come_right_at_the_next_start(story: Any, projector: Projector, seen: Any, check: Any) -> None:
    for _ in range(3):
        story.trial()
    catch_up(projector)
    children = seen.children()
    seen.client.delete_run(children[1][0].info.run_id)
    original = children[2][0]
    seen.client.create_run(original.info.experiment_id, start_time=original.info.start_time - 1, tags=dict(original.data.tags))
    catch_up(begin_again(projector))
    check(seen, story)
    assert seen.children()[2][0].info.run_id == original.info.run_id


@pytest.mark.slow
def test_re_tests_are_children_of_their_origin_and_follow_it_when_it_is_written_again(
    story: Any, projector: Projector, seen: Any, check: Any
) -> None:
    origin = story.trial()
    retests = [story.trial(kind=TrialKind.RETEST, parent=origin) for _ in range(2)]
    catch_up(projector)
    check(seen, story)
    note = seen.parents()[0].data.tags["mlflow.note.content"]
    assert "**Winner:** trial 0, val\\_accuracy" in note
    assert "2 fresh seeds" in note
    before = seen.children()[origin][0].info.run_id
    seen.client.delete_run(before)
    again = begin_again(projector)
    catch_up(again)
    check(seen, story)
    assert {seen.children()[n][0].data.tags["mlflow.parentRunId"] for n in retests} != {before}
    assert again.pending == {}


@pytest.mark.slow
def test_a_deleted_parent_is_written_again_and_its_children_follow(story: Any, projector: Projector, seen: Any, check: Any) -> None:
    story.trial()
    catch_up(projector)
    (parent,) = seen.parents()
    seen.client.delete_run(parent.info.run_id)
    catch_up(begin_again(projector))
    check(seen, story)
    assert seen.parents()[0].data.metrics == parent.data.metrics
    assert "best_val_accuracy" in parent.data.metrics


@pytest.mark.slow
def test_two_sweeps_of_one_name_do_not_mix(story: Any, projector: Projector, seen: Any) -> None:
    story.trial()
    catch_up(projector)
    story.ledger.release(story.lease)
    story.ledger.delete(story.sweep.id)
    sweep = story.ledger.create("digits", story.sweep.config, [TrialCreated(0, TrialKind.BASELINE, {"learning_rate": 0.1}, 0, 3)])
    lease = story.ledger.acquire(sweep.id, "projector", ledgers.holder(), 600)
    catch_up(Projector(story.ledger, lease, sweep, _again(projector)))
    assert len(seen.parents()) == 2
    assert len(seen.runs()) == 4


@pytest.mark.slow
def test_who_lost_the_lease_notes_nothing(story: Any, projector: Projector) -> None:
    story.trial()
    story.ledger.release(projector._lease)
    story.ledger.acquire(story.sweep.id, "projector", "another", 600)
    with pytest.raises(LeaseLost):
        projector.catch_up()
    assert story.ledger.projection(story.sweep.id).seq == 0


@pytest.mark.slow
def test_many_parameters_odd_names_and_long_values(story: Any, projector: Projector, seen: Any) -> None:
    parameters = {f"p{i}": i for i in range(150)} | {"long": "x" * 7_000, "a/../b": 1, "ü (%)": True}
    story.commit(TrialCreated(0, TrialKind.SEARCH, parameters, 0, 3), Assigned(0, 1, "worker", 3), Begun(0, 1, "w", 0))
    for step in range(1, 40):
        story.report(0, step, **{f"m@{i}": 0.5 for i in range(40)})
    catch_up(projector)
    (run,) = seen.children()[0]
    assert len(run.data.params) == 153
    assert len(run.data.params["long"]) == 6_000
    assert run.data.params["long"].endswith("…")
    assert sum(len(points) for points in seen.points(run).values()) == 39 * 43


@pytest.mark.slow
def test_a_trial_that_came_and_went_between_two_rounds_takes_three_calls(story: Any, tracking_uri: str, projector: Projector) -> None:
    calls: list[str] = []

    class Counting(Runs):
        def create(self, *args: Any) -> Any:
            calls.append("create")
            return super().create(*args)

        def log(self, *args: Any) -> Any:
            calls.append("log")
            return super().log(*args)

        def set_status(self, *args: Any) -> Any:
            calls.append("set_status")
            return super().set_status(*args)

    for _ in range(10):
        story.trial()
    story.close()
    assert catch_up(begin_again(projector, Counting(tracking_uri, "digits", projector.runs._artifacts))) == 1
    assert {call: calls.count(call) for call in calls} == {"create": 11, "log": 11, "set_status": 11}


@pytest.mark.slow
def test_what_trials_use_is_among_mlflows_system_metrics_with_its_own_times(story: Any, projector: Projector, seen: Any) -> None:
    """Also by a successor; counted on through the trial's attempts."""
    number = story.start()
    story.report(number, 1)
    story.commit(Sampled(number, 1, 5_000, {"cpu_utilization_percentage": 97.5, "gpu_0_power_usage_watts": 300.0}))
    story.commit(Ended(number, 1, TrialState.WAITING))
    catch_up(projector)
    successor = begin_again(projector)
    story.commit(Assigned(number, 2, "worker 1", 3), Sampled(number, 2, 4_000, {"cpu_utilization_percentage": 12.5}))
    catch_up(successor)
    (run,) = seen.children()[number]
    history = seen.client.get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")
    assert sorted((m.step, m.timestamp, m.value) for m in history) == [(0, 5_000, 97.5), (1, 4_000, 12.5)]
    assert run.data.metrics["system/cpu_utilization_percentage"] == 12.5
    assert run.data.metrics["system/gpu_0_power_usage_watts"] == 300.0


@pytest.mark.slow
def test_sync_adds_samples_that_are_missing_and_then_finds_nothing(story: Any, tracking_uri: str, artifacts: Path, seen: Any) -> None:
    number = story.trial()
    other = story.start()
    story.commit(*(Sampled(other, 1, 1_000 * i, {"cpu_utilization_percentage": float(i)}) for i in range(5)))
    story.close()
    assert sync(story.ledger, "digits", tracking_uri, artifacts).missing_runs == 3
    again = sync(story.ledger, "digits", tracking_uri, artifacts)
    of_the_sweep = sum(map(len, seen.points(seen.parents()[0]).values()))
    assert (again.repairs, again.points) == (0, 9 + 5 + of_the_sweep)
    assert set(seen.children()) == {number, other}
