"""The space, the constraints and the baselines as a sweep file writes them: read, written, and described for editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from hpsearch.config.fields import Problems, keys
from hpsearch.space import Categorical, Constraint, Float, Int, Parameter, SearchSpace, SpaceError
from hpsearch.space.search_space import MOST_PARAMETERS, NAME
from hpsearch.space.values import check_value, show
from hpsearch.trial import Json

EXAMPLE = "{learning_rate: {min: 1e-5, max: 0.1, log: true}}"
_RANGE = ("min", "max", "log", "step", "when")
_CHOICE = ("values", "when")


def read_space(raw: Any) -> SearchSpace:
    """From the file's mapping. Raises `Problems`."""
    if isinstance(raw, SearchSpace):
        return raw
    if not isinstance(raw, Mapping):
        raise Problems.one(f"must be a mapping of hyperparameters, got {show(raw)}; for example {EXAMPLE}")
    parameters: dict[str, Parameter] = {}
    fixed: dict[str, Json] = {}
    problems: list[tuple[tuple[str | int, ...], str]] = []
    for name, value in raw.items():
        try:
            if isinstance(value, Mapping):
                parameters[name] = _read_parameter(value)
            else:
                fixed[name] = check_value(value)
        except SpaceError as error:
            problems.append(((name,), str(error)))
        except Problems as wrong:
            problems.extend(((name, *path), text) for path, text in wrong.problems)
    if problems:
        raise Problems(problems)
    try:
        return SearchSpace(parameters, fixed)
    except SpaceError as error:
        raise Problems.of(error) from None


def _read_parameter(raw: Mapping[str, Any]) -> Parameter:
    known = _CHOICE if "values" in raw else _RANGE
    if "values" in raw and (both := [key for key in raw if key in _RANGE and key != "when"]):
        raise Problems.one(f"values and {both[0]} do not go together; remove one of them", both[0])
    given = keys(raw, known if "values" in raw else (*_RANGE, "values"), example=EXAMPLE)
    given = {key: value for key, value in given.items() if not (key in ("step", "when") and value is None)}
    if "values" in given:
        return Categorical(**given)
    if missing := [key for key in ("min", "max") if key not in given]:
        raise Problems.one(f"{missing[0]} is missing; give min and max, or values, or a single value")
    bounds = [given[key] for key in ("min", "max", "step") if key in given]
    whole = all(isinstance(bound, int) and not isinstance(bound, bool) for bound in bounds)
    return Int(**given) if whole else Float(**given)


def write_space(space: SearchSpace) -> dict[str, Json]:
    """As `read_space` reads it."""
    return {name: _write_parameter(p) for name, p in space.parameters.items()} | dict(space.fixed)


def _write_parameter(parameter: Parameter) -> dict[str, Json]:
    written: dict[str, Json]
    if isinstance(parameter, Categorical):
        written = {"values": list(parameter.values)}
    else:
        written = {"min": parameter.min, "max": parameter.max}
        if parameter.log:
            written["log"] = True
        if parameter.step not in (None, 1) or isinstance(parameter.step, float):
            written["step"] = parameter.step
    if parameter.when:
        written["when"] = {parent: list(values) for parent, values in parameter.when.items()}
    return written


def read_constraint(raw: Any) -> Constraint:
    """From the file's mapping. Raises `Problems`."""
    if isinstance(raw, Constraint):
        return raw
    example = "{metric: parameters, max: 200000}"
    given = keys(raw, ("metric", "min", "max"), example=example)
    if "metric" not in given:
        raise Problems.one(f"metric is missing; for example {example}")
    try:
        return Constraint(**given)
    except SpaceError as error:
        raise Problems.of(error) from None


def write_constraint(constraint: Constraint) -> dict[str, Json]:
    """As `read_constraint` reads it."""
    written = {"metric": constraint.metric, "min": constraint.min, "max": constraint.max}
    return {key: value for key, value in written.items() if value is not None}


def read_configuration(raw: Any) -> dict[str, Json]:
    """A baseline: a mapping from names to single values. Whether the space has them is checked later."""
    if not isinstance(raw, Mapping):
        raise Problems.one(f"must be a mapping such as {{learning_rate: 0.001, dropout: 0.1}}, got {show(raw)}")
    return {name: _value(name, value) for name, value in raw.items()}


def _value(name: str, raw: Any) -> Json:
    try:
        return check_value(raw)
    except SpaceError as error:
        raise Problems.of(error, name) from None


_SCALAR = {"type": ["string", "number", "boolean", "null"]}
_VALUE = {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}
_WHEN = {
    "type": "object",
    "minProperties": 1,
    "description": "By parent parameter, the value (or list of values) with which this one counts.",
    "additionalProperties": _VALUE,
}
_NUMBERS = {
    "type": "object",
    "description": "A range: of integers where min, max and step are integers.",
    "properties": {
        "min": {"type": "number", "description": "The smallest value."},
        "max": {"type": "number", "description": "The largest value."},
        "log": {"type": "boolean", "description": "Search on a logarithmic scale; min must be > 0."},
        "step": {"type": ["number", "null"], "exclusiveMinimum": 0, "description": "Between neighbouring values."},
        "when": _WHEN,
    },
    "required": ["min", "max"],
    "additionalProperties": False,
}
_CHOICES = {
    "type": "object",
    "description": "One of the values.",
    "properties": {"values": {"type": "array", "minItems": 1, "items": _VALUE}, "when": _WHEN},
    "required": ["values"],
    "additionalProperties": False,
}
_SPACE = {
    "type": "object",
    "propertyNames": {"pattern": f"^{NAME.pattern}$"},
    "maxProperties": MOST_PARAMETERS,
    "additionalProperties": {"anyOf": [_NUMBERS, _CHOICES, _VALUE]},
}
_CONSTRAINT = {
    "type": "object",
    "properties": {"metric": {"type": "string"}, "min": {"type": "number"}, "max": {"type": "number"}},
    "required": ["metric"],
    "anyOf": [{"required": ["min"]}, {"required": ["max"]}],
    "additionalProperties": False,
}


SpaceField = Annotated[SearchSpace, PlainValidator(read_space), PlainSerializer(write_space), WithJsonSchema(_SPACE)]
ConstraintField = Annotated[Constraint, PlainValidator(read_constraint), PlainSerializer(write_constraint), WithJsonSchema(_CONSTRAINT)]
Configuration = Annotated[
    Mapping[str, Any],
    PlainValidator(read_configuration),
    PlainSerializer(dict),
    WithJsonSchema({"type": "object", "additionalProperties": _VALUE}),
]
