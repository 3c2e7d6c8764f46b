"""`KEY=VALUE` on the command line: a dotted path, and a value as YAML would write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.config.document import parse
from hpsearch.errors import ConfigError, unknown
from hpsearch.space.values import show
from hpsearch.trial import Json


@dataclass(frozen=True, slots=True)
class Override:
    """`text` is as it was given, or what of it may be shown."""

    text: str
    path: tuple[str, ...]
    value: Json

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def keys(self) -> list[str]:
        """Its key and those above it."""
        return [".".join(self.path[:n]) for n in range(1, len(self.path) + 1)]

    @property
    def place(self) -> str:
        """What errors say of where it stands."""
        return f"command line, {self.text}"

    def apply(self, data: dict[str, Json]) -> None:
        """Set the value in a file's data, making the mappings above it where there are none. Raises `ConfigError`."""
        self._check_parameter(data)
        inner: Any = data
        for depth, part in enumerate(self.path[:-1], 1):
            below = self._get(inner, part, depth)
            if below is None:
                below = {}
                self._set(inner, part, below, depth)
            inner = below
        self._set(inner, self.path[-1], self.value, len(self.path))

    def _check_parameter(self, data: Mapping[str, Json]) -> None:
        """A part of a parameter that the file has not got is a misspelling; a whole one is new."""
        space = data.get("space")
        if self.path[0] == "space" and len(self.path) > 2 and isinstance(space, Mapping) and self.path[1] not in space:
            raise self._wrong(unknown("parameter of the space", self.path[1], space))

    def _get(self, inner: Any, part: str, depth: int) -> Json:
        if isinstance(inner, dict):
            return inner.get(part)
        return inner[self._place(inner, part, depth)]

    def _set(self, inner: Any, part: str, value: Json, depth: int) -> None:
        if isinstance(inner, dict):
            inner[part] = value
        else:
            inner[self._place(inner, part, depth)] = value

    def _place(self, inner: Any, part: str, depth: int) -> int:
        above = ".".join(self.path[: depth - 1])
        if not isinstance(inner, list):
            raise self._wrong(f"{above} is {show(inner)}, with nothing below it; give it whole: {above}={{{part}: ...}}")
        if not part.isdecimal() or int(part) >= len(inner):
            raise self._wrong(f"{above} is a list of {len(inner)}, counted from 0, and has no {part!r}")
        return int(part)

    def _wrong(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.place}: {problem}")


def read_override(text: str) -> Override:
    """Raises `ConfigError` unless it is KEY=VALUE."""
    key, equals, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        raise ConfigError(f"command line, {text}: must be KEY=VALUE; for example budget.trials=200 or space.dropout.max=0.3")
    if path[0] == "notify":
        text = f"{key}=…"  # what is wrong there may be a webhook's URL, which is a secret
    if path == ("name",):
        return Override(text, path, value)  # 2024 and null are names too
    return Override(text, path, parse(value, lambda _: f"command line, {text}").data if value.strip() else None)
