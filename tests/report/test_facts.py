"""The clock, and which trials are shown."""

from __future__ import annotations

import pytest
import sweeps

from hpsearch.events import Assigned, Begun, Ended, SweepClosed, SweepExtended, SweepOpened
from hpsearch.trial import TrialState


def test_the_clock_stands_while_nobody_runs_the_sweep(after) -> None:
    """Opened at 0 s; closed at 2 s; extended at 3 s, opened again at 4 s and closed at 5 s: three seconds of running."""
    created = sweeps.trial(0, 0.5)[0]
    facts = after(SweepOpened("a"), created, SweepClosed("stopped"), SweepExtended(trials=9), SweepOpened("b"), SweepClosed("stopped"))
    begun = facts.seen.sweep.created_ms
    assert [facts.clock(begun + s * 1000) for s in (0, 1, 2, 3, 4, 5, 9)] == [0, 1, 2, 2, 2, 3, 3]
    assert (facts.clock.total_s, facts.clock.breaks_s) == (3, [2])


def test_it_agrees_with_the_history(sixty) -> None:
    assert sixty.clock.total_s == sixty.seen.history.active_ms / 1000 == 30


def test_time_of_training_counts_every_attempt(after) -> None:
    """Begun at 2 s, lost at 3 s; begun again at 5 s, ended at 6 s: two seconds of training."""
    created, assigned, begun, *_ = sweeps.trial(0, 0.5)
    again = [Assigned(0, 2, "worker-2", 20), Begun(0, 2, "host:2", 0), Ended(0, 2, TrialState.FAILED, "no")]
    facts = after(created, assigned, begun, Ended(0, 1, TrialState.WAITING, "lost", retry=True), *again)
    assert [(a.number, a.place, a.state) for a in facts.attempts[0]] == [(1, "worker-1", "waiting"), (2, "worker-2", "failed")]
    assert facts.cost.busy_s == 2


def test_what_pruning_saved(after) -> None:
    """Twenty epochs each, of which one trained three and one five: 17 + 15 saved."""
    pruned = [*sweeps.trial(0, 0.1, 0.2, 0.3, end=TrialState.PRUNED), *sweeps.trial(1, *[0.1] * 5, end=TrialState.PRUNED)]
    facts = after(*pruned, *sweeps.trial(2, *[0.5] * 20))
    assert (facts.cost.epochs_saved, facts.cost.epochs) == (32, 28)


def test_only_trials_that_were_asked_for_are_shown(sixty) -> None:
    """The best of all is not among those that cannot be drawn: a trial without momentum has no place on its axis."""
    without_best = [t for t in sixty.rated if t.number != sixty.best[0].number]
    assert {t.number for t in sixty.some(without_best, 12)} <= {t.number for t in without_best}


@pytest.mark.parametrize("most", [1, 7, 30, 60, 100])
def test_of_many_trials_the_best_are_shown(sixty, most: int) -> None:
    shown = sixty.some(sixty.rated, most)
    assert len(shown) == len({t.number for t in shown}) == min(most, len(sixty.rated))
    assert [t.number for t in shown] == sorted(t.number for t in shown)
    ranked = sorted(sixty.rated, key=lambda t: -t.reports[-1]["val_accuracy"])
    assert {t.number for t in ranked[: most // 3]} <= {t.number for t in shown}
