"""Tables of numbers: the built-in data sets, and CSV, Parquet and NPZ files of one's own, read and checked."""

from __future__ import annotations

import hashlib
import stat
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, unknown
from hpsearch.models.inputs import InputKind
from hpsearch.tasks.builtin import read_builtin

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table comes from: `format` is builtin, csv, parquet or npz; `place` a data set's name or a file's path."""

    format: str
    place: str
    target: str | None = None

    def __str__(self) -> str:
        return self.place


@dataclass(frozen=True, slots=True)
class Table:
    """Examples and what is to be predicted, all finite.

    Args:
        inputs: (rows, ...) float64.
        target: (rows,) of numbers or strings.
        features: a name for each input of an example, flattened.
        digest: SHA-256 (hex) of the raw data.
        kind: what one example is; images are in [0, 1].
        categorical: (rows,) strings of each column that is no number; rows alone have them.
    """

    inputs: NDArray[np.float64]
    target: NDArray[Any]
    features: tuple[str, ...]
    target_name: str
    digest: str
    kind: InputKind = "rows"
    categorical: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)


def read(source: Source) -> Table:
    """Reads a table.

    Raises:
        DataError: it is not there, cannot be read, or holds what cannot be trained on.
    """
    if source.format == "builtin":
        return _builtin(source.place)
    path = Path(source.place)
    try:
        _check_ordinary(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path} cannot be read: {reason}; name a file, by a path that begins at the sweep file's folder") from error
    return _READERS[source.format](path, source.target, digest)


def _check_ordinary(path: Path) -> None:
    """Others, such as pipes and devices, may have no end, or nothing to say."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise OSError("it is a folder" if stat.S_ISDIR(mode) else "it is no ordinary file")


def _builtin(name: str) -> Table:
    data = read_builtin(name)
    digest = hashlib.sha256(data.inputs.tobytes() + data.target.tobytes()).hexdigest()
    features = _index_names(data.inputs)
    target = np.array(data.classes)[data.target.astype(int)] if data.classes else data.target
    return Table(data.inputs, target, features, "y", digest, data.kind)


def _read_csv(path: Path, target: str | None, digest: str) -> Table:
    frame = _parse(path, "CSV", lambda: _csv_frame(path))
    _check_separated(frame, path, target)
    return _from_frame(frame, path, target, digest)


def _csv_frame(path: Path) -> pd.DataFrame:
    """Without pandas' guesses, which rename a second column of the same name and shift all columns where rows are too long."""
    import pandas as pd

    header = pd.read_csv(path, header=None, nrows=1, dtype=str)
    names = [str(name) for name in header.iloc[0] if not pd.isna(name)]
    if repeated := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"two columns have the name {repeated[0]!r}; rename one")
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(path, index_col=False, low_memory=False)


def _check_separated(frame: pd.DataFrame, path: Path, target: str | None) -> None:
    name = str(frame.columns[0])
    other = next((mark for mark in ";\t|" if mark in name), None)
    if len(frame.columns) == 1 and other and target != name:
        raise DataError(f"{path} has one column, {name!r}; separate columns by commas, not by {other!r}")


def _read_parquet(path: Path, target: str | None, digest: str) -> Table:
    import pandas as pd

    return _from_frame(_parse(path, "Parquet", lambda: pd.read_parquet(path)), path, target, digest)


