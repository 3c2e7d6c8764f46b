"""From what a command prints to the metrics of its steps: a JSON object a line, or a pattern for each metric."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeGuard

from hpsearch.errors import InputError

MAX_LINE = 1_000_000
"""Characters of a line; a longer one is cut, and is then no report."""

STEP = "step"
"""The key by which a JSON line may say which step it is of."""


class Reader(Protocol):
    """Takes lines; gives a step's metrics once it has them, else None. Raises `InputError` for a report that cannot be right."""

    def read(self, line: str) -> Mapping[str, float] | None: ...

    def describe_lack(self) -> str:
        """Why there was no report, as far as what was read tells."""


class Lines:
    """Cuts a stream of bytes into lines, at line feeds and at carriage returns, with which progress bars write over themselves."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that are complete now."""
        *whole, rest = re.split(rb"[\r\n]+", data)
        if whole:
            whole[0] = self._rest + whole[0]
            self._rest = b""
        self._rest = (self._rest + rest)[:MAX_LINE]
        yield from map(_text, whole)

    def end(self) -> Iterator[str]:
        """The last line, if it had no end."""
        if self._rest:
            yield _text(self._rest)
        self._rest = b""


def _text(line: bytes) -> str:
    return line[:MAX_LINE].decode("utf-8", errors="replace")


class JsonLines:
    """A line that is a JSON object with one of `metrics` is a report; all others are only output."""

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self._others: list[str] = []

    def describe_lack(self) -> str:
        """See Reader."""
        if self._others:
            return f"it printed objects with {', '.join(map(repr, self._others[:5]))}, and none with {self.metrics[0]!r}"
        return f'it prints a JSON object a line, such as {{"{self.metrics[0]}": 0.5}}, or task.patterns finds the numbers in what it prints'

    def read(self, line: str) -> Mapping[str, float] | None:
        found = _object(line)
        if found is None or not any(name in found for name in self.metrics):
            self._others = self._others or list(found or ())
            return None
        for name in self.metrics:
            if name in found and not _is_number(found[name]):
                raise InputError(f"it reported {name} {found[name]!r}, which is no number")
        return {name: float(value) for name, value in found.items() if _is_number(value)}


def _object(line: str) -> dict[str, object] | None:
    line = line.strip()
    if not (line.startswith("{") and line.endswith("}")):
        return None
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Patterns:
    """A regular expression for each metric; its first group is the number. A step is complete once each has matched since the last one.

    Of several matches in between the last counts, so that a progress bar may show a metric many times.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._patterns = {name: re.compile(pattern) for name, pattern in patterns.items()}
        self._seen: dict[str, float] = {}
        self._matched = dict.fromkeys(patterns, 0)

    def describe_lack(self) -> str:
        """See Reader."""
        never = [name for name, count in self._matched.items() if not count]
        others = [f"that of {name} did {count} times" for name, count in self._matched.items() if count]
        return "; ".join([f"the pattern of {never[0]}, {self._patterns[never[0]].pattern!r}, matched nothing that it printed", *others])

    def read(self, line: str) -> Mapping[str, float] | None:
        for name, pattern in self._patterns.items():
            for match in pattern.finditer(line):
                self._seen[name] = _number(name, match.group(1))
                self._matched[name] += 1
        if len(self._seen) < len(self._patterns):
            return None
        seen, self._seen = self._seen, {}
        return seen


def _number(name: str, text: str) -> float:
    try:
        return float(text.strip(",;:%"))
    except (ValueError, AttributeError):
        raise InputError(f"the pattern of {name} found {text!r}, which is no number; let its group match the number alone") from None


def check_pattern(pattern: str) -> None:
    """Raises `InputError` unless it is a regular expression with one group."""
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(f"is no regular expression: {error}, got {pattern!r}") from None
    if groups != 1:
        raise InputError(f"must have one group, around the number, got {groups} in {pattern!r}; for example 'val_loss: (\\S+)'")
