"""What a trained network is given, in the form that its user has: columns by name, arrays, texts, a series; and how that becomes numbers.

A form is kept beside the network's weights as JSON, and encodes as training did, with no data at hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import InputError
from hpsearch.models.inputs import Inputs
from hpsearch.tasks.categories import OneHot, as_texts
from hpsearch.tasks.splits import Scale
from hpsearch.tasks.texts import UNKNOWN, Vocabulary, tokenize
from hpsearch.trial import Json

if TYPE_CHECKING:
    import pandas as pd

Frame: TypeAlias = "pd.DataFrame"


class Form(Protocol):
    """From examples as a user has them to what the network takes."""

    kind: ClassVar[str]

    def encode(self, given: Any) -> NDArray[Any]:
        """(examples, ...), as `Inputs` says. Raises `InputError`, `DataError`."""

    def schema(self) -> dict[str, Json]:
        """What `given` is: {"columns": [[name, type], …]}, or the {"shape": […]} of one example in an array."""

    def to_json(self) -> dict[str, Json]: ...

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self: ...


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. `type`: double, long, boolean, datetime or string; `one_hot`: of one that is no quantity."""

    name: str
    type: str
    one_hot: OneHot | None = None

    def to_json(self) -> dict[str, Json]:
        categories = self.one_hot and {"values": list(self.one_hot.values), "has_other": self.one_hot.has_other}
        return {"name": self.name, "type": self.type, "categories": categories}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        found = content["categories"]
        return cls(content["name"], content["type"], found and OneHot(tuple(found["values"]), found["has_other"]))


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of a table: its numbers, standardised, then an indicator for each value of the others, as `encode_inputs` has it."""

    kind: ClassVar[str] = "columns"

    columns: tuple[Column, ...]
    scale: Scale

    def encode(self, given: Frame) -> NDArray[np.float32]:
        """See Form. What else the table has is passed over."""
        check_columns(given, [column.name for column in self.columns])
        numeric = [column.name for column in self.columns if column.one_hot is None]
        numbers = _numbers(given, numeric)
        blocks = [self.scale.apply(numbers)]
        blocks += [column.one_hot.apply(_categories(given, column)) for column in self.columns if column.one_hot is not None]
        return np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]

    def decode(self, encoded: NDArray[np.floating[Any]]) -> Frame:
        """(rows, ...) as a table again: of a column that is no quantity the value whose indicator is largest."""
        import pandas as pd

        numeric = [column for column in self.columns if column.one_hot is None]
        numbers = encoded[:, : len(numeric)].astype(np.float64) * self.scale.deviation + self.scale.mean
        made: dict[str, Any] = {column.name: numbers[:, index] for index, column in enumerate(numeric)}
        begin = len(numeric)
        for column in self.columns[len(numeric) :]:
            assert column.one_hot is not None, "numbers come first"
            names = np.array(column.one_hot.names, dtype=object)
            made[column.name] = names[encoded[:, begin : begin + len(names)].argmax(1)]
            begin += len(names)
        return pd.DataFrame(made)

    def schema(self) -> dict[str, Json]:
        return {"columns": [[column.name, column.type] for column in self.columns]}

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "columns": [column.to_json() for column in self.columns], **scale_to_json(self.scale)}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(tuple(map(Column.from_json, content["columns"])), scale_from_json(content))


@dataclass(frozen=True, slots=True)
class Array:
    """Examples as one array, (examples, *shape): rows of numbers, sequences, or images with pixels in the range that training had."""

    kind: ClassVar[str] = "array"

    inputs: Inputs
    scale: Scale

    def encode(self, given: NDArray[Any]) -> NDArray[np.float32]:
        """See Form."""
        values = np.asarray(given)
        if values.shape[1:] != self.inputs.shape:
            raise InputError(f"examples must have the shape (examples, {', '.join(map(str, self.inputs.shape))}), got {values.shape}")
        return self.scale.apply(values)

    def decode(self, encoded: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """(examples, *shape) in the units that they were given in."""
        decoded: NDArray[np.float64] = encoded.astype(np.float64) * self.scale.deviation + self.scale.mean
        return decoded

    def schema(self) -> dict[str, Json]:
        return {"shape": list(self.inputs.shape)}

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "inputs": self.inputs.to_json(), **scale_to_json(self.scale)}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(Inputs.from_json(content["inputs"]), scale_from_json(content))


@dataclass(frozen=True, slots=True)
class Words:
    """A column of texts, as the ids of their first words. `inputs` bounds how many words are read, and how many are known."""

    kind: ClassVar[str] = "words"

    column: str
    vocabulary: Vocabulary
    inputs: Inputs

    def encode(self, given: Frame) -> NDArray[np.int64]:
        """See Form."""
        check_columns(given, [self.column])
        if others := [value for value in given[self.column] if not isinstance(value, str)]:
            raise InputError(f"column {self.column!r} must hold texts, got {others[0]!r}")
        ids = self.vocabulary.encode([tokenize(text) for text in given[self.column]], self.inputs.shape[0]).astype(np.int64)
        ids[ids >= self.inputs.vocabulary] = UNKNOWN
        return ids

    def schema(self) -> dict[str, Json]:
        return {"columns": [[self.column, "string"]]}

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "column": self.column, "words": list(self.vocabulary.ids), "inputs": self.inputs.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(content["column"], Vocabulary.of(content["words"]), Inputs.from_json(content["inputs"]))


@dataclass(frozen=True, slots=True)
class Steps:
    """The latest steps of a series, oldest first, in columns by name; what is before the last `window` of them is not looked at."""

    kind: ClassVar[str] = "steps"

    columns: tuple[Column, ...]
    scale: Scale
    window: int

    def encode(self, given: Frame) -> NDArray[np.float32]:
        """See Form: one example, (1, window, columns)."""
        names = [column.name for column in self.columns]
        check_columns(given, names)
        if len(given) < self.window:
            raise InputError(f"a forecast needs the last {self.window} steps of the series, got {len(given)}")
        return self.scale.apply(_numbers(given, names)[-self.window :])[None]

    def schema(self) -> dict[str, Json]:
        return {"columns": [[column.name, column.type] for column in self.columns]}

    def to_json(self) -> dict[str, Json]:
        return {
            "kind": self.kind,
            "columns": [column.to_json() for column in self.columns],
            "window": self.window,
            **scale_to_json(self.scale),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(tuple(map(Column.from_json, content["columns"])), scale_from_json(content), content["window"])


MOST_DRAWN = 10_000
"""Examples that are made by one row that asks for them."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How many examples are to be made, and from which random numbers: one row for each lot."""

    kind: ClassVar[str] = "draws"

    latent_size: int

    def encode(self, given: Frame) -> NDArray[np.float32]:
        """See Form: (examples, latent_size) from N(0, 1)."""
        check_columns(given, ["examples", "seed"])
        lots = zip(given["examples"].tolist(), given["seed"].tolist(), strict=True)
        return np.concatenate([draw_latent(_count(examples), int(seed), self.latent_size) for examples, seed in lots])

    def schema(self) -> dict[str, Json]:
        return {"columns": [["examples", "long"], ["seed", "long"]]}

    def to_json(self) -> dict[str, Json]:
        return {"kind": self.kind, "latent_size": self.latent_size}

    @classmethod
    def from_json(cls, content: Mapping[str, Json]) -> Self:
        return cls(content["latent_size"])


