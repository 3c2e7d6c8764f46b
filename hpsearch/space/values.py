"""Values of parameters: what they may be, when two are the same, how they are shown."""

from __future__ import annotations

import json
import math

from hpsearch.trial import Json

LARGEST_BITS = 1023
"""Larger integers are no floats."""

_LONGEST_SHOWN = 80


class SpaceError(ValueError):
    """A space, parameter or configuration that cannot be. `path` says where below what was checked, such as ("momentum", "when")."""

    def __init__(self, message: str, *path: str) -> None:
        super().__init__(message)
        self.path = path

    def below(self, *path: str) -> SpaceError:
        """The same error, seen from further above."""
        return SpaceError(str(self), *path, *self.path)


def show(value: Json) -> str:
    """As it would be written in a sweep file, cut where it is long; strings in quotes."""
    text = repr(value) if isinstance(value, str | float) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def same(a: Json, b: Json) -> bool:
    """Whether two values are one: 1 and 1.0 are, 0.3 and 0.1 + 0.2 are, 1 and true are not."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, float) or isinstance(b, float):
        return isinstance(a, int | float) and isinstance(b, int | float) and math.isclose(a, b, rel_tol=1e-9)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and bool(a == b)


def check_value(value: Json) -> Json:
    """A string, number, true, false, null or a list of these, lists for tuples. Raises `SpaceError` for anything else."""
    if isinstance(value, list | tuple):
        return [check_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(f"must be finite, got {value}")
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        raise SpaceError("must be at most about 1e308 in size")
    if value is not None and not isinstance(value, str | bool | int | float):
        raise SpaceError(f"must be a number, a string, true, false, null or a list of these, got {show(value)}")
    return value


def check_number(name: str, value: object) -> None:
    """Raises `SpaceError` unless `value` is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpaceError(f"{name} must be a number, got {show(value)}", name)
    if isinstance(value, int) and value.bit_length() > LARGEST_BITS:
        raise SpaceError(f"{name} must be at most about 1e308 in size", name)
    if not math.isfinite(value):
        raise SpaceError(f"{name} must be finite, got {value}", name)
