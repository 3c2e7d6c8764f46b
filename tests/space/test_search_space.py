from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpsearch.space import Categorical, Float, Int, Parameter, SearchSpace, SpaceError

SPACE = SearchSpace(
    {
        "momentum": Float(0.5, 0.9, step=0.1, when={"optimizer": ("sgd",)}),
        "optimizer": Categorical(("adamw", "sgd")),
        "nesterov": Categorical((True, False), when={"momentum": (0.9,)}),
        "layers": Int(1, 3),
    },
    {"activation": "relu"},
)


def test_parents_come_first() -> None:
    assert list(SPACE.parameters) == ["optimizer", "momentum", "nesterov", "layers"]


def test_conditions_nest() -> None:
    assert SPACE.active("momentum", {"optimizer": "sgd"})
    assert not SPACE.active("momentum", {"optimizer": "adamw"})
    assert SPACE.active("nesterov", {"optimizer": "sgd", "momentum": 0.5 + 0.4})
    assert not SPACE.active("nesterov", {"optimizer": "sgd", "momentum": 0.5})
    assert not SPACE.active("nesterov", {"optimizer": "adamw"})
    stale = {"optimizer": "adamw", "momentum": 0.9, "nesterov": True, "layers": 2}
    assert SPACE.complete(stale) == {"optimizer": "adamw", "layers": 2, "activation": "relu"}


def test_several_parents_must_all_agree() -> None:
    space = SearchSpace({"a": Int(0, 1), "b": Categorical(("x", "y", "z")), "c": Categorical((1, 2), when={"a": (1,), "b": ("x", "y")})})
    active = [(a, b) for a in (0, 1) for b in "xyz" if space.active("c", {"a": a, "b": b})]
    assert active == [(1, "x"), (1, "y")]


def test_a_condition_may_be_on_what_is_fixed() -> None:
    parameters = {"momentum": Int(1, 3, when={"optimizer": ("sgd",)})}
    assert SearchSpace(parameters, {"optimizer": "sgd"}).size() == 3
    never = SearchSpace(parameters, {"optimizer": "adamw"})
    assert never.size() == 1
    assert list(never.configurations()) == [{"optimizer": "adamw"}]


@pytest.mark.parametrize(
    ("parameters", "path", "said"),
    [
        ({"a": Int(0, 1, when={"bb": (1,)}), "b": Int(0, 1)}, ("a", "when", "bb"), "unknown parameter 'bb'; did you mean 'b'"),
        ({"a": Int(0, 1, when={"b": (1,)}), "b": Int(0, 1, when={"a": (1,)})}, ("b", "when", "a"), "circle \\(a -> b -> a\\)"),
        ({"a": Int(0, 1, when={"a": (1,)})}, ("a", "when", "a"), "circle \\(a -> a\\)"),
        ({"a": Int(0, 1, when={"b": (7,)}), "b": Int(0, 1)}, ("a", "when", "b"), "never met: b must be from 0 to 1, got 7"),
        ({"a": Int(0, 1, when={"b": (True,)}), "b": Int(0, 1)}, ("a", "when", "b"), "never met"),
        ({"a": Int(0, 1, when={"b": (0.5,)}), "b": Float(0, 1)}, ("a", "when", "b"), "give b a step or values"),
        ({"a.b": Int(0, 1)}, ("a.b",), "rename it"),
        ({f"p{i}": Int(0, 1) for i in range(201)}, (), "201 parameters, more than 200"),
    ],
)
def test_spaces_that_cannot_be(parameters: dict[str, Parameter], path: tuple[str, ...], said: str) -> None:
    with pytest.raises(SpaceError, match=said) as caught:
        SearchSpace(parameters)
    assert caught.value.path == path


def test_fixed_and_varied_at_once() -> None:
    with pytest.raises(SpaceError, match="both fixed and varied"):
        SearchSpace({"a": Int(0, 1)}, {"a": 1})


