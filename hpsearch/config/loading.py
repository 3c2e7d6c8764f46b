"""From a sweep file to a SweepConfig."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from hpsearch.config.document import Document, parse
from hpsearch.config.model import SweepConfig
from hpsearch.config.origin import Origin, dotted
from hpsearch.config.overrides import read_override
from hpsearch.errors import ConfigError
from hpsearch.space.values import show

LARGEST_BYTES = 1_000_000


def load(path: str | Path, overrides: Sequence[str] = ()) -> SweepConfig:
    """Read a sweep file.

    Args:
        overrides: `KEY=VALUE`, such as `budget.trials=200`; later ones win.

    Raises:
        ConfigError: a line for each thing that is wrong: file, line, key, value, cure.
    """
    path = Path(path)
    name = path.name
    document = parse(read_text(path), lambda line: name if line is None else f"{name}, line {line}")
    if not isinstance(document.data, dict):
        raise ConfigError(f"{name}: must be a mapping with the keys task, objective, space and budget, got {show(document.data)}")
    return _with_overrides(document, path, overrides)


def _with_overrides(document: Document, path: Path, overrides: Sequence[str]) -> SweepConfig:
    data = json.loads(json.dumps(document.data))  # aliases of one value become values of their own
    places = {dotted(key): f"{path.name}, line {line}" for key, line in document.lines.items()}
    if "name" not in data:
        data["name"] = path.stem
        places["name"] = f"{path.name} (after which the sweep is named, as it has no key `name`)"
    texts = {}
    for override in map(read_override, overrides):
        override.apply(data)
        places = {key: place for key, place in places.items() if not f"{key}.".startswith(f"{override.key}.")}
        texts[override.key] = override.text
        places |= {key: override.place for key in override.keys if key not in places}
    return SweepConfig.checked(data, Origin(path.name, path.absolute().parent, places, texts))


def read_text(path: Path) -> str:
    """The text of a small file in UTF-8. Raises `ConfigError`."""
    try:
        content = _read(path, LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        shown = str(path) if str(path).isprintable() else show(str(path))
        raise ConfigError(f"{shown}: cannot be read ({reason}); name a sweep file, such as search_spaces/digits_mlp.yaml") from None
    if len(content) > LARGEST_BYTES:
        raise ConfigError(f"{path}: is larger than {LARGEST_BYTES:,} bytes; a sweep file is a page of YAML")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        fact = f"has the byte 0x{content[error.start]:02x}, which is no UTF-8 text"
        raise ConfigError(f"{path}, line {line}: {fact}; name a sweep file in YAML, saved as UTF-8") from None


def _read(path: Path, most_bytes: int) -> bytes:
    """Never waits, as an ordinary `open` would for a pipe or a device with nothing to say."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _check_regular(descriptor)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(most_bytes) or b""
    finally:
        os.close(descriptor)


def _check_regular(descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(mode):
        raise ValueError("it is no ordinary file")
