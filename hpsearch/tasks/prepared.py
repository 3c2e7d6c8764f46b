"""A task's splits on disk: written once by the main process, read by all workers of a machine.

<folder>/classification-3f9a…/meta.json    what they are
                              search.npz   training and validation, all that a search ever opens
                              test.npz     the test split, for re-tests
                              kept.npz     what a trained network keeps of the data, for those who use it
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError
from hpsearch.trial import Json

if TYPE_CHECKING:
    import pandas as pd

Array: TypeAlias = NDArray[Any]

FORMAT = 7
"""Part of a prepared folder's name: folders of another format are left alone."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """Inputs and targets of each split that a file holds, by name; a task may have no targets."""

    inputs: Mapping[str, Array]
    targets: Mapping[str, Array]

    def __or__(self, other: Arrays) -> Arrays:
        return Arrays({**self.inputs, **other.inputs}, {**self.targets, **other.targets})

    def parts(self) -> tuple[Arrays, Arrays]:
        """What a search sees, and the test split."""
        return self._only("train", "validation"), self._only("test")

    def _only(self, *splits: str) -> Arrays:
        return Arrays(*({split: part[split] for split in splits if split in part} for part in (self.inputs, self.targets)))

    def save(self, path: Path) -> None:
        named = {f"{split}_inputs": array for split, array in self.inputs.items()}
        named |= {f"{split}_targets": array for split, array in self.targets.items()}
        np.savez(path, allow_pickle=False, **named)


@dataclass(frozen=True, slots=True)
class Kept:
    """How examples as their user has them are encoded (see `forms`), and the first of the validation split in that form."""

    form: Json
    example: pd.DataFrame | Array

    def save(self, path: Path) -> None:
        """Text and numbers alone."""
        from hpsearch.tasks.forms import frame_to_arrays

        arrays = {"example": self.example} if isinstance(self.example, np.ndarray) else frame_to_arrays(self.example)
        np.savez(path, allow_pickle=False, form=np.array(json.dumps(self.form)), **arrays)


def load_kept(folder: Path) -> Kept:
    """What a trained network keeps of the data that were prepared there."""
    from hpsearch.tasks.forms import frame_from_arrays

    with np.load(folder / "kept.npz", allow_pickle=False) as file:
        example = file["example"] if "example" in file else frame_from_arrays(file)
        return Kept(json.loads(str(file["form"])), example)


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


def write(folder: Path, meta: Mapping[str, Json], search: Arrays, test: Arrays, kept: Kept) -> Prepared:
    """Writes a prepared folder, all or nothing. Where another process was faster, its folder stands: its content is the same."""
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        search.save(temporary / "search.npz")
        test.save(temporary / "test.npz")
        kept.save(temporary / "kept.npz")
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


def load_search(folder: Path) -> Arrays:
    """Training and validation arrays."""
    return _load(folder / "search.npz")


def load_test(folder: Path) -> Arrays:
    """The test split's arrays."""
    return _load(folder / "test.npz")


def _load(path: Path) -> Arrays:
    parts: dict[str, dict[str, Array]] = {"inputs": {}, "targets": {}}
    with np.load(path, allow_pickle=False) as file:
        for name in file.files:
            split, _, part = name.rpartition("_")
            parts[part][split] = file[name]
    return Arrays(parts["inputs"], parts["targets"])