@pytest.mark.parametrize(
    ("parameters", "path", "said"),
    [
        ({"optimizer": "adamw"}, ("layers",), "missing; give layers a value"),
        ({"optimizer": "adam", "layers": 1}, ("optimizer",), "one of 'adamw', 'sgd', got 'adam'"),
        ({"optimizer": "adamw", "layers": 4}, ("layers",), "from 1 to 3, got 4"),
        ({"optimizer": "adamw", "layers": 1, "momentum": 0.5}, ("momentum",), "only there when optimizer is 'sgd'; leave it out"),
        ({"optimizer": "sgd", "layers": 1, "momentum": 0.55}, ("momentum",), "multiple of step 0.1"),
        ({"optimizer": "sgd", "layers": 1}, ("momentum",), "missing"),
        ({"optimizer": "adamw", "layers": 1, "activation": "tanh"}, ("activation",), "is fixed to 'relu'"),
        ({"optimiser": "adamw", "layers": 1}, ("optimiser",), "did you mean 'optimizer'"),
    ],
)
def test_configurations_that_are_not_of_the_space(parameters: dict[str, Any], path: tuple[str, ...], said: str) -> None:
    with pytest.raises(SpaceError, match=said) as caught:
        SPACE.check(parameters)
    assert caught.value.path == path


def test_configurations_that_are() -> None:
    SPACE.check({"optimizer": "adamw", "layers": 1, "activation": "relu"})
    SPACE.check({"optimizer": "sgd", "layers": 3.0, "momentum": 0.7})
    for configuration in SPACE.configurations():
        SPACE.check(configuration)
        assert SPACE.complete(configuration) == configuration


def test_a_real_number_makes_a_space_infinite_only_where_it_counts() -> None:
    real = {"a": Categorical(("x", "y")), "b": Float(0, 1, when={"a": ("y",)})}
    assert SearchSpace(real).size() is None
    assert SearchSpace({"b": real["b"]}, {"a": "x"}).size() == 1


def test_large_spaces_are_counted_at_once() -> None:
    flags: dict[str, Parameter] = {f"use_{i}": Categorical((True, False)) for i in range(60)}
    widths = {f"width_{i}": Int(1, 3, when={f"use_{i}": (True,), "kind": ("a",)}) for i in range(60)}
    space = SearchSpace({"kind": Categorical(("a", "b")), **flags, **widths})
    assert space.size() == 4**60 + 2**60


def test_entangled_conditions_do_not_hang() -> None:
    flags: dict[str, Parameter] = {f"a{i}": Categorical((True, False)) for i in range(60)}
    pairs = {f"b{i}": Int(1, 2, when={f"a{i}": (True,), f"a{(i * 17 + 29) % 60}": (True,)}) for i in range(60)}
    size = SearchSpace(flags | pairs).size()
    assert size is not None
    assert size > 10_000


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    parameters: dict[str, Parameter] = {}
    for name in "abcde"[: draw(st.integers(1, 5))]:
        parents = draw(st.lists(st.sampled_from(sorted(parameters)), unique=True, max_size=2)) if parameters else []
        when = {p: tuple(draw(st.lists(st.sampled_from([1, 2, 3]), min_size=1, unique=True))) for p in parents}
        kind = draw(st.sampled_from(["int", "categorical", "float"]))
        if kind == "int":
            parameters[name] = Int(1, 3, when=when)
        else:
            parameters[name] = Categorical((1, 2, 3), when=when) if kind == "categorical" else Float(1, 3, step=1, when=when)
    return SearchSpace({name: parameters[name] for name in draw(st.permutations(sorted(parameters)))}, {"z": 0})


@pytest.mark.slow
@settings(deadline=None)
@given(spaces())
def test_counting_and_listing_against_brute_force(space: SearchSpace) -> None:
    """Every combination of values and absence that `check` lets through."""
    names = list(space.parameters)
    expected = []
    for values in itertools.product([None, 1, 2, 3], repeat=len(names)):
        configuration = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        if _fits(space, configuration):
            expected.append([*sorted(configuration.items()), ("z", 0)])
    listed = [sorted(configuration.items()) for configuration in space.configurations()]
    assert space.size() == len(listed) == len(expected)
    assert sorted(listed) == sorted(expected)


def _fits(space: SearchSpace, configuration: dict[str, Any]) -> bool:
    """By the definition: a parameter is there if and only if each of its parents is there with one of the values."""
    return all(
        (name in configuration) == all(configuration.get(parent) in values for parent, values in parameter.when.items())
        for name, parameter in space.parameters.items()
    )
