import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from hpsearch.errors import DataError
from hpsearch.tasks.splits import Scale, Shares, split_rows, split_stratified

counts = st.lists(st.integers(10, 80), min_size=2, max_size=6)
shares = st.tuples(st.floats(0.05, 0.4), st.floats(0.0, 0.4))


def labels_of(counts):
    return np.random.default_rng(1).permutation(np.repeat(np.arange(len(counts)), counts))


def names(counts):
    return tuple(f"class {index}" for index in range(len(counts)))


def assert_partition(split, rows):
    together = np.concatenate([split.train, split.validation, split.test])
    assert sorted(together.tolist()) == list(range(rows))


@settings(deadline=None)
@given(counts, shares, st.integers(0, 5))
def test_stratified_parts_have_each_class_in_proportion(counts, shares, seed):
    labels = labels_of(counts)
    split = split_stratified(labels, names(counts), Shares(*shares, seed))
    assert_partition(split, len(labels))
    for part, share in ((split.validation, shares[0]), (split.test, shares[1])):
        found = np.bincount(labels[part], minlength=len(counts))
        assert all(abs(n - share * count) < 1 or n == 1 for n, count in zip(found, counts, strict=True))
        assert (found.min() >= 1) == (share > 0)


def test_stratified_counts_are_those_of_scikit_learn():
    labels = labels_of([40, 80, 120, 13])
    split = split_stratified(labels, names(range(4)), Shares(0.2, 0.0, 0))
    _, theirs = train_test_split(labels, test_size=len(split.validation), stratify=labels, random_state=0)
    difference = np.bincount(labels[split.validation]) - np.bincount(theirs)
    assert abs(difference).max() <= 1


@settings(deadline=None)
@given(st.integers(30, 500), shares, st.integers(0, 5))
def test_a_random_split_has_its_sizes(rows, shares, seed):
    try:
        split = split_rows(rows, Shares(*shares, seed))
    except DataError as error:
        assert 0 < shares[1] * rows < 3 or shares[0] * rows < 3, error  # noqa: PT017
        return
    assert_partition(split, rows)
    assert (len(split.validation), len(split.test)) == (round(rows * shares[0]), round(rows * shares[1]))


def test_the_seed_decides():
    labels = labels_of([20, 20])
    first, again, other = (split_stratified(labels, ("a", "b"), Shares(0.2, 0.2, seed)).test.tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_a_class_too_small_is_named():
    with pytest.raises(DataError, match="class 'rare' has 2 rows, too few for one in each of training, validation and test"):
        split_stratified(labels_of([50, 2]), ("usual", "rare"), Shares(0.15, 0.15, 0))
    with pytest.raises(DataError, match="class 'rare' has 1 row, too few for one in each of training and validation"):
        split_stratified(labels_of([50, 1]), ("usual", "rare"), Shares(0.15, 0, 0))


def test_too_few_rows_are_counted():
    with pytest.raises(DataError, match="8 rows cannot be split into 6 for training, 1 for validation and 1 for test"):
        split_rows(8, Shares(0.15, 0.15, 0))


def test_scales_as_scikit_learn_does():
    values = np.random.default_rng(0).normal(3, [1, 100, 1e-6], (50, 3))
    np.testing.assert_allclose(Scale.fit(values, "rows").apply(values), StandardScaler().fit_transform(values), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9, -7.3])
def test_a_constant_column_becomes_zero(constant):
    """0.1 has a deviation of 1e-17 from its own mean, by rounding."""
    values = np.column_stack([np.full(50, constant), np.arange(50.0)])
    scaled = Scale.fit(values, "rows").apply(values)
    np.testing.assert_allclose(scaled[:, 0], 0, atol=1e-5)
    assert scaled[:, 1].std() == pytest.approx(1, rel=1e-5)


def test_values_too_large_to_square_are_refused():
    with pytest.raises(DataError, match="cannot be standardised"):
        Scale.fit(np.array([[1e300], [-1e300]]), "rows")


def test_values_that_are_too_far_from_those_of_training_are_refused():
    scale = Scale.fit(np.zeros((5, 2)), "rows")
    with pytest.raises(DataError, match=r"1e\+300 is too far from the values of the training split"):
        scale.apply(np.array([[0.0, 1.0], [1e300, 0.0]]))
