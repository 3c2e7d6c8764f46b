"""Findings on curves that are worked by hand, and their absence on healthy ones."""

from __future__ import annotations

import math

import pytest

from hpsearch.diagnosis import Finding, diagnose
from hpsearch.trial import TrialState

COMPLETED, PRUNED, RUNNING, DIVERGED = TrialState.COMPLETED, TrialState.PRUNED, TrialState.RUNNING, TrialState.DIVERGED


def reports(**curves):
    """Of curves of one length, by metric."""
    return [dict(zip(curves, values, strict=True)) for values in zip(*curves.values(), strict=True)]


def names(made, state=COMPLETED):
    return [finding.name for finding in diagnose(made, state)]


LEARNED = [1 / step for step in range(1, 21)]
"""What loss curves of trainings that came to their end look like."""
SLOW = [2.3 - 0.05 * step for step in range(20)]
FLAT = [2.303 - 0.0001 * step for step in range(20)]
TURNED = [1.0, 0.7, 0.5, 0.4, 0.36, 0.34, 0.33, 0.34, 0.36, 0.38, 0.4, 0.42, 0.44, 0.46, 0.48, 0.5, 0.52, 0.54, 0.56, 0.58]
"""At its lowest at step 7; the medians of three about the end are 0.56."""


@pytest.mark.parametrize("state", list(TrialState))
def test_a_healthy_trial_has_none_however_it_ended(state):
    healthy = reports(train_loss=LEARNED, val_loss=[loss + 0.1 for loss in LEARNED])
    assert names(healthy, state) == (["divergence"] if state is DIVERGED else [])


def test_overfitting_says_where_validation_turned_and_what_both_did():
    (found,) = diagnose(reports(train_loss=LEARNED, val_loss=TURNED), COMPLETED)
    assert found == Finding(
        "overfitting",
        "val_loss rose from about 0.34 at step 7 to 0.56 at step 20, while train_loss went on falling from 0.1429 to 0.05263",
    )


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        (LEARNED, [0.3 + 0.02 * (step % 2) for step in range(20)]),
        (LEARNED, [*TURNED[:7], *([0.34] * 13)]),
        (LEARNED, [*TURNED[:7], *([0.34] * 10), 0.6, 0.6, 0.6]),
        (LEARNED, [*TURNED[:7], 0.9, *([0.33] * 12)]),
        ([0.2] * 7 + [0.2 + 0.01 * step for step in range(13)], TURNED),
        (LEARNED, [0.5 + (0.4 if step % 3 == 0 else -0.05 if step == 2 else 0.0) for step in range(20)]),
    ],
    ids=["noise", "plateau", "too-late-to-tell", "one-bad-step", "training-rises-too", "rise-within-noise"],
)
def test_what_is_no_overfitting(train, validation):
    assert "overfitting" not in names(reports(train_loss=train, val_loss=validation))


def test_losses_below_zero_overfit_alike():
    shifted = reports(train_loss=[loss - 4 for loss in LEARNED], val_loss=[loss - 0.34 - 1 for loss in TURNED])
    assert names(shifted) == []  # training falls by 2 % of its size: hardly
    shifted = reports(train_loss=[10 * (loss - 0.5) for loss in LEARNED], val_loss=[loss - 1.34 for loss in TURNED])
    assert names(shifted) == ["overfitting"]


def test_training_cut_short_by_its_end_is_underfitting():
    """2.3 - 0.05 a step: the medians about the ends of the last five steps are at 1.6 (step 15) and 1.4 (19, for 20)."""
    (found,) = diagnose(reports(train_loss=SLOW, val_loss=SLOW), COMPLETED)
    assert found == Finding(
        "underfitting",
        "train_loss was still falling when training ended: from about 1.6 at step 15 to 1.4 at step 20, of 2.3 at step 1",
    )


def test_train_loss_alone_is_enough_and_no_loss_says_nothing():
    assert names(reports(train_loss=SLOW)) == ["underfitting"]
    assert names(reports(val_loss=SLOW)) == []
    assert names(reports(accuracy=SLOW)) == []
    assert names([]) == []


@pytest.mark.parametrize("state", [RUNNING, TrialState.PAUSED, PRUNED, TrialState.CANCELLED, TrialState.FAILED])
def test_who_was_ended_early_is_not_blamed_for_it(state):
    assert names(reports(train_loss=SLOW), state) == []


def test_validation_that_has_stopped_falling_is_no_underfitting():
    assert names(reports(train_loss=SLOW, val_loss=[*LEARNED[:10], *([0.1] * 10)])) == []


