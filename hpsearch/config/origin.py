"""Where each key of a sweep's configuration was written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Origin:
    """`source` is the file's name, or `sweep NAME`; `places`: by dotted key, what to say of it; paths are relative to `directory`."""

    source: str
    directory: Path
    places: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    """By dotted key, what the command line said of it."""

    def where(self, key: str) -> str:
        """`digits.yaml, line 9`; for a key that is not written, of the nearest one above it that is."""
        parts = key.split(".")
        above = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        place = next((self.places[known] for known in above if known in self.places), self.source)
        below = (text for known, text in self.overrides.items() if known.startswith(f"{key}."))
        return place + "".join(f", with {text}" for text in below if text not in place)


def dotted(path: Iterable[str | int]) -> str:
    """`baseline.0.dropout`."""
    return ".".join(map(str, path))
