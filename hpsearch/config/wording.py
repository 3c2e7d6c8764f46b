"""Pydantic's errors in our words: the fact, the value, the cure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from hpsearch.config.fields import Problems, Where
from hpsearch.config.origin import Origin, dotted
from hpsearch.errors import unknown
from hpsearch.space.values import show
from hpsearch.trial import Json

Model: TypeAlias = type[BaseModel]

MOST = 20
"""Of errors told at a time."""

_KINDS = {
    "int": "an integer",
    "float": "a number",
    "string": "a string",
    "bool": "true or false",
    "tuple": "a list",
    "list": "a list",
    "dict": "a mapping",
    "mapping": "a mapping",
    "model": "a mapping",
    "union": "a name or a mapping",
    "finite": "finite",
}
_BOUNDS = {"greater_than": (">", "gt"), "greater_than_equal": (">=", "ge"), "less_than": ("<", "lt"), "less_than_equal": ("<=", "le")}


def problems_of(error: ValidationError, model: Model, data: Json) -> list[tuple[Where, str]]:
    """Each error with its path in `data` (the file's, not the model's), in the order of the file's paths as pydantic checked them."""
    found: list[tuple[Where, str]] = []
    for detail in error.errors(include_url=False):
        for path, text in _problems(detail, model):
            placed = (_in_file(path, data), text)
            if placed not in found:
                found.append(placed)
    return found if len(found) <= MOST else [*found[:MOST], ((), f"and {len(found) - MOST} more")]


def say(origin: Origin, path: Where, text: str) -> str:
    """`digits.yaml, line 9: space.dropout: max must …`."""
    key = dotted(path)
    where = origin.where(key)
    shown = key if key.isprintable() else ascii(key)
    return f"{where}: {shown}: {text}" if key else f"{where}: {text}"


def _problems(detail: Any, model: Model) -> Iterator[tuple[Where, str]]:
    path: Where = detail["loc"]
    cause = detail.get("ctx", {}).get("error")
    if isinstance(cause, Problems):
        yield from (((*path, *below), text) for below, text in cause.problems)
    elif detail["type"] == "too_short" and detail["input"]:
        return  # its items are wrong, and told of already
    elif cause is not None:
        yield path, str(cause)
    else:
        yield path, _text(detail, *_find(path, model))


def _text(detail: Any, owner: Model | None, field: FieldInfo | None) -> str:
    kind: str = detail["type"]
    value, name = detail["input"], detail["loc"][-1] if detail["loc"] else ""
    if kind == "extra_forbidden":
        return unknown("key", name, _keys(owner)) if owner else "is not known here; remove it"
    if kind == "missing":
        return f"is missing; add it{_example(field, name)}"
    if kind == "literal_error" and field is not None:
        return unknown("value", value, map(str, _literals(field)))
    if kind in _BOUNDS:
        sign, bound = _BOUNDS[kind]
        return f"must be {sign} {_bound(detail['ctx'][bound])}, got {show(value)}{_example(field)}"
    if kind == "too_short":
        return f"must not be empty{_example(field)}"
    quoted = f'; put it in quotes: "{show(value)}"' if kind == "string_type" and _is_plain(value) else ""
    expected = _KINDS.get(kind.split("_")[0])
    return f"must be {expected}, got {show(value)}{quoted or _example(field)}" if expected else f"cannot be {show(value)}{_example(field)}"


def _bound(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _is_plain(value: Json) -> bool:
    return isinstance(value, int | float)


def _example(field: FieldInfo | None, name: object = None) -> str:
    if field is None or not field.examples:
        return ""
    example = flow(field.examples[0])
    return f", for example {name}: {example}" if name else f"; for example {example}"


def flow(value: Json) -> str:
    """A value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return value if isinstance(value, str) else show(value)


def _find(path: Where, model: Model) -> tuple[Model | None, FieldInfo | None]:
    """The model whose key the path ends with, and the nearest field of the path."""
    owner: Model | None = model
    field: FieldInfo | None = None
    for part in (part for part in path if isinstance(part, str) and not _is_tag(part)):
        if field is not None:
            owner = _model_in(field.annotation)
        if owner is None:
            break
        named = {info.alias or name: info for name, info in owner.model_fields.items()}
        if part not in named:
            return owner, None
        field = named[part]
    return owner, field


def _keys(model: Model) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_in(annotation: Any) -> Model | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _literals(field: FieldInfo) -> tuple[Any, ...]:
    return get_args(field.annotation)


def _is_tag(part: str | int) -> bool:
    return isinstance(part, str) and part.startswith("<")


def _in_file(path: Where, data: Json) -> Where:
    """Without what the model has and the file has not: tags of unions, and the place of an objective that stands alone."""
    kept: list[str | int] = []
    for part in path:
        if (
            _is_tag(part)
            or part == "[key]"
            or (isinstance(part, int) and not isinstance(data, list))
            or (part == "options" and not _has(data, part))
        ):
            continue
        kept.append(part)
        data = data[part] if _has(data, part) else None
    return tuple(kept)


def _has(data: Json, part: str | int) -> bool:
    if isinstance(part, int):
        return isinstance(data, list) and part < len(data)
    return isinstance(data, Mapping) and part in data