@pytest.mark.parametrize(("state", "expected"), [(COMPLETED, ["underfitting"]), (PRUNED, ["underfitting"]), (RUNNING, [])])
def test_a_loss_that_never_came_down_is_underfitting_unless_it_still_may(state, expected):
    made = reports(train_loss=FLAT, val_loss=FLAT)
    assert names(made, state) == expected
    if expected:
        assert diagnose(made, state)[0].reason == "train_loss never came down: 2.303 at step 1, about 2.301 at best"


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_few_steps_have_no_shape(steps):
    made = reports(train_loss=SLOW, val_loss=TURNED)[:steps]
    assert names(made) == []


def test_divergence_names_the_loss_and_the_step():
    made = reports(accuracy=[0.5, math.nan], train_loss=[2.3, 8.25], val_loss=[2.4, math.nan])
    assert diagnose(made, DIVERGED, "whatever") == [Finding("divergence", "val_loss is nan at step 2, after 2.4 at step 1")]
    assert diagnose(made[1:], DIVERGED) == [Finding("divergence", "val_loss is nan at step 1")]
    assert diagnose([], DIVERGED, "loss is inf at step 1") == [Finding("divergence", "loss is inf at step 1")]


def test_a_loss_that_runs_away_is_divergence_before_it_is_infinite():
    rising = [1.0 * 1.2**step for step in range(10)]
    assert names(reports(train_loss=rising, val_loss=rising)) == ["divergence"]
    assert "from 1 at step 1 to about 4.3 in the end" in diagnose(reports(train_loss=rising), COMPLETED)[0].reason
    assert names(reports(train_loss=rising, val_loss=LEARNED[:10])) == []


def test_a_step_without_the_metric_makes_no_curve():
    made = reports(train_loss=SLOW)
    assert names([*made[:3], {}, *made[3:]]) == []


def gradients(pairs, norm=1.0, **more):
    """Reports of (smallest, largest) by layer."""
    return [{"gradient_norm": norm, "gradient_norm_smallest": low, "gradient_norm_largest": high, **more} for low, high in pairs]


def test_vanishing_gradients_are_told_from_the_median_of_all_steps():
    made = gradients([(1e-3, 1.0), (4e-6, 2.0), (3e-6, 1.0), (1e-6, 0.5), (0.5, 1.0)])  # ratios 1e-3, 2e-6, 3e-6, 2e-6, 0.5
    assert diagnose(made, COMPLETED) == [
        Finding(
            "vanishing_gradients",
            "the layer with the smallest gradient had 3e-06 of the largest one's (median of 5 steps; in the last 0.5 beside 1)",
        )
    ]
    assert names(made, RUNNING) == ["vanishing_gradients"]
    assert names(made[:4]) == []


@pytest.mark.parametrize("pair", [(0.002, 1.0), (0.0, 0.0), (math.nan, math.nan), (1.0, math.inf), (math.nan, 1.0)])
def test_what_is_no_vanishing_gradient(pair):
    assert names(gradients([pair] * 8)) == []


def test_a_gradient_explodes_beyond_what_the_loss_accounts_for():
    learned = (4.0, 1.0, 1.0, 1.0, 1.0)
    made = [report | {"train_loss": loss} for report, loss in zip(gradients([(0.1, 1.0)] * 5), learned, strict=True)]
    made[-1]["gradient_norm"] = 301.0
    assert diagnose(made, COMPLETED) == [Finding("exploding_gradients", "gradient_norm was 301 at step 5; the median of all steps is 1")]
    assert names([report | {"train_loss": 0.01 * report["train_loss"]} for report in made]) == ["exploding_gradients"]
    assert names([report | {"train_loss": 2 * report["train_loss"]} for report in made]) == []
    assert names([report | {"gradient_norm": math.nan} for report in made]) == []
    assert names([report | {"gradient_norm": math.inf} for report in made]) == ["exploding_gradients"]


@pytest.mark.parametrize(
    ("shares", "expected"), [([0.9, 0.4, 0.5, 0.6], ["dead_units"]), ([0.6, 0.6, 0.4, 0.4], []), ([0.5], ["dead_units"]), ([math.nan], [])]
)
def test_dead_units_count_as_they_are_in_the_end(shares, expected):
    made = reports(dead_units=shares)
    assert names(made) == expected
    if len(shares) == 4 and expected:
        assert diagnose(made, COMPLETED)[0].reason.startswith("50 % of the hidden units")
