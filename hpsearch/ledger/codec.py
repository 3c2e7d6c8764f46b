"""Bodies of events as rows, and JSON that every database keeps unchanged.

PostgreSQL refuses NaN and infinities, and its jsonb reorders keys. So JSON is kept as ASCII text (in PostgreSQL as `json`, which keeps the
text and can still be queried), and a float that is not finite is written `{"$float": "NaN"}`; a key that begins with `$` gets another one.
Metrics hold numbers alone, so theirs are plain strings, which SQL casts to floats: `(metrics ->> 'val_loss')::float`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from hpsearch.events import (
    Answered,
    Assigned,
    Begun,
    Body,
    Ended,
    Measured,
    Reported,
    Sampled,
    SweepClosed,
    SweepExtended,
    SweepOpened,
    TrialCreated,
)
from hpsearch.provenance import Provenance
from hpsearch.trial import Checkpoint, Json, SearchState, TrialKind, TrialState


class EventRow(NamedTuple):
    """A body other than a report: its kind, its trial (None: the sweep's own), the rest as JSON, and what the search remembers, apart."""

    kind: str
    trial: int | None
    payload: str
    search_state: str | None


class ReportRow(NamedTuple):
    """A report's columns; metrics and checkpoint are JSON."""

    trial: int
    attempt: int
    step: int
    metrics: str
    duration_s: float
    checkpoint: str | None


KINDS: Mapping[str, type[Body]] = {
    "sweep_opened": SweepOpened,
    "sweep_closed": SweepClosed,
    "sweep_extended": SweepExtended,
    "trial_created": TrialCreated,
    "assigned": Assigned,
    "begun": Begun,
    "measured": Measured,
    "sampled": Sampled,
    "answered": Answered,
    "ended": Ended,
}
_NAMES = {kind: name for name, kind in KINDS.items()}
_APART = frozenset({"trial", "search_state"})
_DEFAULTS = {kind: [(f.name, f.default) for f in fields(kind) if f.name not in _APART] for kind in KINDS.values()}
_DECODERS: Mapping[str, Mapping[str, Callable[[Any], Any]]] = {
    "sweep_opened": {"provenance": Provenance.from_json},
    "trial_created": {"kind": TrialKind, "state": TrialState},
    "ended": {"state": TrialState, "checkpoint": lambda checkpoint: Checkpoint(**checkpoint)},
}


def encode(body: Body) -> EventRow:
    """The row of any body but a report. Fields at their defaults are left out."""
    kind = type(body)
    payload = {name: _plain(value) for name, default in _DEFAULTS[kind] if (value := getattr(body, name)) != default or default is MISSING}
    state: SearchState | None = getattr(body, "search_state", None)
    remembered = dumps({"sweep": state.sweep, "trial": state.trial}) if state else None
    return EventRow(_NAMES[kind], getattr(body, "trial", None), dumps(payload), remembered)


def decode(row: EventRow) -> Body:
    values: dict[str, Any] = loads(row.payload)
    for name, decoder in _DECODERS.get(row.kind, {}).items():
        if name in values:
            values[name] = decoder(values[name])
    if row.trial is not None:
        values["trial"] = row.trial
    if row.search_state is not None:
        values["search_state"] = SearchState(**loads(row.search_state))
    return KINDS[row.kind](**values)


def encode_report(body: Reported) -> ReportRow:
    checkpoint = None if body.checkpoint is None else dumps(_plain(body.checkpoint))
    return ReportRow(body.trial, body.attempt, body.step, _dump_metrics(body.metrics), float(body.duration_s), checkpoint)


def decode_report(row: ReportRow) -> Reported:
    checkpoint = None if row.checkpoint is None else Checkpoint(**loads(row.checkpoint))
    duration_s = math.nan if row.duration_s is None else row.duration_s  # SQLite keeps a NaN as NULL
    return Reported(row.trial, row.attempt, row.step, _load_metrics(row.metrics), duration_s, checkpoint)


def dumps(value: Json) -> str:
    try:
        text = _encode(value)
    except ValueError:
        return _encode(_escaped(value))
    return _encode(_escaped(value)) if '"$' in text else text


def loads(text: str) -> Json:
    value = json.loads(text)
    return _unescaped(value) if '"$' in text else value


def clean(text: str | None) -> str | None:
    """Text as a column takes it: PostgreSQL refuses NUL, both refuse lone surrogates. In the payload of its event it stays as it was."""
    if text is None or (text.isascii() and "\0" not in text):
        return text
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")


def _dump_metrics(metrics: Mapping[str, float]) -> str:
    try:
        return _encode(metrics)
    except ValueError:
        return _encode({name: value if math.isfinite(value) else _NON_FINITE[str(float(value))] for name, value in metrics.items()})


def _load_metrics(text: str) -> dict[str, float]:
    metrics: dict[str, Any] = json.loads(text)
    if 'NaN"' in text or 'Infinity"' in text:
        return {name: float(value) if isinstance(value, str) else value for name, value in metrics.items()}
    return metrics


_NON_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Checkpoint):
        return {"uri": value.uri, "sha256": value.sha256, "step": value.step}
    if isinstance(value, Provenance):
        return value.to_json()
    return value


def _default(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{value!r} is not JSON")


_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_default).encode


def _escaped(value: Json) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": _NON_FINITE[str(float(value))]}
    if isinstance(value, Mapping):
        return {f"${key}" if str(key).startswith("$") else key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value


def _unescaped(value: Json) -> Json:
    if isinstance(value, dict):
        if value.keys() == {"$float"}:
            return float(value["$float"])
        return {key.removeprefix("$"): _unescaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unescaped(item) for item in value]
    return value
