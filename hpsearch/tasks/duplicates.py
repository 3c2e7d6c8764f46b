"""Rows that are there more than once: within the training split, and in another split too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 4096
"""Rows that are brought into the form of bytes at once."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """So many rows `of` all have inputs that another row has too; `alike` have its target as well. Without targets all are alike."""

    rows: int
    alike: int
    of: int


def number_rows(columns: Iterable[NDArray[Any]]) -> NDArray[np.intp]:
    """(rows,): equal numbers for rows that are equal in all columns, and for no others.

    Rows are told apart by 128 bits of BLAKE2b. NaN is equal to itself here.

    Args:
        columns: (rows, ...) each, of numbers or of strings.
    """
    digests = [hashlib.blake2b(row, digest_size=16).digest() for block in _blocks(list(columns)) for row in block]
    numbers: NDArray[np.intp] = np.unique(np.array(digests, "V16"), return_inverse=True)[1]
    return numbers


def _blocks(columns: list[NDArray[Any]]) -> Iterator[NDArray[np.uint8]]:
    """Of BLOCK rows, as (rows, bytes)."""
    for start in range(0, len(columns[0]), BLOCK):
        yield np.concatenate([_bytes(column[start : start + BLOCK]) for column in columns], axis=1)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    plain = values + 0 if values.dtype.kind == "f" else values  # adding 0 makes 0 of -0
    return np.ascontiguousarray(plain).reshape(len(plain), -1).view(np.uint8)


def repeats_within(inputs: NDArray[np.intp], targets: NDArray[Any] | None) -> Repeats:
    """Rows that repeat an earlier one.

    Args:
        inputs: (rows,) from `number_rows`.
        targets: (rows,) of numbers.
    """
    pairs = _pairs(inputs, targets)
    return Repeats(len(inputs) - _distinct(inputs), len(inputs) - _distinct(pairs), len(inputs))


def repeats_across(inputs: NDArray[np.intp], targets: NDArray[Any] | None, train: NDArray[np.intp], other: NDArray[np.intp]) -> Repeats:
    """Rows of another split that the training split has too.

    Args:
        inputs: (rows,) from `number_rows`, of all splits.
        targets: (rows,) of numbers.
        train: row numbers.
        other: row numbers.
    """
    pairs = _pairs(inputs, targets)
    again, alike = (int(np.isin(known[other], known[train]).sum()) for known in (inputs, pairs))
    return Repeats(again, alike, len(other))


def _distinct(numbers: NDArray[np.intp]) -> int:
    """How many different ones there are; sorting is several times as fast as NumPy's `unique`, which hashes."""
    return 1 + int(np.count_nonzero(np.diff(np.sort(numbers))))


def _pairs(inputs: NDArray[np.intp], targets: NDArray[Any] | None) -> NDArray[np.intp]:
    """(rows,): a number for each pair of inputs and target."""
    if targets is None:
        return inputs
    values, codes = np.unique(targets, return_inverse=True)
    paired: NDArray[np.intp] = inputs * len(values) + codes
    return paired
