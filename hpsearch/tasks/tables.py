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
from hpsearch.tasks.categories import find_categorical
from hpsearch.trial import Json

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table comes from.

    Args:
        format: builtin, csv, parquet, npz, idx or images.
        place: a data set's name, or the path of a file or folder.
        target: the column to be predicted.
        needs_target: whether there must be one.
        categorical: columns of numbers that are no quantities.
        size: height and width that images are brought to; None: they have one size.
        channels: of images: rgb or grey; None: grey if all are.
    """

    format: str
    place: str
    target: str | None = None
    needs_target: bool = True
    categorical: tuple[str, ...] = ()
    size: int | None = None
    channels: str | None = None

    def __str__(self) -> str:
        return self.place


@dataclass(frozen=True, slots=True)
class Table:
    """Examples and what is to be predicted, all finite.

    Args:
        inputs: (rows, ...); 64 bits, but for images, which have 32.
        target: (rows,) of numbers or strings; None where none is needed and there is none.
        features: a name for each input of an example, flattened.
        digest: SHA-256 (hex) of the raw data.
        kind: what one example is; images are in [0, 1].
        categorical: (rows,) strings of each column that is no number; rows alone have them.
        test_rows: the rows that whoever published the data has set apart for the test; None: nobody has.
        files: the file of each row, where each has its own.
        frame: the columns as they were read, without the target; None where they are an array.
    """

    inputs: NDArray[np.floating[Any]]
    target: NDArray[Any] | None
    features: tuple[str, ...]
    target_name: str
    digest: str
    kind: InputKind = "rows"
    categorical: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    test_rows: NDArray[np.intp] | None = None
    files: Sequence[str] = ()
    frame: pd.DataFrame | None = None

    def place(self, row: int) -> str:
        """Where a person finds a row, numbered from 0: `data row 12`, `cat/07.png`, `test row 3` of a published test set."""
        if self.files:
            return self.files[row]
        if self.test_rows is not None and row in self.test_rows:
            return f"test row {int(np.searchsorted(self.test_rows, row)) + 1}"
        return f"data row {row + 1}"

    @property
    def columns(self) -> dict[str, Json]:
        """See Digested. Examples that are no rows are one column, x, of their shape."""
        if self.kind == "rows":
            found: dict[str, Json] = {**dict.fromkeys(self.features, "double"), **dict.fromkeys(self.categorical, "string")}
        else:
            found = {"x": list(self.inputs.shape[1:])}
        return found if self.target is None else {**found, self.target_name: type_of(self.target)}

    @property
    def labels(self) -> NDArray[Any]:
        """The target of a table that was to have one."""
        assert self.target is not None, "a table without its target is refused when it is read"
        return self.target


def type_of(values: NDArray[Any]) -> str:
    """As a schema has it."""
    return {"f": "double", "i": "long", "u": "long", "b": "boolean"}.get(values.dtype.kind, "string")


def read(source: Source) -> Table:
    """Reads a table.

    Raises:
        DataError: it is not there, cannot be read, or holds what cannot be trained on.
    """
    if source.format == "builtin":
        return _builtin(source.place)
    if source.format in ("idx", "images"):
        return _pictures(source)
    return _read_npz(source) if source.format == "npz" else _read_columns(source)


def _digest_of_file(path: Path) -> str:
    try:
        _check_ordinary(path)
        return digest_of(path.read_bytes())
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path} cannot be read: {reason}; name a file, by a path that begins at the sweep file's folder") from error


def digest_of(data: bytes) -> str:
    """SHA-256 (hex)."""
    return hashlib.sha256(data).hexdigest()


def read_frame(source: Source) -> tuple[pd.DataFrame, str]:
    """A CSV or Parquet file as it is, its column names as text, and its digest. Raises `DataError`."""
    path = Path(source.place)
    digest = _digest_of_file(path)
    if source.format == "csv":
        frame = _parse(path, "CSV", lambda: _csv_frame(path))
        _check_separated(frame, path, source.target)
    else:
        frame = _parse(path, "Parquet", lambda: _parquet_frame(path))
    frame.columns = [str(name) for name in frame.columns]
    if len(frame) == 0:
        raise DataError(f"{path} has columns but no rows")
    return frame, digest


def _parquet_frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(path)


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


def _pictures(source: Source) -> Table:
    from hpsearch.tasks.images import read_folder, read_idx

    folder = Path(source.place)
    pictures = read_idx(folder) if source.format == "idx" else read_folder(folder, source.size, source.channels)
    names = np.array(pictures.classes)[pictures.labels] if pictures.classes else pictures.labels
    return Table(pictures.images, names, (), "class", pictures.digest, "image", test_rows=pictures.test_rows, files=pictures.files)


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


def _parse(path: Path, kind: str, reader: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    try:
        return reader()
    except Exception as error:  # of pandas, of its parsers, and of what they take apart a compressed file with
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        cure = "" if ";" in reason else f"; see that it is a whole {kind} file" + (" in UTF-8, with commas" if kind == "CSV" else "")
        raise DataError(f"{path} cannot be read as {kind}: {reason}{cure}") from error


def _read_columns(source: Source) -> Table:
    path = Path(source.place)
    frame, digest = read_frame(source)
    columns = list(frame.columns)
    target = source.target
    if target is None and source.needs_target:
        raise DataError(f"{path}: say which column is to be predicted, as in `data: {{..., target: {columns[-1]}}}`")
    if target is not None and target not in columns:
        raise DataError(f"{path}: " + unknown("target column", target, columns))
    features = frame if target is None else frame.drop(columns=target)
    categorical = find_categorical(features, source.categorical, path)
    numeric = features.drop(columns=list(categorical))
    inputs = numeric.to_numpy(dtype=np.float64, na_value=np.nan)
    if target is not None:
        check_present(frame[target].isna().to_numpy(), target, path)
    labels = None if target is None else column_values(frame[target])
    return _checked(Table(inputs, labels, tuple(numeric.columns), target or "", digest, categorical=categorical, frame=features), path)


def column_values(column: pd.Series[Any]) -> NDArray[Any]:
    """A column as NumPy's own type; pandas' nullable numbers would come as objects."""
    import pandas as pd

    if pd.api.types.is_integer_dtype(column):
        return column.to_numpy(dtype=np.int64)
    return column.to_numpy(dtype=np.float64) if pd.api.types.is_float_dtype(column) else column.to_numpy()


def _read_npz(source: Source) -> Table:
    path = Path(source.place)
    digest = _digest_of_file(path)
    target = source.target or "y"
    try:
        archive = np.load(path, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise DataError(f"{path} is a single array (.npy); save both with numpy.savez(path, x=..., y=...)")
        with archive:
            x = _member(archive, "x", path)
            y = _member(archive, target, path) if source.needs_target or source.target or target in archive else None
    except DataError:
        raise
    except Exception as error:  # numpy's own, and those of the archive's and the headers' parsers
        reason = "it holds pickled objects, which are never loaded" if "allow_pickle" in str(error) else str(error)
        raise DataError(f"{path} cannot be read as NPZ: {reason}; save it with numpy.savez(path, x=..., y=...)") from error
    return _from_arrays(x, y, target, path, digest)


def _member(archive: Mapping[str, NDArray[Any]], name: str, path: Path) -> NDArray[Any]:
    if name not in archive:
        raise DataError(f"{path}: {unknown('array', name, archive)}; expected are x, and {'y' if name == 'x' else name}, the target")
    array = archive[name]
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: {name} is no array; save it with numpy.savez(path, x=..., y=...)")
    return array


_KINDS: Mapping[int, InputKind] = {2: "rows", 3: "sequence", 4: "image"}


def _from_arrays(x: NDArray[Any], y: NDArray[Any] | None, target: str, path: Path, digest: str) -> Table:
    if x.ndim not in _KINDS or x.dtype.kind not in "biuf":
        raise DataError(
            f"{path}: x must be numbers of shape (rows, features), (rows, steps, features) or (rows, channels, height, width), "
            f"got {x.dtype} of shape {x.shape}"
        )
    if len(x) == 0:
        raise DataError(f"{path} has no rows")
    if y is not None:
        if y.shape not in ((len(x),), (len(x), 1)):
            raise DataError(f"{path}: {target} must have one value for each of x's {len(x)} rows, got shape {y.shape}")
        y = y.reshape(-1)
        if y.dtype.kind == "f":
            check_present(np.isnan(y), target, path)
    kind = _KINDS[x.ndim]
    with np.errstate(over="ignore"):  # what 32 bits cannot hold is infinite, and refused below
        inputs = x.astype(np.float32) / (255 if x.dtype == np.uint8 else 1) if kind == "image" else x.astype(np.float64)
    return _checked(Table(inputs, y, _index_names(x), target, digest, kind), path)


def _index_names(x: NDArray[Any]) -> tuple[str, ...]:
    return tuple(f"x[{', '.join(map(str, index))}]" for index in np.ndindex(x.shape[1:]))


def _checked(table: Table, path: Path) -> Table:
    if table.inputs[0].size == 0 and not table.categorical:
        raise DataError(f"{path} has no columns besides the target {table.target_name!r}")
    broken = ~np.isfinite(table.inputs.reshape(len(table.inputs), -1))
    for index in np.flatnonzero(broken.any(axis=0))[:1]:
        check_present(broken[:, index], table.features[index], path)
    if table.target is not None and table.target.dtype.kind == "f":
        check_present(~np.isfinite(table.target), table.target_name, path)
    return table


def check_present(broken: NDArray[np.bool_], column: str, path: Path) -> None:
    """No NaN, no infinity."""
    if count := int(broken.sum()):
        row = int(np.flatnonzero(broken)[0])
        raise DataError(
            f"{path}: column {column!r} has {count} missing or infinite values of {len(broken)} (the first in data row {row + 1}); "
            "fill them in, or leave the rows or the column out"
        )
