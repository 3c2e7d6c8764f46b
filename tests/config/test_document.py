from __future__ import annotations

import contextlib
import io
import json
import time

import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hpsearch.config.document import parse
from hpsearch.errors import ConfigError
from hpsearch.trial import Json


def read(text: str) -> Json:
    return parse(text, where).data


def where(line: int | None) -> str:
    return "f.yaml" if line is None else f"f.yaml, line {line}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("1.0e-5", 1e-5),
        (".5", 0.5),
        ("-1.", -1.0),
        ("012", 12),
        ("0o14", 12),
        ("0xC", 12),
        ("+3", 3),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("2024-01-01", "2024-01-01"),
        ("-", [None]),
        ("e5", "e5"),
        (".", "."),
        ("+", "+"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: Json) -> None:
    read_value = read(f"a:\n  {text}" if text == "-" else f"a: {text}")["a"]
    assert read_value == value
    assert type(read_value) is type(value)


plain = st.text(st.sampled_from("abz019 .:#-'\"{}[],&*!|>%@`\\/é漢~"), max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(plain, inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.slow
@settings(deadline=None)
@given(json_values)
def test_json_is_read_as_json_reads_it(value: Json) -> None:
    assert read(json.dumps({"a": value}, ensure_ascii=False)) == {"a": value}


@pytest.mark.slow
@settings(deadline=None)
@given(json_values)
def test_what_a_yaml_library_writes_is_read_back(value: Json) -> None:
    written = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.dump({"a": value}, written)
    try:
        assume(yaml.load(written.getvalue()) == {"a": value})
    except YAMLError:
        reject()  # it cannot read itself
    assert read(written.getvalue()) == {"a": value}


def test_every_key_has_its_line() -> None:
    document = parse("a: 1\n\nb: # here\n  c: [1,\n    2]\n  d:\n  - e: 1\n", where)
    assert document.lines == {
        ("a",): 1, ("b",): 3, ("b", "c"): 4, ("b", "c", 0): 4, ("b", "c", 1): 5, ("b", "d"): 6, ("b", "d", 0): 7, ("b", "d", 0, "e"): 7,
    }  # fmt: skip


def test_aliases_stand_for_their_value_at_their_own_line() -> None:
    document = parse("a: &x {k: [1]}\nb: *x\n", where)
    assert document.data == {"a": {"k": [1]}, "b": {"k": [1]}}
    assert document.lines[("b",)] == 2
    assert document.lines[("b", "k", 0)] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml, line 3: a: duplicate key, first on line 1; remove one of the two"),
        ("a:\n  b: {c: 1, c: 2}", "f.yaml, line 2: a.b.c: duplicate key, first on line 2"),
        ("a: !!python/object/apply:os.system [ls]", "f.yaml, line 1: a: has the YAML tag !!python/object/apply:os.system"),
        ("a: !!str 3", "tags are not allowed"),
        ("a: ! 3", "tags are not allowed"),
        ("!!map {a: 1}", "tags are not allowed"),
        ("!x a: 1", "no plain string"),
        ("a: &x [*x]", "a.0: has the alias *x"),
        ("a: *x", "f.yaml, line 1: a: has the alias *x"),
        ("a: .nan", "a: must be finite, got .nan"),
        ("a: [-.inf]", "a.0: must be finite, got -.inf"),
        ("a: 1e999", "a: must be finite, got 1e999"),
        ("a: " + "9" * 5000, "a: is a number of 5000 characters"),
        ("1: a", 'has the key 1, which is no string; keys are names (quoted: "1")'),
        ("null: a", "which is no string"),
        ("? [a, b]\n: c", "no plain string"),
        ("<<: {a: 1}", "merge key"),
        ("a: 1\n---\nb: 2", "f.yaml, line 2: has a second document"),
        ("", "f.yaml: is empty"),
        ("# nothing\n---\n", None),
        ("# nothing\n", "f.yaml: is empty"),
        ("a: [1, 2", "f.yaml, line 1: not valid YAML"),
        ("a: 1\n\tb: 2", "f.yaml, line 2: not valid YAML"),
        ("a: b: c", "f.yaml, line 1: not valid YAML: mapping values are not allowed here"),
        ("a: \x00", "f.yaml, line 1: not valid YAML"),
        ("a: " + "[" * 50_000, "nested more than 20 deep"),
        ("a: " + "{b: " * 50_000, "nested more than 20 deep"),
        ("a: [" + "1," * 20_000 + "1]", "more than 10,000 values"),
        ("a: &x [1]\nb: [" + "*x," * 200 + "*x]", "one of more than 100"),
    ],
)
def test_what_is_refused(text: str, said: str | None) -> None:
    if said is None:
        assert read(text) is None
        return
    began = time.monotonic()
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert said in str(caught.value)
    assert time.monotonic() - began < 5


def test_a_bomb_does_not_go_off() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(ConfigError, match="more than 10,000 values"):
        read("\n".join(lines))


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab: -[]{},&*!#'\"\n\t|>?%@0.e\\~<"), max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        json.dumps(read(text), allow_nan=False)
