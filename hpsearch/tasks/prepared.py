"""A task's splits on disk: written once by the main process, read by all workers of a machine.

<folder>/classification-3f9a…/meta.json    what they are
                              search.npz   training and validation, all that a search ever opens
                              test.npz     the test split, for re-tests
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.trial import Json

FORMAT = 2
"""Part of a prepared folder's name: folders of another format are left alone."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """Inputs and targets of each split that a file holds, by name."""

    inputs: Mapping[str, NDArray[Any]]
    targets: Mapping[str, NDArray[Any]]

    def save(self, path: Path) -> None:
        named = {f"{split}_inputs": array for split, array in self.inputs.items()}
        named |= {f"{split}_targets": array for split, array in self.targets.items()}
        np.savez(path, allow_pickle=False, **named)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared folder and what its meta.json says."""

    folder: Path
    meta: Mapping[str, Json]


def find(folder: Path) -> Prepared | None:
    """What was prepared in this folder, if anything."""
    try:
        return Prepared(folder, json.loads((folder / "meta.json").read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{folder} is damaged ({error}); remove it, and it will be prepared again") from error


def write(folder: Path, meta: Mapping[str, Json], search: Arrays, test: Arrays) -> Prepared:
    """Writes a prepared folder, all or nothing. Where another process was faster, its folder stands: its content is the same."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        search.save(temporary / "search.npz")
        test.save(temporary / "test.npz")
        (temporary / "meta.json").write_text(json.dumps(meta, indent=2), "utf-8")
        _publish(temporary, folder)
    except OSError as error:
        raise DataError(f"the splits cannot be written to {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Prepared(folder, meta)


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / "meta.json").exists():
            raise


@lru_cache(maxsize=2)
def load_search(folder: Path) -> Arrays:
    """Training and validation arrays; read once in a process."""
    with np.load(folder / "search.npz", allow_pickle=False) as file:
        splits = ("train", "validation")
        return Arrays({s: file[f"{s}_inputs"] for s in splits}, {s: file[f"{s}_targets"] for s in splits})
