"""What is read of a sweep, without changing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch import overview
from hpsearch.config import load
from hpsearch.config.home import Home
from hpsearch.errors import InputError
from hpsearch.events import Assigned, Begun, Ended, Reported, SweepClosed, SweepExtended, SweepOpened, TrialCreated
from hpsearch.ledger.memory import MemoryLedger
from hpsearch.trial import TrialKind, TrialState

FILE = """\
name: one
task: {kind: classification, data: iris}
objective: {metric: val_loss, goal: minimize}
space: {learning_rate: {min: 0.1, max: 1.0}}
budget: {trials: 4, time: 10m}
"""


@pytest.fixture
def seen(tmp_path: Path):
    """A function that gives the overview of a sweep after `bodies`, held or not."""
    (tmp_path / "one.yaml").write_text(FILE)
    config = load(tmp_path / "one.yaml")

    def after(*bodies, held: bool = False):
        ledger = MemoryLedger()
        sweep = ledger.create("one", config.to_json(), [])
        lease = ledger.acquire(sweep.id, "controller", "me", 60)
        ledger.commit(lease, bodies)
        if not held:
            ledger.release(lease)
        return overview.overview(ledger, ledger.find("one")), ledger

    return after


@pytest.mark.parametrize(
    ("bodies", "held", "state"),
    [
        ([], True, "running"),
        ([SweepOpened("me")], True, "running"),
        ([SweepOpened("me")], False, "interrupted"),
        ([SweepOpened("me"), SweepClosed("stopped")], False, "stopped"),
        ([SweepOpened("me"), SweepClosed("completed")], False, "completed"),
    ],
)
def test_it_runs_only_while_somebody_holds_it(seen, bodies, held: bool, state: str):
    assert seen(*bodies, held=held)[0].state == state


def test_the_budget_as_extended(seen):
    found, _ = seen(SweepExtended(trials=9))
    assert (found.trials_wanted, found.epochs_wanted, found.seconds_wanted) == (9, None, 600)


def trial(number: int, loss: float, kind: TrialKind = TrialKind.BASELINE, end: TrialState = TrialState.COMPLETED):
    return [
        TrialCreated(number, kind, {}, 0, 1),
        Assigned(number, 1, "p", 1),
        Begun(number, 1, "w", 0),
        Reported(number, 1, 1, {"val_loss": loss}, 0.1),
        Ended(number, 1, end),
    ]


def test_what_is_to_be_beaten_is_the_best_completed_baseline(seen):
    assert seen()[0].history.baseline() is None
    found, _ = seen(
        *trial(0, 0.5), *trial(1, 0.4), *trial(2, 0.1, TrialKind.SEARCH), *trial(3, 0.2, end=TrialState.PRUNED), *trial(4, float("nan"))
    )
    baseline = found.history.baseline()
    assert baseline is not None
    assert baseline.number == 1


def test_attempts(seen):
    found, ledger = seen(
        TrialCreated(0, TrialKind.SEARCH, {}, 0, 3),
        Assigned(0, 1, "worker-1", 3),
        Begun(0, 1, "host:1", 0),
        Ended(0, 1, TrialState.WAITING, "it crashed", retry=True),
        *trial(1, 0.5),
        Assigned(0, 2, "worker-2", 3),
    )
    first, second = overview.attempts_of(ledger, found.sweep, 0)
    assert (first.place, first.worker, first.from_step, first.state, first.reason) == (
        "worker-1",
        "host:1",
        0,
        TrialState.WAITING,
        "it crashed",
    )
    assert first.ended_ms is not None
    assert (second.place, second.worker, second.state, second.ended_ms) == ("worker-2", None, TrialState.RUNNING, None)


def test_a_trial_that_is_cancelled_while_it_is_paused_ran_no_longer_for_it(seen):
    found, ledger = seen(
        TrialCreated(0, TrialKind.SEARCH, {}, 0, 3),
        Assigned(0, 1, "worker-1", 3),
        Begun(0, 1, "host:1", 0),
        Ended(0, 1, TrialState.PAUSED),
        Ended(0, 1, TrialState.CANCELLED, "cancelled on request"),
    )
    (attempt,) = overview.attempts_of(ledger, found.sweep, 0)
    assert attempt.state is TrialState.PAUSED


def test_reading_makes_no_ledger(tmp_path: Path):
    home = Home(tmp_path, f"sqlite:///{tmp_path}/ledger.db", "")
    with pytest.raises(InputError, match="there is no ledger at"), overview.reading(home):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_workers_of_trials_in_training(seen):
    bodies = [SweepOpened("me")]
    for trial in range(3):
        bodies.append(TrialCreated(trial, TrialKind.SEARCH, {"learning_rate": 0.5}, trial, 5))
        bodies.append(Assigned(trial, 1, "worker", 5))
    bodies += [Begun(trial, 1, f"host:{trial}", 0) for trial in range(2)]  # the third has not begun yet
    bodies.append(Ended(0, 1, TrialState.COMPLETED))
    _, ledger = seen(*bodies, held=True)
    assert overview.running_now(ledger) == [overview.RunningNow("one", 1, "host:1")]
    _, ledger = seen(*bodies, held=False)
    assert overview.running_now(ledger) == [], "nobody runs it"


def test_the_best_so_far_is_of_completed_trials_that_compete(seen):
    def trial(number: int, state: TrialState, loss: float, kind: TrialKind = TrialKind.SEARCH):
        yield TrialCreated(number, kind, {}, 0, 1, parent=0 if kind is TrialKind.RETEST else None)
        yield Assigned(number, 1, "here", 1)
        yield Reported(number, 1, 1, {"val_loss": loss}, 0.1)
        yield Ended(number, 1, state)

    found, _ = seen(
        *trial(0, TrialState.PRUNED, 0.1),
        *trial(1, TrialState.COMPLETED, 0.9),
        *trial(2, TrialState.COMPLETED, 0.95),
        *trial(3, TrialState.COMPLETED, 0.7),
        *trial(4, TrialState.COMPLETED, 0.2, TrialKind.RETEST),
    )
    assert str(found.best_so_far()) == "[nan, 0.9, 0.9, 0.7]"
    assert [(place, trial.number, value) for place, trial, value in found.improvements()] == [(2, 1, 0.9), (4, 3, 0.7)]
