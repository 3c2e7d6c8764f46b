"""What is told by the environment alone, since it may be a secret: by a variable, or in a file that another one names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from hpsearch.errors import InputError


@dataclass(frozen=True, slots=True)
class Told:
    """A setting, and which variable it is from: `HPSEARCH_STORE`, or `HPSEARCH_STORE_FILE (/run/secrets/store)`."""

    value: str = field(repr=False)
    origin: str


def secret(variable: str, what: str) -> Told | None:
    """What the variable says, else the first line of the file that VARIABLE_FILE names; None where neither is set.

    Args:
        what: that it is, for messages.

    Raises:
        InputError: the file cannot be read.
    """
    if value := os.environ.get(variable):
        return Told(value, variable)
    if file := os.environ.get(f"{variable}_FILE"):
        return Told(_first_line(Path(file), f"{variable}_FILE", what), f"{variable}_FILE ({file})")
    return None


def _first_line(file: Path, variable: str, what: str) -> str:
    try:
        with file.open(encoding="utf-8") as stream:
            text = stream.read(10_000).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{variable}: cannot read {file} ({error}); it must hold {what}") from error
    return text.splitlines()[0].strip() if text else ""
