from __future__ import annotations

import pytest

from hpsearch.trial import Objective
from hpsearch.words import duration, gain, number, share

UP, DOWN = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")


def test_how_numbers_and_times_are_written() -> None:
    assert [number(v) for v in (None, 12480, 0.98149, 1e-5, True)] == ["–", "12,480", "0.9815", "1e-05", "True"]
    assert [duration(s) for s in (0.04, 9.96, 59.6, 192, 7500, 273_600)] == [
        "0.0 s",
        "10.0 s",
        "1 min",
        "3 min 12 s",
        "2 h 5 min",
        "3 d 4 h",
    ]
    assert (share(1, 3), share(1, 0)) == ("33 %", "")


@pytest.mark.parametrize(
    ("objective", "best", "baseline", "text"),
    [
        (UP, 0.9815, 0.963, "better than the baseline's 0.963 by 0.0185 (1.9 %)"),
        (UP, 0.9, 0.96, "worse than the baseline's 0.96 by 0.06 (6.2 %)"),
        (DOWN, 0.5, 1.0, "better than the baseline's 1 by 0.5 (50 %)"),
        (DOWN, 0.5, 0.0, "worse than the baseline's 0 by 0.5"),
        (UP, 0.9, 0.3, "better than the baseline's 0.3 by 0.6 (200 %)"),
        (UP, 0.9, 0.0004, "better than the baseline's 0.0004 by 0.9 (224,900 %)"),
        (UP, 0.5, 0.5, "equal to the baseline's 0.5"),
    ],
)
def test_gain(objective: Objective, best: float, baseline: float, text: str) -> None:
    assert gain(objective, best, baseline) == text
