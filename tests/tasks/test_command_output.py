"""What is a report in what a command prints, and what is only output."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import InputError
from hpsearch.tasks.command_output import MAX_LINE, JsonLines, Lines, Patterns, check_pattern

KERAS = """\
Epoch 1/2
\r 1/45 [..............] - ETA: 5s - accuracy: 0.0312 - loss: 2.4\r12/45 [=====>........] - accuracy: 0.2500 - loss: 2.1\
\r45/45 - 1s - 20ms/step - accuracy: 0.6138 - loss: 1.9336 - val_accuracy: 0.8167 - val_loss: 1.5522
Epoch 2/2
\r45/45 - 0s - 4ms/step - accuracy: 0.8699 - loss: 1.1824 - val_accuracy: 0.8806 - val_loss: 9.112e-1
"""


def lines_of(data, size=7):
    lines = Lines()
    fed = [line for at in range(0, len(data), size) for line in lines.feed(data[at : at + size])]
    return [*fed, *lines.end()]


@given(st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))), st.integers(1, 9))
def test_lines_are_whole_wherever_the_stream_is_cut(texts, size):
    found = lines_of("\n".join(texts).encode(), size)
    assert [line for line in found if line] == [text for text in texts if text]


def test_bytes_that_are_no_text_are_replaced_and_long_lines_cut():
    assert lines_of(b"\xff\xfe\n") == ["\ufffd\ufffd"]
    found = lines_of(b"x" * (2 * MAX_LINE) + b"\nshort", 1 << 16)
    assert [len(found[0]), found[1]] == [MAX_LINE, "short"]


@pytest.mark.parametrize(
    "line",
    ["", "{", "{}", "[1]", "{'loss': 1}", '{"loss": 1', 'x {"loss": 1}', '{"val_loss": 1}', "null", '"loss"', "{" * 5000, "[" * 99_999],
)
def test_all_else_is_only_output(line):
    assert JsonLines(["loss"]).read(line) is None


def test_an_object_with_a_metric_is_a_report():
    reader = JsonLines(["loss", "accuracy"])
    assert reader.read(' {"loss": 0.5, "step": 3, "note": "good", "done": true, "lr": 1} ') == {"loss": 0.5, "step": 3.0, "lr": 1.0}
    assert reader.read('{"accuracy": 1}') == {"accuracy": 1.0}
    assert math.isnan(reader.read('{"loss": NaN}')["loss"])


@given(st.dictionaries(st.text(min_size=1), st.floats(allow_nan=False), min_size=1))
def test_numbers_come_back_as_they_were_written(metrics):
    assert JsonLines([next(iter(metrics))]).read(json.dumps(metrics)) == metrics


@pytest.mark.parametrize("value", ['"low"', "null", "true", "[1]", "{}"])
def test_a_metric_that_is_no_number_is_an_error(value):
    with pytest.raises(InputError, match=r"loss .*, which is no number"):
        JsonLines(["loss"]).read(f'{{"loss": {value}}}')


def test_patterns_read_an_unmodified_keras_script():
    reader = Patterns({"val_loss": r"val_loss: ([\d.e+-]+)", "accuracy": r"\baccuracy: ([\d.e+-]+)"})
    found = [metrics for line in lines_of(KERAS.encode()) if (metrics := reader.read(line))]
    assert found == [{"val_loss": 1.5522, "accuracy": 0.6138}, {"val_loss": 0.9112, "accuracy": 0.8699}]


def test_a_step_is_complete_once_each_pattern_has_matched():
    reader = Patterns({"a": r"a=(\S+)", "b": r"b=(\S+)"})
    found = [reader.read(line) for line in ("a=1", "a=2,", "nothing", "b=3", "b=4", "a=5 a=6")]
    assert found == [None, None, None, {"a": 2.0, "b": 3.0}, None, {"b": 4.0, "a": 6.0}]


def test_a_match_that_is_no_number_is_an_error():
    with pytest.raises(InputError, match="the pattern of loss found 'high'"):
        Patterns({"loss": r"loss: (\w+)"}).read("loss: high")
    with pytest.raises(InputError, match="the pattern of loss found None"):
        Patterns({"loss": r"loss(?:: (\w+))?"}).read("loss")


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("loss: (", "is no regular expression"), (r"loss: \S+", "must have one group"), (r"(loss): (\S+)", "must have one group")],
)
def test_a_pattern_must_have_one_group(pattern, said):
    check_pattern(r"(?:train|val)_loss: (\S+)")
    with pytest.raises(InputError, match=said):
        check_pattern(pattern)
