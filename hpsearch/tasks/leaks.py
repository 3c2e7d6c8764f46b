"""Columns that tell too much: the target under another name, or which row of the file it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE = 1000
"""Rows on which most columns are acquitted; the rest are looked at in full."""

EQUAL = 1e-6
"""Deviations by which a standardised column may differ from the standardised target and be the same: 32-bit numbers differ by 1e-7."""

Columns = NDArray[np.intp]


def columns_like_classes(values: NDArray[Any], labels: NDArray[np.int64]) -> Columns:
    """Which columns have a value of its own for each class.

    Args:
        values: (rows, columns) of numbers or of strings.
        labels: (rows,) from 0 to the number of classes, each there.
    """
    first = np.unique(labels, return_index=True)[1]
    own = values[first]
    ordered = np.sort(own, axis=0)
    some = _some(len(values))
    possible = (ordered[1:] != ordered[:-1]).all(axis=0) & (values[some] == own[labels[some]]).all(axis=0)
    return np.array([i for i in np.flatnonzero(possible) if (values[:, i] == own[labels, i]).all()], dtype=np.intp)


def columns_like_number(values: NDArray[np.floating[Any]], target: NDArray[np.float64]) -> Columns:
    """Which columns are the target, but for unit and origin.

    Args:
        values: (rows, columns).
        target: (rows,), not constant.
    """
    some = _some(len(values))
    possible = _affine(values[some], target[some])
    return np.array([i for i in np.flatnonzero(possible) if _affine(values[:, i : i + 1], target).all()], dtype=np.intp)


def _affine(values: NDArray[np.floating[Any]], target: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(columns,)"""
    own, wanted = _standardised(values), _standardised(target[:, None])
    same: NDArray[np.bool_] = np.minimum(abs(own - wanted).max(axis=0), abs(own + wanted).max(axis=0)) < EQUAL
    return same & wanted.any()


def _standardised(values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Each column; zeros where it is constant."""
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    deviation = centred.std(axis=0)
    standardised: NDArray[np.float64] = centred / np.where(deviation > 0, deviation, 1.0)
    return standardised


def columns_that_count(values: NDArray[np.floating[Any]]) -> Columns:
    """Which columns are one more in each row.

    Args:
        values: (rows, columns).
    """
    possible = np.flatnonzero((np.diff(values[:SAMPLE], axis=0) == 1).all(axis=0))
    return np.array([i for i in possible if (np.diff(values[:, i]) == 1).all()], dtype=np.intp)


def _some(rows: int) -> NDArray[np.intp]:
    """At random: a file may be in the order of its classes. The same each time."""
    return np.sort(np.random.default_rng(0).permutation(rows)[:SAMPLE])
