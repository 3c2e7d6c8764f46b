from __future__ import annotations

import importlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.ledger.face import Sweep
from hpsearch.tracking import keys, quiet


@pytest.fixture(scope="module")
def validation() -> Any:
    quiet.import_mlflow()
    return importlib.import_module("mlflow.utils.validation")


@pytest.mark.slow
@given(name=st.text(max_size=300))
def test_mlflow_takes_every_fitting_name(validation: Any, name: str) -> None:
    fitting = keys.fitting_name(name)
    validation._validate_metric_name(fitting)
    validation._validate_param_name(fitting)
    assert len(fitting) <= keys.MAX_NAME


@given(st.from_regex(r"[a-z_]+(/[a-z0-9_.]*[a-z0-9_])*", fullmatch=True).filter(lambda name: len(name) <= keys.MAX_NAME))
@pytest.mark.slow
def test_a_good_name_stays(name: str) -> None:
    assert keys.fitting_name(name) == name


def test_names_that_differ_stay_different() -> None:
    names = ["f1@5", "f1%5", "f1_5", "../f1_5", "f1_5/"]
    assert len({keys.fitting_name(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("value", "text"),
    [("relu", "relu"), (0.001, "0.001"), (1e-5, "1e-05"), (64, "64"), (True, "true"), (None, "null"), ([64, 32], "[64, 32]")],
)
def test_parameters_as_text(value: object, text: str) -> None:
    assert keys.param(value) == text


def test_what_is_cut_says_so() -> None:
    assert keys.cut("abc", 3) == "abc"
    assert keys.cut("abcd", 3) == "ab…"


def test_a_key_needs_no_quoting() -> None:
    sweep = Sweep(1, 'it\'s `odd` "here"/ü', {}, "created", None, 12, None, {}, 0)
    assert keys.trial_key(keys.sweep_key(sweep), 7) == "it_s__odd___here__ü@12/7"
