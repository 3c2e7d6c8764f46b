"""What a sweep has cost, counted by hand."""

from __future__ import annotations

from itertools import count

import pytest

from hpsearch.cost import Cost
from hpsearch.events import Assigned, Begun, Body, Ended, Event, Reported, SweepExtended, SweepOpened, TrialCreated
from hpsearch.trial import TrialKind, TrialState

_C, _P, _W, _X = TrialState.COMPLETED, TrialState.PRUNED, TrialState.WAITING, TrialState.CANCELLED


def created(trial: int) -> TrialCreated:
    return TrialCreated(trial, TrialKind.SEARCH, {}, 0, 10)


def started(trial: int, attempt: int = 1, gpus: float = 0.0) -> list[Body]:
    return [Assigned(trial, attempt, "place", 10, gpus=gpus), Begun(trial, attempt, "w", 0)]


def reported(trial: int, step: int) -> Reported:
    return Reported(trial, 1, step, {"loss": 0.5}, 99.0)


def cost(*moments: tuple[float, Body], **config: object) -> Cost:
    """After what happened at each moment, in seconds."""
    found = Cost.of({"training": {"epochs": 10}, **config})
    seq = count(1)
    found.add(Event(next(seq), round(1_000_000 + 1000 * second), body) for second, body in moments)
    return found


def at(second: float, *bodies: Body) -> list[tuple[float, Body]]:
    return [(second, body) for body in bodies]


def test_epochs_and_what_pruning_saved() -> None:
    """Three epochs of ten, pruned; then ten of ten. What failed saved nothing."""
    pruned = at(1, created(0), *started(0), *(reported(0, step) for step in (1, 2, 3)), Ended(0, 1, _P))
    whole = at(2, created(1), *started(1), *(reported(1, step) for step in range(1, 11)), Ended(1, 1, _C))
    failed = at(3, created(2), *started(2), reported(2, 1), Ended(2, 1, TrialState.FAILED))
    found = cost(*pruned, *whole, *failed)
    assert (found.epochs, found.epochs_saved) == (14, 7)


@pytest.mark.parametrize(
    ("resources", "cpu_s", "gpu_s"),
    [({}, 7.5, 0), ({"cpus": 2, "gpus": 0}, 15, 0), ({"cpus": 4, "gpus": 0.5}, 30, 3.75), ({"cpus": 1, "gpus": "auto"}, 7.5, 2.5 + 2.5)],
)
def test_times_of_devices(resources: dict[str, object], cpu_s: float, gpu_s: float) -> None:
    """2.5 s and 5 s; where the controller chose, a whole GPU and half of one."""
    first = [*at(1, created(0), *started(0, gpus=1.0)), *at(3.5, Ended(0, 1, _C))]
    second = [*at(4, created(1), *started(1, gpus=0.5)), *at(9, Ended(1, 1, _C))]
    found = cost(*first, *second, resources=resources)
    assert (found.busy_s, found.cpu_s, found.gpu_s) == (7.5, cpu_s, gpu_s)


def test_waiting_and_pauses_cost_nothing() -> None:
    """From 1 to 3, and from 10 to 11; it was cancelled long after its second attempt had paused."""
    first = [*at(1, created(0), *started(0)), *at(3, Ended(0, 1, _W))]
    second = [*at(10, *started(0, 2)), *at(11, Ended(0, 2, TrialState.PAUSED))]
    assert cost(*first, *second, *at(50, Ended(0, 2, _X))).busy_s == 3


def test_a_night_between_a_kill_and_a_resume_does_not_count() -> None:
    """Begun at 1, last heard of at 4; the next controller finds it lost at 5000."""
    killed = [*at(0, SweepOpened("a"), created(0)), *at(1, *started(0)), *at(4, reported(0, 1))]
    resumed = at(5000, SweepOpened("b"), Ended(0, 1, _W))
    assert cost(*killed, *resumed).busy_s == 3
    assert cost(*killed, *at(3000, SweepExtended(5)), *resumed).busy_s == 3


def test_cancelled_while_no_controller_ran() -> None:
    killed = [*at(0, SweepOpened("a"), created(0)), *at(1, *started(0)), *at(4, reported(0, 1))]
    assert cost(*killed, *at(5000, Ended(0, 1, _X)), *at(6000, SweepOpened("b"))).busy_s == 3
