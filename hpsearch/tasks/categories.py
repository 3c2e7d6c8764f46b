"""Columns that are no quantities: found in a table, and made an indicator for each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, unknown

if TYPE_CHECKING:
    import pandas as pd

MOST = 256
"""So many values of a column have an indicator of their own; the rarest of more share one."""

MISSING, OTHER = "missing", "other"

NEARLY_NUMERIC = 0.5
"""A column of text of which so many values are numbers is one of numbers, with mistakes in it."""

NEARLY_UNIQUE = 0.5
"""A column of text with so many values a row tells rows apart, and nothing about them."""


def find_categorical(frame: pd.DataFrame, declared: Sequence[str], path: Path) -> dict[str, NDArray[np.str_]]:
    """The columns that hold no numbers, and those that are declared to be categories, as strings.

    Raises:
        DataError: a declared column is not there, or a column of text is none of categories.
    """
    import pandas as pd

    for name in declared:
        if name not in frame.columns:
            raise DataError(f"{path}: {unknown('categorical column', name, frame.columns)}")
    found = {}
    for name in map(str, frame.columns):
        column = frame[name]
        is_number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)
        if name in declared or not is_number:
            if name not in declared:
                _check_categories(column, path)
            found[name] = as_texts(column)
    return found


def as_texts(column: pd.Series[Any]) -> NDArray[np.str_]:
    """(rows,): each value as text, which is what categories are told apart by."""
    import pandas as pd

    return np.array([MISSING if pd.isna(value) else str(value) for value in column])


def _check_categories(column: pd.Series[Any], path: Path) -> None:
    present = column.dropna()
    numbers = np.array([_is_number(value) for value in present], dtype=bool)
    cure = "or name it in `data: {..., categorical: [...]}` if it is no quantity"
    if numbers.size and numbers.all():
        raise DataError(
            f"{path}: column {column.name!r} holds numbers as text, such as {str(present.iloc[0])!r}; save them as numbers, {cure}"
        )
    if numbers.size and numbers.mean() >= NEARLY_NUMERIC:
        row = int(present.index[int(np.argmin(numbers))])
        raise DataError(
            f"{path}: column {column.name!r} is not numeric (it holds {str(column[row])!r} in data row {row + 1}), though "
            f"{int(numbers.sum())} of its {len(column)} values are; mend the others, {cure}"
        )
    if (values := present.nunique()) > MOST and values > NEARLY_UNIQUE * len(column):
        raise DataError(
            f"{path}: column {column.name!r} has {values} different texts in {len(column)} rows, as a name or a free text has; leave it out"
        )


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class OneHot:
    """An indicator for each value of a column, and one for the rarest together where there are more than MOST."""

    values: tuple[str, ...]
    has_other: bool

    @classmethod
    def fit(cls, column: NDArray[np.str_]) -> OneHot:
        """On the training rows, (rows,)."""
        values, counts = np.unique(column, return_counts=True)
        if len(values) <= MOST:
            return cls(tuple(values.tolist()), False)
        kept = np.sort(np.argsort(-counts, kind="stable")[: MOST - 1])
        return cls(tuple(values[kept].tolist()), True)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the indicators."""
        return (*self.values, *([OTHER] if self.has_other else []))

    def apply(self, column: NDArray[np.str_]) -> NDArray[np.float32]:
        """(rows,) to (rows, indicators) of 0 and 1; a value that training has not has none, or that of the rarest."""
        given = (column[:, None] == np.array(self.values)[None, :]).astype(np.float32)
        return np.concatenate([given, 1 - given.sum(1, keepdims=True)], axis=1) if self.has_other else given
