"""The sweep file: typed, checked, frozen. Importing this room is cheap; pydantic and the YAML reader come with the first use.

load.py          a file, with overrides, to a SweepConfig
document.py      YAML 1.2 to plain data with line numbers
overrides.py     KEY=VALUE of the command line
model.py         SweepConfig
sections.py      its sections, key by key
space_file.py    how a file writes space, constraints and baselines
fields.py        durations, names, errors with a path
checks.py        what must hold between sections
wording.py       pydantic's errors in our words
origin.py        where each key was written
difference.py    what changed between two files
schema.py        JSON Schema for editors
template.yaml    what `hpsearch init` writes
home.py          folders and stores
environment.py   what is told by the environment alone
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpsearch.config.difference import diff
    from hpsearch.config.loading import load
    from hpsearch.config.model import SweepConfig
    from hpsearch.config.schema import json_schema
    from hpsearch.config.sections import DataConfig, TaskConfig

__all__ = ["DataConfig", "SweepConfig", "TaskConfig", "diff", "json_schema", "load", "template"]

_HOMES = {
    "DataConfig": "sections",
    "SweepConfig": "model",
    "TaskConfig": "sections",
    "diff": "difference",
    "json_schema": "schema",
    "load": "loading",
}


def template() -> str:
    """A commented sweep file to start from."""
    return Path(__file__).with_name("template.yaml").read_text(encoding="utf-8")


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
