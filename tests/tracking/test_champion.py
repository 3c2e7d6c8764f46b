"""The rules of the alias, each worked by hand."""

from __future__ import annotations

import pytest

from hpsearch.tracking.champion import DIGEST, GOAL, METRIC, VALUE, judge


def tags(value: float, metric: str = "val_accuracy", goal: str = "maximize", digest: str = "d" * 32) -> dict[str, str]:
    return {DIGEST: digest, METRIC: metric, GOAL: goal, VALUE: repr(value)}


def test_the_first_version_is_the_champion() -> None:
    verdict = judge(tags(0.1), None, {})
    assert (verdict.is_champion, verdict.why) == (True, "is the champion: there was none")


@pytest.mark.parametrize(
    ("goal", "mine", "theirs", "is_champion"),
    [
        ("maximize", 0.99, 0.98, True),
        ("maximize", 0.98, 0.99, False),
        ("maximize", 0.98, 0.98, False),
        ("minimize", 0.1, 0.2, True),
        ("minimize", 0.2, 0.1, False),
        ("minimize", -2.0, -1.0, True),
    ],
)
def test_the_better_one_is_and_of_equal_ones_the_older(goal: str, mine: float, theirs: float, is_champion: bool) -> None:
    verdict = judge(tags(mine, goal=goal), 4, tags(theirs, goal=goal))
    assert verdict.is_champion is is_champion
    said = "is the champion" if is_champion else "is not the champion"
    assert verdict.why == f"{said}: val_accuracy {mine:.6g} against {theirs:.6g} of version 4"


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (tags(0.1, digest="e" * 32), "version 2 was trained on other data (digest eeeeeeeeeeee, not dddddddddddd)"),
        ({}, "version 2 was trained on other data (nobody knows which)"),
        (tags(0.1, metric="val_f1"), "version 2 has another objective (maximize val_f1)"),
        (tags(0.1, goal="minimize"), "version 2 has another objective (minimize val_accuracy)"),
    ],
)
def test_what_cannot_be_compared_keeps_the_alias_however_bad(theirs: dict[str, str], said: str) -> None:
    verdict = judge(tags(0.99), 2, theirs)
    assert not verdict.is_champion
    assert verdict.why == f"is not the champion: {said}, and cannot be compared with it"
