import numpy as np
import pytest

from hpsearch.tasks.leaks import SAMPLE, columns_like_classes, columns_like_number, columns_that_count

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("rows", [50, 3 * SAMPLE])
def test_a_column_with_a_value_of_its_own_for_each_class(rows):
    labels = np.arange(rows) % 3
    nearly = labels.astype(float)
    nearly[rows // 2] = labels[rows // 2] + 1  # one row of all
    two_in_one = np.where(labels == 2, 1, labels)
    values = np.column_stack([RANDOM.random(rows), 7.5 - labels, nearly, two_in_one, np.ones(rows)])
    assert columns_like_classes(values, labels).tolist() == [1]
    names = np.array(["no", "yes", "perhaps"])[labels][:, None]
    assert columns_like_classes(names, labels).tolist() == [0]
    assert columns_like_classes(names[::-1].copy(), np.sort(labels)).tolist() == []


@pytest.mark.parametrize("rows", [50, 3 * SAMPLE])
def test_a_column_that_is_the_target_but_for_unit_and_origin(rows):
    celsius = RANDOM.normal(10, 8, rows)
    nearly = celsius.copy()
    nearly[rows // 2] += 0.01
    fahrenheit = celsius * 1.8 + 32
    values = np.column_stack([RANDOM.random(rows), fahrenheit, -celsius, fahrenheit.astype(np.float32), nearly, np.ones(rows), celsius**3])
    assert columns_like_number(values, celsius).tolist() == [1, 2, 3]


@pytest.mark.parametrize("rows", [50, 3 * SAMPLE])
def test_a_column_that_counts_the_rows(rows):
    count = np.arange(rows, dtype=float)
    broken = count.copy()
    broken[-1] += 1
    assert columns_that_count(np.column_stack([count * 2, count + 17, broken, count[::-1], np.ones(rows)])).tolist() == [1]
