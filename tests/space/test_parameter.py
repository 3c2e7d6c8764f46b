from __future__ import annotations

import math
from typing import Any

import pytest

from hpsearch.space import Categorical, Float, Int, SpaceError


@pytest.mark.parametrize(
    ("kind", "arguments", "said"),
    [
        (Float, {"min": 0, "max": 0.1, "log": True}, "min must be > 0 with log: true, got 0; use a small positive value such as 1e-6"),
        (Float, {"min": 1, "max": 0}, "min must be less than max, got min 1 and max 0; swap them"),
        (Float, {"min": 0.5, "max": 0.5}, "both 0.5"),
        (Float, {"min": math.nan, "max": 1}, "min must be finite"),
        (Float, {"min": 0, "max": math.inf}, "max must be finite"),
        (Float, {"min": -1e308, "max": 1e308}, "too large"),
        (Float, {"min": 0, "max": 10**400}, "max must be at most"),
        (Float, {"min": True, "max": 2}, "min must be a number, got true"),
        (Float, {"min": "0", "max": 2}, "min must be a number, got '0'"),
        (Float, {"min": 0, "max": 1, "step": 0}, "step must be > 0, got 0"),
        (Float, {"min": 0, "max": 1, "step": 2}, "step 2 is more than the range"),
        (Float, {"min": 0, "max": 1, "step": 0.3}, "use max 0.9 or 1.2"),
        (Float, {"min": 1, "max": 2, "step": 0.1, "log": True}, "do not go together"),
        (Float, {"min": 0, "max": 1, "step": 1e-9}, "too fine"),
        (Float, {"min": 0, "max": 1, "log": "yes"}, "log must be true or false, got 'yes'"),
        (Int, {"min": 0, "max": 4, "log": True}, "min must be > 0 with log: true, got 0; use 1 or more"),
        (Int, {"min": 4, "max": 1}, "swap them"),
        (Int, {"min": 1, "max": 2.0}, "max must be an integer, got 2.0"),
        (Int, {"min": 1, "max": 6, "step": 2}, "use max 5 or 7"),
        (Int, {"min": 1, "max": 2**60}, "at most 2\\*\\*53"),
        (Int, {"min": 1, "max": 9, "step": 2, "log": True}, "do not go together"),
        (Categorical, {"values": ()}, "must not be empty"),
        (Categorical, {"values": tuple(range(1001))}, "1001 items, more than 1000"),
        (Categorical, {"values": "adam"}, "values must be a list, got 'adam'"),
        (Categorical, {"values": (1, True)}, "1 and true, which count as the same"),
        (Categorical, {"values": (1, 1.0)}, "count as the same"),
        (Categorical, {"values": ([1], [1.0])}, "count as the same"),
        (Categorical, {"values": ({"a": 1},)}, "each of values must be a number, a string"),
        (Categorical, {"values": (math.inf,)}, "each of values must be finite"),
        (Categorical, {"values": (1, 2), "when": "sgd"}, "for example when: {optimizer: sgd}"),
        (Categorical, {"values": (1, 2), "when": {"optimizer": []}}, "one of no values"),
    ],
)
def test_what_cannot_be_searched_cannot_exist(kind: type, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        kind(**arguments)


def test_values_have_one_form() -> None:
    assert repr(Float(0, 1, step=0.1).normal(0.1 + 0.2)) == "0.3"
    assert repr(Float(0, 2).normal(1)) == "1.0"
    assert repr(Int(0, 9).normal(3.0)) == "3"
    assert Categorical(((64, 32), "a")).normal((64, 32)) == [64, 32]
    assert list(Float(0.1, 0.5, step=0.1).values_in_order()) == [0.1, 0.2, 0.3, 0.4, 0.5]


@pytest.mark.parametrize(
    ("parameter", "value", "said"),
    [
        (Float(0, 1), 1.5, "must be from 0.0 to 1.0, got 1.5"),
        (Float(0, 1), math.nan, "must be finite"),
        (Float(0, 1), True, "must be a number from"),
        (Float(0, 1), "0.5", "must be a number from"),
        (Float(0, 1, step=0.25), 0.3, "the nearest is 0.25"),
        (Int(0, 10, step=5), 4, "the nearest is 5"),
        (Int(0, 10), 4.5, "must be an integer, got 4.5"),
        (Categorical((1, 2)), True, "must be one of 1, 2, got true"),
        (Categorical((True, False)), 1, "must be one of true, false, got 1"),
        (Categorical((None, "none")), "null", "must be one of null, 'none', got 'null'"),
    ],
)
def test_values_that_a_parameter_has_not(parameter: Float | Int | Categorical, value: object, said: str) -> None:
    with pytest.raises(SpaceError, match=said):
        parameter.normal(value)


def test_when_takes_one_value_or_several() -> None:
    assert Float(0, 1, when={"a": "x", "b": [1, 2]}).when == {"a": ("x",), "b": (1, 2)}  # type: ignore[dict-item]
