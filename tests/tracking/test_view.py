"""The view that links open: what it says, and that MLflow keeps it. Whether the UI shows it so is seen in `tests/ui/`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpsearch import ledger as ledgers
from hpsearch.events import Assigned, Begun, Ended, Reported, SweepOpened, TrialCreated
from hpsearch.ledger.face import Sweep
from hpsearch.tracking import view
from hpsearch.tracking.projector import Projector
from hpsearch.tracking.runs import Runs
from hpsearch.tracking.sync import sync
from hpsearch.trial import Json, TrialKind, TrialState

SPACE = {
    "learning_rate": {"min": 1e-5, "max": 0.1, "log": True},
    "optimizer": {"values": ["adamw", "sgd"]},
    "momentum": {"min": 0.5, "max": 0.99, "when": {"optimizer": ["sgd"]}},
    "activation": "relu",
}


def sweep(name: str = "digits", space: Json = SPACE, goals: Json = (("val_accuracy", "maximize"),)) -> Sweep:
    objective = [{"metric": metric, "goal": goal, "at": "last"} for metric, goal in goals]
    return Sweep(1, name, {"objective": objective, "space": space}, "running", None, 1_700_000_000_000, None, {}, 0)


def state(of: Sweep) -> Any:
    """As the UI reads it from the tag."""
    return json.loads(json.loads(view.view_value(of))["state"])


def test_the_best_is_on_top_and_every_parameter_that_varies_has_a_column() -> None:
    seen = state(sweep())
    assert (seen["orderByKey"], seen["orderByAsc"]) == ("metrics.`val_accuracy`", False)
    params = [column for column in seen["selectedColumns"] if column.startswith("params.")]
    assert params == ["params.`learning_rate`", "params.`optimizer`", "params.`momentum`"]
    assert "metrics.`val_accuracy`" in seen["selectedColumns"]
    assert state(sweep(goals=[("val_loss", "minimize")]))["orderByAsc"] is True


def test_where_the_best_step_counts_trials_are_sorted_by_that() -> None:
    at_best = replace(sweep(), config={"objective": [{"metric": "val_loss", "goal": "minimize", "at": "best"}], "space": SPACE})
    seen = state(at_best)
    assert seen["orderByKey"] == "metrics.`val_loss_at_best`"
    assert seen["selectedColumns"][:2] == ["metrics.`val_loss_at_best`", "metrics.`val_loss`"]
    assert [chart.get("metricKey") for chart in seen["compareRunCharts"]] == [None, "val_loss"]
    assert seen["compareRunCharts"][0]["selectedMetrics"] == ["val_loss_at_best"]


def test_parallel_coordinates_have_the_objectives_and_what_every_trial_has() -> None:
    seen = state(sweep(goals=[("val_accuracy", "maximize"), ("latency", "minimize")]))
    (parallel,) = [chart for chart in seen["compareRunCharts"] if chart["type"] == "PARALLEL"]
    assert parallel["selectedParams"] == ["learning_rate", "optimizer"]
    assert parallel["selectedMetrics"] == ["latency", "val_accuracy"]
    assert parallel["metricSectionId"] == seen["compareRunSections"][0]["uuid"]


def test_other_sweeps_of_the_experiment_and_re_tests_are_left_out() -> None:
    assert state(sweep("it's `odd`"))["searchFilter"] == (
        "tags.`hpsearch.sweep_key` = 'it_s__odd_@1700000000000' AND tags.`hpsearch.kind` != 'retest'"
    )


def test_names_are_what_mlflow_calls_them() -> None:
    seen = state(sweep(space={"a`b": {"min": 0, "max": 1}}, goals=[("acc@5", "maximize")]))
    assert seen["orderByKey"].startswith("metrics.`acc_5_")
    assert all(column.count("`") in (0, 2) for column in seen["selectedColumns"])


def test_a_view_of_any_sweep_fits_into_a_tag() -> None:
    """MLflow refuses a value of more than 20,000 characters, and the projector would never get past it."""
    space = {f"{'é' * 240}{n}": {"min": 0, "max": 1} for n in range(500)}
    huge = sweep("x" * 500, space, [(f"{'m' * 240}{n}", "maximize") for n in range(8)])
    assert len(view.view_value(huge)) < 20_000
    assert len(view.view_tag(huge)) < 250
    many_long = sweep("x" * 500, {f"{'é' * 26}{n:03}": {"min": 0, "max": 1} for n in range(500)}, [(f"{'m' * 250}", "maximize")] * 4)
    assert len(view.view_value(many_long)) < 20_000
    many = state(sweep(space={f"p{n}": {"min": 0, "max": 1} for n in range(500)}))
    assert sum(column.startswith("params.") for column in many["selectedColumns"]) == view.MAX_COLUMNS


@pytest.fixture
def projector(story: Any, tracking_uri: str, artifacts: Path) -> Iterator[Projector]:
    lease = story.ledger.acquire(story.sweep.id, "projector", ledgers.holder(), 600)
    yield Projector(story.ledger, lease, story.sweep, Runs(tracking_uri, "digits", artifacts))
    story.ledger.release(lease)


@pytest.mark.slow
def test_mlflow_sorts_trials_as_the_ledger_does_where_the_best_step_counts(
    ledger: Any, tracking_uri: str, artifacts: Path, seen: Any
) -> None:
    """The last value of the second is better than the first's, and its best is not; a pruned trial has no value."""
    config = {
        "name": "best",
        "objective": [{"metric": "val_loss", "goal": "minimize", "at": "best"}],
        "space": {"x": {"min": 0, "max": 1}},
        "training": {"epochs": 3},
    }
    of = ledger.create("best", config, [])
    lease = ledger.acquire(of.id, "controller", ledgers.holder(), 600)
    ledger.commit(lease, [SweepOpened("controller")])
    curves = ((0.5, 0.1, 0.9), (0.8, 0.4, 0.3), (0.05, 0.05, 0.05))
    for number, losses in enumerate(curves):
        events = [
            TrialCreated(number, TrialKind.SEARCH, {"x": 0.5}, number, 3),
            Assigned(number, 1, "worker 1", 3),
            Begun(number, 1, "w", 0),
        ]
        reports = [Reported(number, 1, step, {"val_loss": loss}, 0.01) for step, loss in enumerate(losses, 1)]
        end = Ended(number, 1, TrialState.PRUNED if number == 2 else TrialState.COMPLETED)
        ledger.commit(lease, [*events, *reports, end])
    assert sync(ledger, "best", tracking_uri, artifacts).missing_runs == 4
    experiment = seen.client.get_experiment_by_name("best").experiment_id
    shown = state(of)
    found = seen.client.search_runs([experiment], shown["searchFilter"], order_by=[f"{shown['orderByKey']} ASC"])
    assert [run.info.run_name for run in found][:2] == ["trial 0", "trial 1"]
    assert [run.data.metrics.get("val_loss_at_best") for run in found] == [0.1, 0.3, None, None]
    assert sync(ledger, "best", tracking_uri, artifacts).repairs == 0


