"""The building blocks of the models: durations, plain values, and errors that know where they belong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from hpsearch.errors import unknown
from hpsearch.space.values import SpaceError, show

Where: TypeAlias = tuple[str | int, ...]


class Problems(ValueError):
    """What is wrong, each with its path below the value that was being checked."""

    def __init__(self, problems: Iterable[tuple[Where, str]]) -> None:
        super().__init__("problems")
        self.problems = tuple(problems)

    @classmethod
    def one(cls, message: str, *path: str | int) -> Problems:
        return cls([(path, message)])

    @classmethod
    def of(cls, error: SpaceError, *path: str | int) -> Problems:
        """A space's error, below `path`. What is wrong with the bounds of one parameter is said of the parameter."""
        return cls([((*path, *error.path), str(error))])


class Section(BaseModel):
    """A part of a sweep file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d) ?)+")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")


def seconds(value: Any) -> Any:
    """`10s`, `30m`, `1h30m`, `2h`, `500ms`, `1d`, or a number of seconds."""
    if isinstance(value, str) and _DURATION.fullmatch(value.strip() + " "):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Problems.one(f"must be a duration such as 10s, 30m or 2h, or a number of seconds, got {show(value)}")
    return float(value)


def _schema_of_seconds(bound: Mapping[str, int]) -> WithJsonSchema:
    text = {"type": "string", "pattern": f"^{_DURATION.pattern}$"}
    return WithJsonSchema({"anyOf": [{"type": "number", **bound}, text]})


def gpus(value: Any) -> Any:
    """A number, or `auto`."""
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1024):
        raise Problems.one(f"must be a number of GPUs from 0 to 1024, such as 1 or 0.25, or auto, got {show(value)}")
    return value


_GPUS = WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1024}, {"const": "auto"}]})
Gpus = Annotated[float | Literal["auto"], BeforeValidator(gpus), _GPUS]
Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0, le=1e9), _schema_of_seconds({"exclusiveMinimum": 0})]
SecondsOrZero = Annotated[float, BeforeValidator(seconds), Field(ge=0, le=1e9), _schema_of_seconds({"minimum": 0})]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
CountOrZero = Annotated[int, Field(ge=0, le=2**31 - 1)]


def printable(what: str, most_bytes: int) -> BeforeValidator:
    """A string that can be shown on a line; `most_bytes` in UTF-8."""

    def check(value: Any) -> Any:
        if isinstance(value, str):
            if not value.strip():
                raise Problems.one(f"must not be empty; give {what}")
            if not value.isprintable():
                raise Problems.one(f"must have no control or invisible characters, got {ascii(value)[:80]}; write {what} on one line")
            if len(value.encode()) > most_bytes:
                raise Problems.one(f"must be at most {most_bytes} bytes long, got {len(value.encode())}; shorten it")
        return value

    return BeforeValidator(check)


def keys(value: Any, known: Iterable[str], *, example: str) -> dict[str, Any]:
    """`value` as a mapping that has none but the known keys. Raises `Problems`."""
    if not isinstance(value, Mapping):
        raise Problems.one(f"must be a mapping such as {example}, got {show(value)}")
    names = list(known)
    wrong = [((key,), unknown("key", key, names)) for key in value if key not in names]
    if wrong:
        raise Problems(wrong)
    return dict(value)


def as_tuple(value: Any) -> Any:
    """Lists become tuples; the rest is left to be refused."""
    return tuple(value) if isinstance(value, list) else value
