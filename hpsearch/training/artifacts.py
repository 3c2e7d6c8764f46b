"""The files that a trial leaves, in a folder of its own; once the trial has ended, its MLflow run has them too. No torch here."""

from __future__ import annotations

import os
import re
from pathlib import Path

from hpsearch.errors import InputError

MAX_FILES = 100
MAX_BYTES = 100 * 2**20

NETWORK = "hpsearch-network.npz"
"""A trained network that its trial has left for the model registry; no artifact of the trial."""

MAX_NETWORK_BYTES = 2 * 2**30

_NAME = re.compile(r"\w(?:[\w. -]{0,98}[\w-])?", re.ASCII)


class ArtifactFolder:
    """Made at the first file. A file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, name: str, data: bytes) -> None:
        """In place of an earlier one of this name.

        Raises:
            InputError: no plain file name, more than MAX_BYTES, or one file more than MAX_FILES.
        """
        if not is_plain(name):
            raise InputError(
                f"artifact {name!r}: must be a file name of at most 100 letters, digits and '_', '-', '.', ' ', which begins with "
                "a letter, a digit or '_'; choose one such as 'samples.png'"
            )
        if len(data) > (most := MAX_NETWORK_BYTES if name == NETWORK else MAX_BYTES):
            raise InputError(f"artifact {name!r} has {len(data):,} bytes; at most {most:,} are kept: save a part of it, or compress it")
        others = [file for file in self.folder.glob("*") if file.name != name and is_plain(file.name)]
        if len(others) >= MAX_FILES:
            raise InputError(f"artifact {name!r}: the trial has {len(others)} artifacts already, and no more are kept; reuse a name")
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(self.folder / name, data)


def is_plain(name: str) -> bool:
    """Whether any file system and any MLflow store takes this name as it is; temporary files have no such name."""
    return _NAME.fullmatch(name) is not None


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
