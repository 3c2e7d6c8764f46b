"""A YAML text as plain data, with the line of each key: a safe, bounded subset of YAML 1.2.

No tags, no second document, no duplicate or non-string keys; numbers, true, false and null as in the YAML 1.2 core schema (`1e-5` is a
number, `no` a string, `012` twelve). Aliases are allowed, and count for what they stand for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from hpsearch.errors import ConfigError
from hpsearch.trial import Json

if TYPE_CHECKING:
    from ruamel.yaml.events import Event

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list places from the top, such as ("space", "dropout")."""

MOST_NODES = 10_000
DEEPEST = 20
MOST_ALIASES = 100
LONGEST_NUMBER = 400

_NULL = re.compile(r"~|null|Null|NULL|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True, slots=True)
class Document:
    """`data` as in JSON; `lines`: by path, the line (from 1) where its key, or list item, stands."""

    data: Json
    lines: dict[Path, int]


Where: TypeAlias = Callable[[int | None], str]
"""What errors call a line of the text, or the whole of it."""


def parse(text: str, where: Where) -> Document:
    """Read one YAML document. Raises `ConfigError`."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    try:
        reading = _Reading(where, iter(YAML(typ="safe", pure=True).parse(text)))
        return Document(reading.document(), reading.lines)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ConfigError(f"{where(_line(mark))}: not valid YAML: {_in_words(error)}") from None
    except ReaderError as error:
        line = text.count("\n", 0, text.find(_character(error))) + 1
        problem = f"not valid YAML: has the control character {_character(error)!a}, which YAML does not allow"
        raise ConfigError(f"{where(line)}: {problem}; remove it, or save the file as plain text in UTF-8") from None
    except (YAMLError, ValueError, OverflowError) as error:  # the reader's own, and those of numbers in escapes and directives
        first = str(error).strip().splitlines()[0]
        raise ConfigError(f"{where(None)}: not valid YAML: {first}; save it as plain text in UTF-8") from None


def _line(mark: Any) -> int | None:
    return None if mark is None else mark.line + 1


def _character(error: Any) -> str:
    return error.character if isinstance(error.character, str) else chr(error.character)


def _in_words(error: Any) -> str:
    problem = " ".join(filter(None, (error.context, error.problem)))
    if "\\t" in problem or "tab" in problem:
        return f"{problem}; indent with spaces, not tabs"
    return f"{problem}; check indentation, colons, brackets and quotes near there"


@dataclass(slots=True)
class _Reading:
    """One pass over the events of a document. `path` is where it is now, `nodes` how many values there were, aliases expanded."""

    where: Where
    events: Iterator[Any]
    lines: dict[Path, int] = field(default_factory=dict)
    path: Path = ()
    nodes: int = 0
    aliases: int = 0
    anchors: dict[str, tuple[Json, Path, int] | None] = field(default_factory=dict)

    def document(self) -> Json:
        from ruamel.yaml.events import DocumentStartEvent, StreamEndEvent

        next(self.events)
        first = next(self.events)
        if isinstance(first, StreamEndEvent):
            raise ConfigError(f"{self.where(None)}: is empty; `hpsearch init` writes a sweep file to start from")
        value = self._value(next(self.events))
        next(self.events)
        following = next(self.events)
        if isinstance(following, DocumentStartEvent):
            raise self._wrong("has a second document (---); put each sweep in a file of its own", following)
        return value

    def _value(self, event: Any) -> Json:
        from ruamel.yaml.events import AliasEvent, MappingStartEvent, ScalarEvent

        self._count(1, event)
        if len(self.path) > DEEPEST:
            raise self._wrong(f"is nested more than {DEEPEST} deep; a sweep file needs far less", event)
        if isinstance(event, AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            raise self._wrong(f"has the YAML tag {tag}, and tags are not allowed; write a plain value", event)
        anchor, before = event.anchor, self.nodes
        if anchor is not None:
            self.anchors[anchor] = None
        if isinstance(event, ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, MappingStartEvent):
            value = self._mapping()
        else:
            value = self._sequence()
        if anchor is not None:
            self.anchors[anchor] = (value, self.path, self.nodes - before + 1)
        return value

    def _mapping(self) -> dict[str, Json]:
        from ruamel.yaml.events import MappingEndEvent

        result: dict[str, Json] = {}
        above = self.path
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self._key(event)
            self.path = (*above, key)
            if key in result:
                raise self._wrong(f"duplicate key, first on line {self.lines[self.path]}; remove one of the two", event)
            self.lines[self.path] = event.start_mark.line + 1
            result[key] = self._value(next(self.events))
            self.path = above
        return result

    def _key(self, event: Event) -> str:
        from ruamel.yaml.events import ScalarEvent

        self._count(1, event)
        if not isinstance(event, ScalarEvent) or event.tag is not None:
            raise self._wrong("has a key that is no plain string; write key: value", event)
        if event.value == "<<" and event.style is None:
            raise self._wrong("has a merge key (<<), which YAML 1.2 does not know; write the keys out", event)
        key = self._scalar(event)
        if not isinstance(key, str):
            raise self._wrong(f'has the key {event.value}, which is no string; keys are names (quoted: "{event.value}")', event)
        return key

    def _sequence(self) -> list[Json]:
        from ruamel.yaml.events import SequenceEndEvent

        result: list[Json] = []
        above = self.path
        while not isinstance(event := next(self.events), SequenceEndEvent):
            self.path = (*above, len(result))
            self.lines[self.path] = event.start_mark.line + 1
            result.append(self._value(event))
            self.path = above
        return result

    def _scalar(self, event: Any) -> Json:
        text: str = event.value
        if event.style is not None:
            return text
        if _NULL.fullmatch(text):
            return None
        if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
            return text[0] in "tT"
        if _NOT_FINITE.fullmatch(text):
            raise self._wrong(f"must be finite, got {text}; leave it out, or use a large number", event)
        return self._number(text, event) if text[0] in "+-.0123456789" else text

    def _number(self, text: str, event: Event) -> Json:
        if not any(form.fullmatch(text) for form in (_INT, _OCTAL, _HEXADECIMAL, _FLOAT)):
            return text
        if len(text) > LONGEST_NUMBER:
            raise self._wrong(f"is a number of {len(text)} characters; round it", event)
        if _INT.fullmatch(text):
            return int(text)
        if text.startswith(("0o", "0x")):
            return int(text, 0)
        value = float(text)
        if math.isinf(value):
            raise self._wrong(f"must be finite, got {text}, which is too large for a number; use at most about 1e308", event)
        return value

    def _alias(self, event: Any) -> Json:
        known = self.anchors.get(event.anchor)
        self.aliases += 1
        if known is None or self.aliases > MOST_ALIASES:
            reason = f"is one of more than {MOST_ALIASES}" if known else "stands for nothing that is complete above it"
            raise self._wrong(f"has the alias *{event.anchor}, which {reason}; write the value out", event)
        value, origin, size = known
        self._count(size, event)
        for path, line in [(p, n) for p, n in self.lines.items() if p[: len(origin)] == origin and p != origin]:
            self.lines[(*self.path, *path[len(origin) :])] = line
        return value

    def _count(self, how_many: int, event: Event) -> None:
        self.nodes += how_many
        if self.nodes > MOST_NODES:
            raise self._wrong(f"the file has more than {MOST_NODES:,} values (aliases expanded), too many for a sweep file", event)

    def _wrong(self, problem: str, event: Event) -> ConfigError:
        key = "".join(f"{part}." for part in self.path)[:-1]
        return ConfigError(f"{self.where(_line(event.start_mark))}: {f'{key}: ' if key else ''}{problem}")
