"""Against Optuna itself: what it is told comes back, and what it suggests is ours."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.space import Categorical, Float, Int, Parameter
from hpsearch.space.distributions import decode, encode, from_optuna, to_optuna

bounds = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False)
scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
choices = scalars | st.sampled_from(["json:", 'json:"a"', "json:[1]"]) | st.lists(scalars, max_size=3)
conditions = st.dictionaries(st.sampled_from(["a", "b"]), st.lists(scalars, min_size=1, max_size=3).map(tuple), max_size=2)


@st.composite
def floats(draw: st.DrawFn) -> Float:
    low, high = sorted(draw(st.lists(bounds, min_size=2, max_size=2, unique=True)))
    return Float(low, high, when=draw(conditions))


@st.composite
def log_floats(draw: st.DrawFn) -> Float:
    low, high = sorted(draw(st.lists(st.floats(1e-12, 1e12), min_size=2, max_size=2, unique=True)))
    return Float(low, high, log=True)


@st.composite
def stepped_floats(draw: st.DrawFn) -> Float:
    step = Decimal(draw(st.integers(1, 500))).scaleb(-draw(st.integers(0, 3)))
    low = Decimal(draw(st.integers(-500, 500))).scaleb(-draw(st.integers(0, 3)))
    return Float(float(low), float(low + draw(st.integers(1, 200)) * step), step=float(step))


@st.composite
def ints(draw: st.DrawFn) -> Int:
    if draw(st.booleans()):
        low = draw(st.integers(1, 1000))
        return Int(low, low + draw(st.integers(1, 10**6)), log=True, when=draw(conditions))
    low, step = draw(st.integers(-(10**9), 10**9)), draw(st.integers(1, 1000))
    return Int(low, low + step * draw(st.integers(1, 1000)), step=step, when=draw(conditions))


@st.composite
def categoricals(draw: st.DrawFn) -> Categorical:
    values: list[Any] = []
    for value in draw(st.lists(choices, min_size=1, max_size=6)):
        try:
            Categorical((*values, value))
        except ValueError:
            continue
        values.append(value)
    return Categorical(tuple(values or ["a"]), when=draw(conditions))


parameters = st.one_of(floats(), log_floats(), stepped_floats(), ints(), categoricals())


@given(parameters)
def test_there_and_back_without_loss(parameter: Parameter) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna warns of what it has to change
        distribution = to_optuna(parameter)
    back = from_optuna(distribution, parameter.when)
    assert back == parameter
    assert repr(back) == repr(parameter)  # 1 and true are equal, and not the same
    stored = optuna.distributions.json_to_distribution(optuna.distributions.distribution_to_json(distribution))
    assert repr(from_optuna(stored, parameter.when)) == repr(parameter)


@settings(max_examples=50, deadline=None)
@given(parameters, st.integers(0, 1000))
def test_what_optuna_suggests_is_a_value_of_ours(parameter: Parameter, seed: int) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    distribution = to_optuna(parameter)
    suggested = study.ask({"x": distribution}).params["x"]
    value = decode(parameter, suggested)
    assert repr(parameter.normal(value)) == repr(value)
    assert distribution._contains(distribution.to_internal_repr(encode(parameter, value)))


@given(categoricals())
def test_every_choice_is_told_apart(parameter: Categorical) -> None:
    told = [encode(parameter, value) for value in parameter.values]
    assert all(choice is None or isinstance(choice, bool | int | float | str) for choice in told)
    assert len(set(map(repr, told))) == len(told)
    assert repr([decode(parameter, choice) for choice in told]) == repr(list(parameter.values))


@given(stepped_floats())
def test_steps_are_counted_as_decimals(parameter: Float) -> None:
    assert parameter.step is not None
    low, high, step = (Decimal(str(x)) for x in (parameter.min, parameter.max, parameter.step))
    values = list(parameter.values_in_order())
    assert len(values) == parameter.size == (high - low) / step + 1
    assert values[0] == parameter.min
    assert values[-1] == parameter.max
    assert all(parameter.normal(value) == value for value in values)


def test_what_optuna_overshoots_is_brought_back() -> None:
    assert decode(Float(1e-5, 0.1, log=True), 9.999999999999999e-06) == 1e-5


def test_a_distribution_of_one_value_is_no_parameter() -> None:
    with pytest.raises(ValueError, match="both"):
        from_optuna(optuna.distributions.FloatDistribution(1, 1))
