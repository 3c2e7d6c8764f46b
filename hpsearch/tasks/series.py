"""Series: columns of numbers in the order of time, of CSV and Parquet files of one's own, and one that is made here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, unknown
from hpsearch.tasks import tables
from hpsearch.tasks.forms import column_type
from hpsearch.tasks.synthetic import seasons
from hpsearch.tasks.tables import Source
from hpsearch.trial import Json

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Series:
    """What happened, step after step.

    Args:
        values: (steps, columns); the first column is to be predicted.
        names: of the columns.
        types: of the columns: double or long.
        moments: (steps,) of the time column, ascending, dates as UTC (datetime64); None where there is no such column.
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    types: tuple[str, ...]
    digest: str
    moments: NDArray[Any] | None = None

    @property
    def target_name(self) -> str:
        return self.names[0]

    @property
    def columns(self) -> dict[str, Json]:
        """See Digested. The time is none of them, as it is no input."""
        return dict.fromkeys(self.names, "double")


def read_series(source: Source, time: str | None) -> Series:
    """The series of a file; with `time`, in the order of this column, which is no input.

    Raises:
        DataError: it is not there, or holds what is no number or no order.
    """
    if source.format == "builtin":
        values = seasons()
        return Series(values, ("y",), ("double",), tables.digest_of(values.tobytes()))
    path = Path(source.place)
    frame, digest = tables.read_frame(source)
    target = source.target
    if target is None:
        raise DataError(f"{path}: say which column is to be predicted, as in `data: {{..., target: {frame.columns[-1]}}}`")
    for name, what in ((target, "target column"), (time, "time column")):
        if name is not None and name not in frame.columns:
            raise DataError(f"{path}: {unknown(what, name, frame.columns)}")
    moments = None
    if time is not None:
        moments = _moments(frame, time, path)
        frame, moments = frame.iloc[np.argsort(moments, kind="stable")].drop(columns=time), np.sort(moments)
    ordered = frame[[target, *(name for name in frame.columns if name != target)]]
    _check_numbers(ordered, path)
    types = tuple(column_type(ordered[name]) for name in ordered.columns)
    return Series(ordered.to_numpy(dtype=np.float64, na_value=np.nan), tuple(ordered.columns), types, digest, moments)


def _moments(frame: pd.DataFrame, time: str, path: Path) -> NDArray[Any]:
    import pandas as pd

    moments: pd.Series[Any] = frame[time]
    if not pd.api.types.is_numeric_dtype(moments):
        moments = pd.to_datetime(moments, errors="coerce", format="ISO8601", utc=True)
    for broken, what in ((moments.isna(), "is no moment"), (moments.duplicated(), "was there before")):
        if broken.any():
            row = int(np.flatnonzero(broken.to_numpy())[0])
            shown = str(frame[time].iloc[row])
            raise DataError(
                f"{path}: time column {time!r}: {shown!r} in data row {row + 1} {what}; "
                "it must hold numbers or ISO dates such as 2026-01-31, each once"
            )
    return moments.to_numpy() if pd.api.types.is_numeric_dtype(moments) else moments.dt.tz_localize(None).to_numpy()


def _check_numbers(frame: pd.DataFrame, path: Path) -> None:
    import pandas as pd

    for name, column in frame.items():
        if not pd.api.types.is_numeric_dtype(column):
            raise DataError(
                f"{path}: column {name!r} is not numeric (it holds {str(column.iloc[0])!r}); leave it out, or name it in "
                "`data: {..., time: ...}` if it is what orders the rows"
            )
        broken = ~np.isfinite(column.to_numpy(dtype=np.float64, na_value=np.nan))
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            raise DataError(
                f"{path}: column {name!r} has {int(broken.sum())} missing or infinite values of {len(broken)} (the first in data row "
                f"{row + 1}); fill them in, or leave the column out"
            )


UNEVEN = 1.5
"""Times the usual step, or parts of it, from which a step is another: months have between 28 and 31 days."""


def find_uneven(moments: NDArray[Any]) -> list[str]:
    """A warning of steps of time that are far from the usual one.

    Args:
        moments: (steps,), ascending, of numbers or of datetime64.
    """
    steps = np.diff(moments)
    lengths = steps.astype(np.float64)
    usual = float(np.median(lengths))
    uneven = np.flatnonzero((lengths > usual * UNEVEN) | (lengths * UNEVEN < usual))
    if not len(uneven):
        return []
    first, middle = uneven[0], np.sort(steps)[len(steps) // 2]
    return [
        f"steps of time that are far from the usual {_span(middle)}: {len(uneven):,} of {len(steps):,} (the first, after "
        f"{_moment(moments[first])}, is {_span(steps[first])}); a network counts rows and not time, so fill in what is missing"
    ]


def _moment(value: Any) -> str:
    return str(np.datetime_as_string(value, unit="auto")) if isinstance(value, np.datetime64) else f"{value:g}"


_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def _span(value: Any) -> str:
    """`1 d`, `1.5 h`; of numbers as they are."""
    if not isinstance(value, np.timedelta64):
        return f"{value:g}"
    seconds = value / np.timedelta64(1, "s")
    size, unit = next((known for known in _UNITS if seconds >= known[0]), _UNITS[-1])
    return f"{seconds / size:.4g} {unit}"
