from __future__ import annotations

import math

import pytest

from hpsearch.space import Constraint, SpaceError


def test_violations() -> None:
    constraint = Constraint("parameters", min=10, max=200_000)
    assert constraint.violation(200_000) <= 0
    assert constraint.violation(10) <= 0
    assert constraint.violation(200_001) == 1
    assert constraint.violation(7) == 3
    assert constraint.violation(math.nan) == math.inf
    assert constraint.describe(250_000) == "parameters is 250,000, more than max 200,000"
    assert constraint.describe(7) == "parameters is 7, less than min 10"


@pytest.mark.parametrize(
    ("low", "high", "said"), [(None, None, "bounds nothing"), (3, 2, "swap them"), (math.nan, None, "min must be finite")]
)
def test_bounds_that_cannot_be(low: float | None, high: float | None, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        Constraint("parameters", low, high)