FORMS: Mapping[str, type[Form]] = {form.kind: form for form in (Columns, Array, Words, Steps, Draws)}


def draw_latent(examples: int, seed: int, size: int) -> NDArray[np.float32]:
    """(examples, size) from N(0, 1), by torch's generator on the CPU: the same on every device."""
    import torch

    drawn: NDArray[np.float32] = torch.randn(examples, size, generator=torch.Generator().manual_seed(seed)).numpy()
    return drawn


def _count(examples: int) -> int:
    if not 0 < examples <= MOST_DRAWN:
        raise InputError(f"examples must be from 1 to {MOST_DRAWN:,}, got {examples}")
    return int(examples)


def check_columns(given: object, names: Sequence[str]) -> None:
    """`given` is a data frame that has these columns. Raises `InputError`."""
    import pandas as pd

    if not isinstance(given, pd.DataFrame):
        raise InputError(f"must be a data frame with the columns {', '.join(names)}, got a {type(given).__name__}")
    if missing := [name for name in names if name not in given.columns]:
        raise InputError(f"the data frame lacks {', '.join(map(repr, missing))}; it has {', '.join(map(repr, given.columns))}")


def _numbers(given: Frame, names: Sequence[str]) -> NDArray[np.float64]:
    """(rows, columns), all finite."""
    numbers = given[list(names)].to_numpy(dtype=np.float64, na_value=np.nan)
    if (broken := ~np.isfinite(numbers)).any():
        row, column = (int(axis[0]) for axis in np.nonzero(broken))
        raise InputError(f"column {names[column]!r} has {numbers[row, column]} in row {row + 1}; the network was trained on numbers alone")
    return numbers


