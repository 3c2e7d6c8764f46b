"""What runs are found by, and how names and values are fitted to what MLflow takes."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re

from hpsearch.ledger.codec import clean
from hpsearch.ledger.face import Sweep
from hpsearch.trial import Json

SWEEP_KEY = "hpsearch.sweep_key"
TRIAL_KEY = "hpsearch.trial_key"
CONFIG = "hpsearch.config"
ARTIFACTS = "hpsearch.artifacts"
REPORT = "hpsearch.report"
MODEL = "hpsearch.model"
MODEL_KEY = "hpsearch.model_key"
VERDICT = "hpsearch.verdict"
ENVIRONMENT = "hpsearch.environment"
WINNER = "hpsearch.winner"
EXPORT = "hpsearch.export"
PARENT_RUN = "mlflow.parentRunId"
NOTE = "mlflow.note.content"

EXPORT_FILE = "winner.yaml"
"""What the winner's sweep file is called among the artifacts of the sweep's run."""

SYSTEM = "system/"
"""Begins the keys of what MLflow's UI shows among a run's system metrics."""

MAX_NAME = 250
MAX_PARAM = 6_000
MAX_TAG = 8_000

_UNSAFE_IN_KEY = re.compile(r"[^\w.-]")
_NAME = re.compile(r"[/\w.\- :]+")
_UNSAFE_IN_NAME = re.compile(r"[^\w.\- :]")


def sweep_key(sweep: Sweep) -> str:
    """What tells a sweep from any other, also from one of the same name that was deleted. Nothing in it needs quoting in a search."""
    return f"{_UNSAFE_IN_KEY.sub('_', sweep.name)}@{sweep.created_ms}"


def trial_key(sweep: str, number: int) -> str:
    """The trial's own key, from its sweep's."""
    return f"{sweep}/{number}"


def fitting_name(name: str) -> str:
    """`name` if MLflow takes it for a parameter or a metric; else one that it takes, and no other name becomes the same."""
    if _NAME.fullmatch(name) and len(name) <= MAX_NAME and _is_plain_path(name):
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{_UNSAFE_IN_NAME.sub('_', name).strip('. ')[: MAX_NAME - 7]}_{digest}"


def _is_plain_path(name: str) -> bool:
    return posixpath.normpath(name) == name and name != "." and not name.startswith(("..", "/"))


def param(value: Json) -> str:
    """A hyperparameter as MLflow shows it: text as it is, anything else as JSON."""
    return cut(value if isinstance(value, str) else json.dumps(value), MAX_PARAM)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, the last one an ellipsis where something is missing (MLflow would cut in silence)."""
    text = clean(text) or ""
    return text if len(text) <= limit else text[: limit - 1] + "…"
