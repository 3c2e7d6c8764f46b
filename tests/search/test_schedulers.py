"""Tables worked by hand, and what a scheduler is never asked."""

from __future__ import annotations

import math

import pytest

from hpsearch.trial import Continue, Objective, SearchState, Start, Stop, TrialKind, TrialState

P = {"x": 0.0, "y": 0.0, "n": 1}


def begin(ledger, until_step: int = 9, kind: TrialKind = TrialKind.SEARCH) -> int:
    number = ledger.start(Start(P, until_step), kind)
    ledger.run(number)
    return number


@pytest.fixture
def five(ledger, loss):
    """Five completed trials whose losses at step 2 are 1, 2, 3, 4 and 5: their median is 3."""
    ours = ledger(loss)
    for at_two in (4.0, 1.0, 5.0, 3.0, 2.0):
        ours.complete(P, 9.0, at_two, 0.5)
    return ours


@pytest.mark.parametrize(("curve", "stops"), [((9.0, 3.0), False), ((9.0, 3.5), True), ((2.5, 8.0), False), ((3.1, 8.0), True)])
def test_median_by_hand(curve, stops, make, five, flat, loss):
    """A trial is stopped when its best value so far is worse than the median of the others at this step."""
    search = make(flat, loss, scheduler="median", scheduler_options={"n_warmup_steps": 2})
    number = begin(five)
    assert five.report(search, number, {"loss": curve[0]}) == Continue(9)
    answer = five.report(search, number, {"loss": curve[1]})
    assert isinstance(answer, Stop) is stops
    if curve == (9.0, 3.5):
        assert answer.reason == "loss 3.5 at step 2 is above the median 3 of 5 trials"
    if curve == (3.1, 8.0):
        assert answer.reason == "loss 3.1 (its best) until step 2 is above the median 3 of 5 trials"


def test_percentile_says_which(make, five, flat, loss):
    search = make(flat, loss, scheduler="percentile", scheduler_options={"percentile": 25, "n_warmup_steps": 2})
    number = begin(five)
    five.report(search, number, {"loss": 9.0})
    assert five.report(search, number, {"loss": 2.5}) == Stop("loss 2.5 at step 2 is above the best 25% 2 of 5 trials")


@pytest.mark.parametrize(("at", "stops"), [("last", True), ("best", False)])
def test_a_rung_compares_what_trials_are_worth(at, stops, make, ledger, flat):
    """The trial's best, 0.9, is the best of all; its value at the rung is the worst."""
    objectives = (Objective("acc", "maximize", at),)
    ours = ledger(objectives)
    search = make(flat, objectives, scheduler="successive_halving", scheduler_options={"min_resource": 3, "reduction_factor": 2})
    for curve in ((0.5, 0.6, 0.7), (0.8, 0.9, 0.1)):
        number = begin(ours)
        answers = [ours.report(search, number, {"acc": value}) for value in curve]
    assert isinstance(answers[-1], Stop) is stops


def test_a_trial_that_counts_at_its_best_stagnates_all_the_same(make, ledger, flat):
    objectives = (Objective("acc", "maximize", "best"),)
    ours = ledger(objectives)
    search = make(flat, objectives, scheduler="patient", scheduler_options={"patience": 2})
    number = begin(ours)
    answers = [ours.report(search, number, {"acc": value}) for value in (0.5, 0.9, 0.8, 0.7, 0.6)]
    assert isinstance(answers[-1], Stop)
    assert answers[-1].reason == "acc 0.6 at step 5: no better for 2 steps"


RUNGS = [
    # value at step 1 -> goes on? with reduction_factor 2 and maximize: the best half of all so far, itself included
    (0.5, True),  # alone: the best of 1
    (0.4, False),  # 1 of 2 goes on: 0.5
    (0.6, True),  # 1 of 3: 0.6
    (0.55, True),  # 2 of 4: 0.6, 0.55
    (0.5, False),  # 2 of 5
    (0.55, True),  # 3 of 6: 0.6, 0.55, 0.55
]