def _categories(given: Frame, column: Column) -> NDArray[np.str_]:
    """(rows,): where missing values have made numbers of a column doubles, 1 is "1.0", now as then."""
    values = given[column.name]
    return as_texts(values.astype("float64") if column.type == "double" else values)


def scale_to_json(scale: Scale) -> dict[str, Json]:
    """Whole: numbers in JSON are exact."""
    return {"mean": scale.mean.tolist(), "deviation": scale.deviation.tolist()}


def scale_from_json(content: Mapping[str, Json]) -> Scale:
    return Scale(np.array(content["mean"], dtype=np.float64), np.array(content["deviation"], dtype=np.float64))


def frame_to_json(frame: Frame) -> dict[str, Json]:
    """A data frame whole, column by column with its type."""
    return {"columns": [{"name": str(name), "type": column_type(frame[name]), "values": _values(frame[name])} for name in frame.columns]}


def frame_from_json(content: Mapping[str, Json]) -> Frame:
    """What `frame_to_json` was given, but that texts are no categories any more."""
    return make_frame([(column["name"], column["type"], column["values"]) for column in content["columns"]])


def frame_to_arrays(frame: Frame) -> dict[str, NDArray[Any]]:
    """The same as arrays, for long tables: what the columns are, those of numbers as they are, and others as JSON."""
    kinds = [[str(name), column_type(frame[name])] for name in frame.columns]
    arrays = {"columns": np.array(json.dumps(kinds))}
    for name, kind in kinds:
        values = _values(frame[name])
        arrays[f"column{len(arrays)}"] = np.array(values, dtype=_DTYPES[kind]) if kind in _NUMERIC else np.array(json.dumps(values))
    return arrays


def frame_from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Frame:
    """What `frame_to_arrays` was given."""
    kinds = json.loads(str(arrays["columns"]))
    stored = [arrays[f"column{index}"] for index in range(1, len(kinds) + 1)]
    read = [array if kind in _NUMERIC else json.loads(str(array)) for (_, kind), array in zip(kinds, stored, strict=True)]
    return make_frame([(name, kind, values) for (name, kind), values in zip(kinds, read, strict=True)])


def make_frame(columns: Iterable[tuple[str, str, Any]]) -> Frame:
    """Of the name, the type and the values of each column."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(values, dtype=_DTYPES[kind]) for name, kind, values in columns})


_NUMERIC = ("double", "long", "boolean")
_DTYPES = {"double": "float64", "long": "int64", "boolean": "bool", "datetime": "datetime64[ns]", "string": "object"}


def column_type(column: pd.Series[Any]) -> str:
    """One of double, long, boolean, datetime and string; nullable numbers with gaps are doubles."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column) and not column.isna().any():
        return "boolean"
    if pd.api.types.is_integer_dtype(column) and not column.isna().any():
        return "long"
    if pd.api.types.is_numeric_dtype(column):
        return "double"
    return "datetime" if pd.api.types.is_datetime64_dtype(column) else "string"


def _values(column: pd.Series[Any]) -> list[Json]:
    import pandas as pd

    kind = column_type(column)
    if kind == "double":
        return list(column.to_numpy(dtype=np.float64, na_value=np.nan).tolist())
    if kind in ("long", "boolean"):
        return list(column.tolist())
    return [None if pd.isna(value) else value.isoformat() if kind == "datetime" else str(value) for value in column]