def _parse(path: Path, kind: str, reader: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    try:
        return reader()
    except Exception as error:  # of pandas, of its parsers, and of what they take apart a compressed file with
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        cure = "" if ";" in reason else f"; see that it is a whole {kind} file" + (" in UTF-8, with commas" if kind == "CSV" else "")
        raise DataError(f"{path} cannot be read as {kind}: {reason}{cure}") from error


def _from_frame(frame: pd.DataFrame, path: Path, target: str | None, digest: str) -> Table:
    columns = [str(name) for name in frame.columns]
    frame.columns = columns
    if target is None:
        raise DataError(f"{path}: say which column is to be predicted, as in `data: {{..., target: {columns[-1]}}}`")
    if target not in columns:
        raise DataError(f"{path}: " + unknown("target column", target, columns))
    if len(frame) == 0:
        raise DataError(f"{path} has columns but no rows")
    features = frame.drop(columns=target)
    _check_numeric(features, path)
    inputs = features.to_numpy(dtype=np.float64, na_value=np.nan)
    _check_present(frame[target].isna().to_numpy(), target, path)
    return _checked(inputs, _values(frame[target]), tuple(features.columns), target, digest, path)


def _values(column: pd.Series[Any]) -> NDArray[Any]:
    """A column as NumPy's own type; pandas' nullable numbers would come as objects."""
    import pandas as pd

    if pd.api.types.is_integer_dtype(column):
        return column.to_numpy(dtype=np.int64)
    return column.to_numpy(dtype=np.float64) if pd.api.types.is_float_dtype(column) else column.to_numpy()


def _check_numeric(features: pd.DataFrame, path: Path) -> None:
    import pandas as pd

    for name, column in features.items():
        if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
            row = _first_no_number(column)
            raise DataError(
                f"{path}: column {name!r} is not numeric (it holds {str(column.iloc[row])!r} in data row {row + 1}); "
                "categorical columns are not available yet: encode it as numbers, or leave it out"
            )


def _first_no_number(column: pd.Series[Any]) -> int:
    """The row that made a column of text of one that may have numbers before it."""

    def is_number(value: object) -> bool:
        try:
            float(str(value))
        except ValueError:
            return False
        return True

    return next((row for row, value in enumerate(column) if not is_number(value)), 0)


def _read_npz(path: Path, target: str | None, digest: str) -> Table:
    wanted = ("x", target or "y")
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path} is a single array (.npy); save both with numpy.savez(path, x=..., y=...)")
        with archive:
            arrays = _members(archive, wanted, path)
    except DataError:
        raise
    except Exception as error:  # numpy's own, and those of the archive's and the headers' parsers
        reason = "it holds pickled objects, which are never loaded" if "allow_pickle" in str(error) else str(error)
        raise DataError(f"{path} cannot be read as NPZ: {reason}; save it with numpy.savez(path, x=..., y=...)") from error
    return _from_arrays(arrays[0], arrays[1], wanted[1], path, digest)


def _members(archive: Mapping[str, NDArray[Any]], wanted: Sequence[str], path: Path) -> list[NDArray[Any]]:
    for name in wanted:
        if name not in archive:
            raise DataError(f"{path}: " + unknown("array", name, archive) + f"; expected are {' and '.join(wanted)}")
    arrays = [archive[name] for name in wanted]
    for name, array in zip(wanted, arrays, strict=True):
        if not isinstance(array, np.ndarray):
            raise DataError(f"{path}: {name} is no array; save it with numpy.savez(path, x=..., y=...)")
    return arrays


def _from_arrays(x: NDArray[Any], y: NDArray[Any], target: str, path: Path, digest: str) -> Table:
    if x.ndim < 2 or x.dtype.kind not in "biuf":
        raise DataError(f"{path}: x must be numbers of shape (rows, features), got {x.dtype} of shape {x.shape}")
    if y.shape not in ((len(x),), (len(x), 1)):
        raise DataError(f"{path}: {target} must have one value for each of x's {len(x)} rows, got shape {y.shape}")
    if len(x) == 0:
        raise DataError(f"{path} has no rows")
    y = y.reshape(-1)
    if y.dtype.kind == "f":
        _check_present(np.isnan(y), target, path)
    return _checked(x.astype(np.float64), y, _index_names(x), target, digest, path)


def _index_names(x: NDArray[Any]) -> tuple[str, ...]:
    return tuple(f"x[{', '.join(map(str, index))}]" for index in np.ndindex(x.shape[1:]))


def _checked(
    inputs: NDArray[np.float64], target: NDArray[Any], features: tuple[str, ...], target_name: str, digest: str, path: Path
) -> Table:
    if inputs[0].size == 0:
        raise DataError(f"{path} has no columns besides the target {target_name!r}")
    broken = ~np.isfinite(inputs.reshape(len(inputs), -1))
    for index in np.flatnonzero(broken.any(axis=0))[:1]:
        _check_present(broken[:, index], features[index], path)
    if target.dtype.kind == "f":
        _check_present(~np.isfinite(target), target_name, path)
    return Table(inputs, target, features, target_name, digest)


def _check_present(broken: NDArray[np.bool_], column: str, path: Path) -> None:
    """No NaN, no infinity."""
    if count := int(broken.sum()):
        row = int(np.flatnonzero(broken)[0])
        raise DataError(
            f"{path}: column {column!r} has {count} missing or infinite values of {len(broken)} (the first in data row {row + 1}); "
            "fill them in, or leave the rows or the column out"
        )


_READERS: Mapping[str, Callable[[Path, str | None, str], Table]] = {"csv": _read_csv, "parquet": _read_parquet, "npz": _read_npz}
