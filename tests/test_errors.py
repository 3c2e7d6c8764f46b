from __future__ import annotations

import pytest

from hpsearch.errors import unknown

METRICS = ["train_loss", "val_accuracy", "val_auroc", "val_loss"]


@pytest.mark.parametrize(
    ("typed", "meant"), [("val_acuracy", "val_accuracy"), ("val_acc", "val_accuracy"), ("vall_loss", "val_loss"), ("VAL_LOSS", "val_loss")]
)
def test_the_nearest_name_is_offered(typed, meant):
    assert f"did you mean {meant!r}?" in unknown("metric", typed, METRICS)


@pytest.mark.parametrize("typed", ["", "zebra", None, 7])
def test_what_is_near_to_nothing_gets_the_list_alone(typed):
    assert unknown("metric", typed, METRICS) == f"unknown metric {typed!r}. Known: train_loss, val_accuracy, val_auroc, val_loss"


def test_an_empty_list_is_said_to_be_one():
    assert unknown("array", "x", []) == "unknown array 'x'. Known: none at all"
