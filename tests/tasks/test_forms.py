"""Examples as users have them become the numbers that training has seen: compared with what `prepare` has written for the same rows."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest

from hpsearch.errors import DataError, InputError
from hpsearch.models.inputs import Inputs
from hpsearch.tasks import prepared, tables
from hpsearch.tasks.classification import Classification
from hpsearch.tasks.forms import (
    FORMS,
    Array,
    Column,
    Columns,
    Draws,
    Steps,
    Words,
    column_type,
    frame_from_arrays,
    frame_from_json,
    frame_to_arrays,
    frame_to_json,
)
from hpsearch.tasks.splits import Scale, Shares, split_stratified
from hpsearch.tasks.texts import PADDING, UNKNOWN, Vocabulary
from hpsearch.trial import Objective

NUMBERS = Scale(np.array([1.0]), np.array([2.0]))


def again(form):
    """As it comes back from its file."""
    content = form.to_json()
    return FORMS[content["kind"]].from_json(content)


@pytest.fixture
def rows():
    chance = np.random.default_rng(0)
    return [
        {
            "a, <b>": float(chance.normal()),
            "n": int(chance.integers(9)),
            "flag": bool(chance.random() < 0.5),
            "colour": str(chance.choice(["red", "blue", ""])),
            "plot": int(chance.integers(3)) if chance.random() < 0.9 else "",
            "kind": str(chance.choice(["x", "y"])),
        }
        for _ in range(60)
    ]


@pytest.fixture
def task(tmp_path, rows):
    """Prepared on those rows, of which `colour` and `plot` are no quantities."""
    path = tmp_path / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    source = tables.Source("csv", str(path), "kind", categorical=("plot",))
    made = Classification(source, Shares(0.2, 0.2, 3), (Objective("val_accuracy", "maximize"),))
    made.prepare(tmp_path / "data")
    return made


def test_a_table_is_encoded_as_it_was_for_training(task, rows):
    kept = prepared.load_kept(task.prepared.folder)
    form = again(task.form({}, kept.form))
    labels = np.array([row["kind"] == "y" for row in rows], dtype=np.int64)
    split = split_stratified(labels, ("x", "y"), task.shares)
    frame = pd.DataFrame([{k: None if v == "" else v for k, v in row.items()} for row in rows])
    for name, arrays in (("validation", prepared.load_search(task.prepared.folder)), ("test", prepared.load_test(task.prepared.folder))):
        encoded = form.encode(frame.iloc[getattr(split, name)])
        np.testing.assert_array_equal(encoded, arrays.inputs[name])
    shuffled = frame[list(frame.columns)[::-1]].assign(more=1)
    np.testing.assert_array_equal(form.encode(shuffled), form.encode(frame))
    assert form.schema() == {
        "columns": [["a, <b>", "double"], ["n", "long"], ["flag", "boolean"], ["colour", "string"], ["plot", "double"]],
    }


def test_the_example_is_the_first_of_the_validation_split_as_it_was_given(task, rows):
    kept = prepared.load_kept(task.prepared.folder)
    split = split_stratified(np.array([row["kind"] == "y" for row in rows], dtype=np.int64), ("x", "y"), task.shares)
    for row, given in zip(split.validation[:5], kept.example.to_dict("records"), strict=True):
        expected = {name: value for name, value in rows[row].items() if name != "kind"}
        assert {name: "" if pd.isna(value) else value for name, value in given.items()} == expected


def test_a_value_that_training_has_not_seen_has_no_indicator(task):
    form = task.form({}, prepared.load_kept(task.prepared.folder).form)
    row = {"a, <b>": [0.0], "n": [1], "flag": [True], "colour": ["green"], "plot": [7]}
    assert form.encode(pd.DataFrame(row))[0, 3:].sum() == 0


def test_a_table_is_decoded_to_what_was_encoded(task, rows):
    form = task.form({}, prepared.load_kept(task.prepared.folder).form)
    frame = pd.DataFrame([{k: None if v == "" else v for k, v in row.items()} for row in rows])
    decoded = form.decode(form.encode(frame))
    np.testing.assert_allclose(decoded["a, <b>"], frame["a, <b>"], rtol=1e-5, atol=1e-6)
    assert decoded["colour"].tolist() == [row["colour"] or "missing" for row in rows]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((2, 2)), "must be a data frame with the columns a, got a ndarray"),
        (pd.DataFrame({"b": [1.0]}), "the data frame lacks 'a'; it has 'b'"),
        (pd.DataFrame({"a": [1.0, np.nan]}), "column 'a' has nan in row 2"),
    ],
)
def test_a_table_of_another_form_is_refused(given, said):
    with pytest.raises(InputError, match=said):
        Columns((Column("a", "double"),), NUMBERS).encode(given)


def test_arrays_have_their_shape_and_their_units():
    form = again(Array(Inputs("image", (1, 2, 2)), Scale(np.full((1, 1, 1), 0.5), np.full((1, 1, 1), 0.25))))
    given = np.arange(8).reshape(2, 1, 2, 2) / 8
    np.testing.assert_allclose(form.encode(given), (given - 0.5) * 4, rtol=1e-6)
    np.testing.assert_allclose(form.decode(form.encode(given)), given, rtol=1e-6)
    with pytest.raises(InputError, match=r"must have the shape \(examples, 1, 2, 2\), got \(2, 2\)"):
        form.encode(np.zeros((2, 2)))
    with pytest.raises(DataError, match="too far from the values of the training split"):
        form.encode(np.full((1, 1, 2, 2), 1e300))


def test_texts_are_read_as_far_and_with_as_many_words_as_the_network_knows():
    form = again(Words("review", Vocabulary.of(["good", "bad", "ugly"]), Inputs("tokens", (3,), 4)))
    encoded = form.encode(pd.DataFrame({"review": ["Good, bad and good", "", "ugly"]}))
    assert encoded.tolist() == [[2, UNKNOWN, 3], [PADDING] * 3, [UNKNOWN, PADDING, PADDING]]
    with pytest.raises(InputError, match="column 'review' must hold texts, got 3"):
        form.encode(pd.DataFrame({"review": [3]}))


def test_a_series_is_read_from_its_end():
    form = again(Steps((Column("y", "long"), Column("x", "double")), Scale(np.array([0.0, 1.0]), np.array([1.0, 2.0])), 2))
    given = pd.DataFrame({"x": [9.0, 3.0, 5.0], "y": [7, 8, 9]})
    assert form.encode(given).tolist() == [[[8.0, 1.0], [9.0, 2.0]]]
    with pytest.raises(InputError, match="needs the last 2 steps of the series, got 1"):
        form.encode(given[:1])


def test_what_is_drawn_depends_on_the_seed_alone():
    form = again(Draws(3))
    drawn = form.encode(pd.DataFrame({"examples": [2, 4], "seed": [0, 5]}))
    assert drawn.shape == (6, 3)
    np.testing.assert_array_equal(drawn[2:], form.encode(pd.DataFrame({"examples": [4], "seed": [5]})))
    assert abs(form.encode(pd.DataFrame({"examples": [10_000], "seed": [1]})).std() - 1) < 0.02
    for count in (0, 10_001):
        with pytest.raises(InputError, match=f"examples must be from 1 to 10,000, got {count}"):
            form.encode(pd.DataFrame({"examples": [count], "seed": [0]}))


def test_tables_are_whole_in_json_and_in_arrays():
    frame = pd.DataFrame({"a": [0.1 + 0.2, np.nan], "n": [1, 2**60], "b": [True, False], "t": ['ä"\\', None]})
    frame["d"] = pd.to_datetime(["2026-01-31T12:00:00", "2026-02-01"], format="ISO8601")
    check_same(frame_from_json(frame_to_json(frame)), frame)
    check_same(frame_from_arrays(frame_to_arrays(frame)), frame)


def check_same(back, frame):
    assert back["a"].tolist()[0] == 0.1 + 0.2
    assert back["n"].tolist() == [1, 2**60]
    assert back["b"].tolist() == [True, False]
    assert back["t"].tolist() == ['ä"\\', None]
    assert np.isnan(back["a"].tolist()[1])
    assert back["d"].tolist() == frame["d"].tolist()
    assert [column_type(back[name]) for name in back] == ["double", "long", "boolean", "string", "datetime"]