def test_successive_halving_by_hand(make, ledger, acc, flat):
    """Rungs at 1, 2, 4 and 8 epochs; each trial remembers its value at those it reached."""
    search, ours = make(flat, acc, scheduler="successive_halving", scheduler_options={"reduction_factor": 2}), ledger(acc)
    for value, goes_on in RUNGS:
        number = begin(ours)
        answer = ours.report(search, number, {"acc": value})
        assert isinstance(answer, Continue) is goes_on, value
        assert answer.search_state == SearchState(trial={"completed_rung_0": value})
        if not goes_on:
            ours.end(number, TrialState.PRUNED)
    assert "not in the best 1/2 of the 5 trials that reached rung 1" in ours.history.trials[4].stop
    assert ours.report(search, 0, {"acc": 0.7}) == Continue(9, SearchState(trial={"completed_rung_1": 0.7}))
    assert ours.report(search, 0, {"acc": 0.7}) == Continue(9)  # step 3 is no rung
    assert ours.history.trials[0].search_state == {"completed_rung_0": 0.5, "completed_rung_1": 0.7}


def test_threshold_and_patience_say_why(make, ledger, loss, flat):
    ours = ledger(loss)
    search = make(flat, loss, scheduler="threshold", scheduler_options={"upper": 2.0, "lower": -1})
    assert ours.report(search, begin(ours), {"loss": 2.5}) == Stop("loss 2.5 at step 1 is above 2")
    assert ours.report(search, begin(ours), {"loss": -2}) == Stop("loss -2 at step 1 is below -1")
    search, number = make(flat, loss, scheduler="patient", scheduler_options={"patience": 2}), begin(ours)
    answers = [ours.report(search, number, {"loss": value}) for value in (1.0, 0.9, 0.95, 0.95, 0.95)]
    assert answers == [Continue(9)] * 4 + [Stop("loss 0.95 at step 5: no better for 2 steps")]


def test_the_last_step_is_not_judged(make, five, flat, loss):
    search = make(flat, loss, scheduler="median")
    number = begin(five, until_step=2)
    assert isinstance(five.report(search, number, {"loss": 99.0}), Stop)
    assert five.report(search, number, {"loss": 99.0}) == Continue(2)


def test_a_baseline_is_compared_but_not_stopped_and_a_retest_is_neither(make, ledger, acc, flat):
    search, ours = make(flat, acc, scheduler="successive_halving"), ledger(acc)
    ours.report(search, begin(ours), {"acc": 0.9})
    assert ours.report(search, begin(ours, kind=TrialKind.BASELINE), {"acc": 0.1}) == Continue(
        9, SearchState(trial={"completed_rung_0": 0.1})
    )
    assert ours.report(search, begin(ours, kind=TrialKind.RETEST), {"acc": 0.1}) == Continue(9)


@pytest.mark.parametrize("metrics", [{}, {"loss": math.nan}, {"loss": math.inf}])
@pytest.mark.parametrize("scheduler", ["median", "successive_halving", "threshold", "patient", "wilcoxon", "hyperband"])
def test_a_value_that_is_none_is_not_judged(metrics, scheduler, make, five, flat, loss):
    options = {"threshold": {"upper": 0.0}, "patient": {"patience": 0}}.get(scheduler, {})
    search, number = make(flat, loss, scheduler=scheduler, scheduler_options=options), begin(five)
    assert five.report(search, number, metrics) == Continue(9)
    assert five.report(search, number, metrics) == Continue(9)
    assert five.report(search, number, {"loss": 0.1})


def test_without_a_scheduler_the_history_is_not_even_read(make, five, flat, loss, monkeypatch):
    search = make(flat, loss)
    monkeypatch.setattr(search, "_mirror", None)
    assert five.report(search, begin(five), {"loss": 9.0}) == Continue(9)


def test_hyperband_does_not_wait_for_a_first_trial(make, ledger, flat):
    """Optuna's "auto" prunes nothing until a trial has completed; here the length of a full training is known."""
    objectives = (Objective("acc", "maximize"),)
    search, ours = make(flat, objectives, scheduler="hyperband", max_steps=27), ledger(objectives)
    answers = [ours.report(search, begin(ours, 27), {"acc": 1 - i / 40}) for i in range(40)]
    assert any(isinstance(answer, Stop) for answer in answers)
