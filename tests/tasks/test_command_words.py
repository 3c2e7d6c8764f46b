"""Words of a command, against what a person would write by hand."""

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import InputError
from hpsearch.tasks.command_words import Told, check_variables, check_words, fill, placeholders, split_words, variable

RUN = split_words(["python train.py --lr {lr} --momentum={momentum} --name 'two words' {{plain}}"])


def test_words_are_those_of_a_shell_and_a_list_is_left_as_it_is():
    assert RUN == ("python", "train.py", "--lr", "{lr}", "--momentum={momentum}", "--name", "two words", "{{plain}}")
    assert split_words(["a b", "c"]) == ("a b", "c")


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_any_words_survive_quotation(words):
    assert list(split_words([shlex.join(words)])) == words


def test_a_word_whose_hyperparameter_is_not_there_is_left_out():
    values = {"lr": 1e-05, "momentum": 0.9}
    assert fill(RUN, values)[3:5] == ["1e-05", "--momentum=0.9"]
    assert fill(RUN, {"lr": 0.1}) == ["python", "train.py", "--lr", "0.1", "--name", "two words", "{plain}"]


def test_values_are_written_as_json_but_strings_as_they_are():
    words = ["{a}", "{b}", "{c}", "{d}", "{e}"]
    assert fill(words, {"a": True, "b": None, "c": [1, 2], "d": "it's {x}; $(ls)", "e": 3}) == [
        "true",
        "null",
        "[1, 2]",
        "it's {x}; $(ls)",
        "3",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{lrr}"], "unknown placeholder 'lrr'; did you mean 'lr'?"),
        (["x", "{lr"], "expected '}'"),
        (["x", "lr}"], "Single '}'"),
        (["x", "{}"], "a placeholder is a hyperparameter's name alone"),
        (["x", "{lr:.2f}"], "a placeholder is a hyperparameter's name alone"),
        (["x", "{lr!r}"], "a placeholder is a hyperparameter's name alone"),
        (["x", "{lr.real}"], "unknown placeholder 'lr.real'"),
        (["x", "--momentum", "{momentum}"], "write --momentum={momentum} as one word"),
        (["{momentum}", "x"], "is not in every configuration; name a program that always is"),
    ],
)
def test_what_cannot_be_filled_is_refused(words, said):
    with pytest.raises(InputError) as error:
        check_words(words, ["lr", "momentum"], ["momentum"])
    assert said in str(error.value)


def test_what_can_be_filled_is_let_through():
    check_words(RUN, ["lr", "momentum"], ["momentum"])
    check_words(["x", "{seed}", "{until_step}", "-v", "--out={checkpoint_folder}/m.pt"], [], [])


@pytest.mark.parametrize("run", ["", "   ", "python 'train.py"])
def test_no_words_are_refused(run):
    with pytest.raises(InputError):
        split_words([run])


def test_the_environment_has_parameters_and_what_the_trial_is():
    told = Told({"learning-rate": 0.1, "deep": True, "kind": "a b"}, {"seed": 7, "until_step": 9})
    assert told.environment() == {
        "HPSEARCH_SEED": "7",
        "HPSEARCH_UNTIL_STEP": "9",
        "HPSEARCH_PARAM_LEARNING_RATE": "0.1",
        "HPSEARCH_PARAM_DEEP": "true",
        "HPSEARCH_PARAM_KIND": "a b",
    }
    assert told.words(["{learning-rate}", "{seed}"]) == ["0.1", "7"]
    assert json.loads(told.environment()["HPSEARCH_PARAM_DEEP"]) is True


def test_a_hyperparameter_may_not_hide_what_the_trial_is():
    with pytest.raises(InputError, match=r"seed is what a command is told of its trial anyway, as \{seed\}; rename the hyperparameter"):
        check_words(["x", "{seed}"], ["seed"], [])


def test_two_names_of_one_variable_are_refused():
    check_variables(["a", "b"])
    with pytest.raises(InputError, match="x-y and x_y would both be HPSEARCH_PARAM_X_Y"):
        check_variables(["x-y", "x_y"])
    assert variable("größe") == "HPSEARCH_PARAM_GR_SSE"


def test_placeholders_are_found_anywhere_in_a_word():
    assert placeholders("a{b}c{d}{{e}}") == ["b", "d"]
