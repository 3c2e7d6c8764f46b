"""The small data sets that come with scikit-learn, read from its files: importing sklearn.datasets takes longer than training on them."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, unknown
from hpsearch.models.inputs import InputKind


@dataclass(frozen=True, slots=True)
class Raw:
    """inputs: (rows, ...) of a kind; target: (rows,), of indices into `classes` if there are any."""

    inputs: NDArray[np.float64]
    target: NDArray[np.float64]
    classes: tuple[str, ...] = ()
    kind: InputKind = "rows"


def read_builtin(name: str) -> Raw:
    """The data set of this name.

    Raises:
        DataError: there is none.
    """
    if name not in BUILTIN:
        raise DataError(unknown("data set", name, BUILTIN) + "; or a file of one's own, as in `data: {csv: path, target: column}`")
    try:
        return BUILTIN[name]()
    except (OSError, ValueError, IndexError) as error:  # not where this release of scikit-learn has them
        raise DataError(f"data set {name!r} cannot be read from scikit-learn's files: {error}; install scikit-learn again") from error


def _folder() -> Path:
    found = importlib.util.find_spec("sklearn")  # finds the package without importing it
    if found is None or found.origin is None:
        raise DataError("the built-in data sets come with scikit-learn, which is not installed: pip install scikit-learn")
    return Path(found.origin).parent / "datasets" / "data"


def _digits() -> Raw:
    """Pictures of 8 by 8 pixels from 0 to 16, here in [0, 1]."""
    with gzip.open(_folder() / "digits.csv.gz", "rt", encoding="utf-8") as file:
        rows = np.loadtxt(file, delimiter=",")
    return Raw(rows[:, :-1].reshape(-1, 1, 8, 8) / 16, rows[:, -1], tuple(map(str, range(10))), "image")


def _labelled(file_name: str) -> Raw:
    """A file whose first line is rows, features, class names."""
    with (_folder() / file_name).open(encoding="utf-8") as file:
        _, _, *classes = file.readline().strip().split(",")
        rows = np.loadtxt(file, delimiter=",")
    return Raw(rows[:, :-1], rows[:, -1], tuple(classes))


def _diabetes() -> Raw:
    with gzip.open(_folder() / "diabetes_data_raw.csv.gz", "rt", encoding="utf-8") as file:
        inputs = np.loadtxt(file)
    with gzip.open(_folder() / "diabetes_target.csv.gz", "rt", encoding="utf-8") as file:
        return Raw(inputs, np.loadtxt(file))


BUILTIN: Mapping[str, Callable[[], Raw]] = {
    "digits": _digits,
    "breast_cancer": lambda: _labelled("breast_cancer.csv"),
    "wine": lambda: _labelled("wine_data.csv"),
    "iris": lambda: _labelled("iris.csv"),
    "diabetes": _diabetes,
}
