"""Training, validation and test splits, and standardisation fitted on the training split alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.models.inputs import InputKind

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Shares:
    """How much of the rows validation and test get; the rest trains."""

    validation: float
    test: float
    seed: int


@dataclass(frozen=True, slots=True)
class Split:
    """Row numbers, ascending; disjoint, and together all."""

    train: Indices
    validation: Indices
    test: Indices


def split_rows(rows: int, shares: Shares) -> Split:
    """A random split.

    Raises:
        DataError: too few rows for it.
    """
    validation, test = round(rows * shares.validation), round(rows * shares.test)
    smallest = min(validation, rows - validation - test, test if shares.test else rows)
    if smallest < 2:
        raise DataError(
            f"{rows} rows cannot be split into {rows - validation - test} for training, {validation} for validation and {test} for test: "
            "each needs at least 2; give more data, or change task.split"
        )
    return _cut([np.arange(rows)], [validation], [test], shares.seed)


def split_stratified(labels: NDArray[np.int64], names: tuple[str, ...], shares: Shares) -> Split:
    """A random split in which each class has its share of each part, to within one row, and at least one.

    Args:
        labels: (rows,) indices into `names`.

    Raises:
        DataError: a class has too few rows for it.
    """
    counts = np.bincount(labels, minlength=len(names))
    validation, test = _allocate(counts, shares.validation), _allocate(counts, shares.test)
    for name, count, left in zip(names, counts.tolist(), counts - validation - test, strict=True):
        if left < 1:
            parts = "training, validation and test" if shares.test else "training and validation"
            raise DataError(
                f"class {name!r} has {count} row{'' if count == 1 else 's'}, too few for one in each of {parts}: "
                "give it more rows, leave it out, or change task.split"
            )
    rows = [np.flatnonzero(labels == label) for label in range(len(names))]
    return _cut(rows, validation.tolist(), test.tolist(), shares.seed)


def with_fixed_test(rows: int, test: Indices, shares: Shares, split: Callable[[Indices, Shares], Split]) -> Split:
    """A split of all but the published test rows, whose own split has no test; that is the test split then.

    Args:
        split: of the row numbers that are left, by shares without a test.
    """
    left = np.setdiff1d(np.arange(rows), test)
    inner = split(left, replace(shares, test=0.0))
    return Split(left[inner.train], left[inner.validation], np.sort(test))


def split_published(rows: int, test: Indices | None, shares: Shares) -> Split:
    """A random split; where test rows are published, of the others alone."""
    if test is None:
        return split_rows(rows, shares)
    return with_fixed_test(rows, test, shares, lambda left, inner: split_rows(len(left), inner))


def _allocate(counts: NDArray[np.intp], share: float) -> NDArray[np.intp]:
    """Rows of each class for a part of this share: whole numbers by largest remainder, at least one each."""
    if share == 0:
        return np.zeros_like(counts)
    exact = counts * share
    given = np.floor(exact).astype(np.intp)
    missing = round(float(exact.sum())) - int(given.sum())
    given[np.argsort(given - exact, kind="stable")[:missing]] += 1
    at_least_one: NDArray[np.intp] = np.maximum(given, 1)
    return at_least_one


def _cut(groups: list[Indices], validation: list[int], test: list[int], seed: int) -> Split:
    generator = np.random.default_rng(seed)
    parts: tuple[list[Indices], list[Indices], list[Indices]] = ([], [], [])
    for rows, for_validation, for_test in zip(groups, validation, test, strict=True):
        shuffled = generator.permutation(rows)
        for part, chosen in zip(parts, np.split(shuffled, [len(rows) - for_validation - for_test, len(rows) - for_test]), strict=True):
            part.append(chosen)
    return Split(*(np.sort(np.concatenate(part)) for part in parts))


_TOGETHER: Mapping[InputKind, tuple[int, ...]] = {"rows": (0,), "sequence": (0, 1), "image": (0, 2, 3)}
"""Over which axes values share a mean and a deviation."""


@dataclass(frozen=True, slots=True)
class Scale:
    """An affine map to mean 0 and deviation 1; where all values are equal, only the mean is taken away."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def fit(cls, values: NDArray[Any], kind: InputKind) -> Scale:
        """values: (rows, ...) of this kind. Columns of rows, features of sequences, and channels of images are each scaled for themselves.

        Raises:
            DataError: values so large that their variance is not a number.
        """
        together = _TOGETHER[kind] if values.ndim > 1 else (0,)
        with np.errstate(over="ignore", invalid="ignore"):
            deviation = values.std(axis=together, dtype=np.float64, keepdims=True)[0]
        if not np.isfinite(deviation).all():
            raise DataError(f"values as large as {np.abs(values).max():.3g} cannot be standardised; rescale them")
        constant = (values.min(axis=together, keepdims=True) == values.max(axis=together, keepdims=True))[0]  # rounding may leave it 1e-17
        mean = values.mean(axis=together, dtype=np.float64, keepdims=True)[0]
        return cls(mean, np.where(constant | (deviation == 0), 1.0, deviation))

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """The values, scaled.

        Raises:
            DataError: one is so far from those that this was fitted on that it is none in 32 bits.
        """
        with np.errstate(over="ignore"):
            scaled: NDArray[np.float32] = ((values - self.mean) / self.deviation).astype(np.float32)
        if not (finite := np.isfinite(scaled)).all():
            raise DataError(f"{values[~finite][0]:.3g} is too far from the values of the training split to be standardised; rescale it")
        return scaled