def kept(seen: Any, story: Any) -> str | None:
    return seen.client.get_experiment_by_name("digits").tags.get(view.view_tag(story.sweep))


@pytest.mark.slow
def test_it_is_there_from_the_first_round_and_the_note_links_to_it(story: Any, projector: Projector, seen: Any) -> None:
    projector.catch_up()
    assert kept(seen, story) == view.view_value(story.sweep)
    (parent,) = seen.parents()
    link = f"#/experiments/{parent.info.experiment_id}/runs?workflowType=machine_learning&viewStateShareKey={view.view_key(story.sweep)}"
    assert f"]({link})" in parent.data.tags["mlflow.note.content"]
    assert f"]({link}&compareRunsMode=CHART)" in parent.data.tags["mlflow.note.content"]


@pytest.mark.slow
def test_sync_writes_it_again_when_it_is_gone_or_another(story: Any, tracking_uri: str, artifacts: Path, seen: Any) -> None:
    story.trial()
    assert sync(story.ledger, "digits", tracking_uri, artifacts).views == 1
    assert sync(story.ledger, "digits", tracking_uri, artifacts).repairs == 0
    experiment, tag = seen.parents()[0].info.experiment_id, view.view_tag(story.sweep)
    ours = kept(seen, story)
    seen.client.delete_experiment_tag(experiment, tag)
    again = sync(story.ledger, "digits", tracking_uri, artifacts)
    assert (again.views, again.repairs) == (1, 1)
    assert kept(seen, story) == ours
    for damaged in ("", "no JSON", json.dumps({**json.loads(str(ours)), "state": "{}"})):
        seen.client.set_experiment_tag(experiment, tag, damaged)
        assert sync(story.ledger, "digits", tracking_uri, artifacts).views == 1
        assert kept(seen, story) == ours
