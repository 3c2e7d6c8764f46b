"""Against loops over all pairs of rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.tasks.duplicates import BLOCK, Repeats, number_rows, repeats_across, repeats_within

pytestmark = pytest.mark.slow

ROWS = st.lists(
    st.tuples(st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2**-52]), st.integers(0, 1), st.sampled_from(["a", "b"]), st.integers(0, 2)),
    min_size=1,
    max_size=12,
)
"""Two numbers, a category, and a target; few values, so that rows repeat."""


def columns(rows):
    return [np.array([row[:2] for row in rows], dtype=np.float64), np.array([row[2] for row in rows])]


@given(ROWS)
def test_rows_have_the_same_number_where_python_finds_them_equal(rows):
    numbers = number_rows(columns(rows))
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            assert (numbers[i] == numbers[j]) == (one[:3] == other[:3])


@given(ROWS)
def test_repeats_within_are_rows_with_an_equal_one_before(rows):
    found = repeats_within(number_rows(columns(rows)), np.array([row[3] for row in rows]))
    before = [[other for other in rows[:i] if other[:3] == row[:3]] for i, row in enumerate(rows)]
    alike = [row in rows[:i] for i, row in enumerate(rows)]
    assert found == Repeats(sum(map(bool, before)), sum(alike), len(rows))


@given(ROWS, st.randoms(use_true_random=False))
def test_repeats_across_are_rows_that_training_has(rows, random):
    order = random.sample(range(len(rows)), len(rows))
    train, other = np.array(order[: len(rows) // 2], dtype=int), np.array(order[len(rows) // 2 :], dtype=int)
    targets = np.array([row[3] for row in rows])
    known = [rows[i] for i in train]
    again = sum(rows[i][:3] in [row[:3] for row in known] for i in other)
    alike = sum(rows[i] in known for i in other)
    numbers = number_rows(columns(rows))
    assert repeats_across(numbers, targets, train, other) == Repeats(again, alike, len(other))
    assert repeats_across(numbers, None, train, other) == Repeats(again, again, len(other))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_different_blocks_are_compared_too(dtype):
    images = np.random.default_rng(0).random((2 * BLOCK + 10, 1, 3, 3)).astype(dtype)
    images[-1] = images[0]
    numbers = number_rows([images])
    assert numbers[-1] == numbers[0]
    assert len(set(numbers.tolist())) == len(images) - 1
