"""Trials that share GPUs, on a real cluster of two logical ones; what they take of them is an exercise."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import exercises
import pytest
from bench import TOTALS, Bench
from raylets import Cluster
from test_ray import TOTAL, ray_executor

from hpsearch.controller import Controller
from hpsearch.events import Assigned, Ended
from hpsearch.packing import GRANTS, grant
from hpsearch.search.history import History
from hpsearch.trial import Resources, TrialState

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PACKED = Resources(1, GRANTS[0], packed=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as made:
        made.start(cpus=8, gpus=2)
        made.wait_for_cpus(8)
        with made.as_its_driver():
            yield made


@pytest.fixture
def bench(cluster: Cluster, tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class Stretch:
    """One attempt, as it noted itself."""

    def __init__(self, line: str) -> None:
        number, gpus, began, ended, self.device = line.split()
        self.number, self.gpus, self.began, self.ended = int(number), float(gpus), float(began), float(ended)


def most_at_once(stretches: list[Stretch]) -> tuple[int, float]:
    """The most attempts at one moment on one device, and the most that they had of it."""
    at_once = [[o for o in stretches if o.device == s.device and o.began <= s.began < o.ended] for s in stretches]
    return max(map(len, at_once)), max(sum(o.gpus for o in others) for others in at_once)


def check_decisions(bench: Bench) -> None:
    """Each grant is what the committed past before it says."""
    history = History(TOTALS)
    for event in bench.ledger.events(bench.sweep.id):
        if isinstance(event.body, Assigned):
            assert event.body.gpus == grant(history, history.trials[event.body.trial])
        history = history.apply([event])


def run(bench: Bench, needs: tuple[float, ...], **given) -> tuple[History, list[Stretch]]:
    notes = bench.folder / "notes"
    history = bench.run(
        ray_executor(), exercises.Hungry(step_s=0.7, needs=needs, notes=notes),
        workers=None, resources=PACKED, trials=len(needs), retries=0, **given,
    )  # fmt: skip
    return history, [Stretch(line) for line in notes.read_text().splitlines()]


def test_small_trials_share_gpus_once_they_are_measured(bench):
    history, stretches = run(bench, (1.0,) * 6)
    assert [t.state for t in history] == [TrialState.COMPLETED] * 6
    assert all([r["total"] for r in t.reports] == TOTAL for t in history)
    assert {s.device for s in stretches} <= {"0", "1"}, "each sees one"
    assert [s.gpus for s in stretches if s.number in (0, 1)] == [1.0, 1.0, 0.125, 0.125]
    assert {s.gpus for s in stretches if s.number > 2} == {0.125}
    together, part = most_at_once(stretches)
    assert together >= 3
    assert part <= 1
    check_decisions(bench)


def test_what_runs_out_of_its_part_gets_more_and_it_is_no_failure(bench):
    """The first two are small; the third is given as little, and needs the half of a GPU; the last more than there is."""
    history, stretches = run(bench, (1.0, 1.0, 6.0, 1.0, 20.0))
    assert [str(t.state) for t in history] == ["completed"] * 4 + ["out_of_memory"]
    assert [s.gpus for s in stretches if s.number == 2][-1] == 0.5
    assert [s.gpus for s in stretches if s.number == 4][-1] == 1.0
    starved = [body for body in bench.bodies(Ended) if body.starved]
    assert {body.trial for body in starved} == {2, 4}
    assert all("of a GPU was too little; it is tried again with more" in body.reason for body in starved)
    assert all(t.retries == 0 for t in history)
    assert most_at_once(stretches)[1] <= 1
    check_decisions(bench)


def test_an_autoscaler_hears_of_trials_that_wait(bench):
    """As Ray's own autoscaler asks: what is wanted that no node has room for."""
    heard: list[dict[str, float]] = []

    def listen(_: Controller) -> None:
        import ray
        from ray.autoscaler.v2.sdk import get_cluster_status

        while not heard:
            demand = get_cluster_status(ray.get_runtime_context().gcs_address).resource_demands.placement_group_demand
            heard.extend(bundle.bundle for each in demand for bundle in each.bundles_by_count)
            time.sleep(0.1)

    history = bench.run(ray_executor(), exercises.Counts(step_s=0.8), resources=Resources(1, 1.0), workers=3, trials=3, beside=listen)
    assert [t.state for t in history] == [TrialState.COMPLETED] * 3
    assert (heard[0]["CPU"], heard[0]["GPU"]) == (1, 1)
