"""The files of a command's checkpoint: read as they lie in its folder, and laid there again for another attempt."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.errors import CheckpointError

if TYPE_CHECKING:
    import torch

MAX_BYTES = 2 * 2**30
TRIES = 3


def snapshot(folder: Path) -> dict[str, Any] | None:
    """What lies in the folder, as the state of a checkpoint; None where it is empty, or changes while it is read, each time.

    Raises:
        CheckpointError: it is more than MAX_BYTES.
    """
    if folder.is_symlink() or not folder.is_dir():  # the command has put something else in its place
        return None
    for _ in range(TRIES):
        before = _state_of(folder)
        if (size := sum(length for length, _ in before.values())) > MAX_BYTES:
            raise CheckpointError(
                f"{folder} holds {size:,} bytes; a checkpoint has at most {MAX_BYTES:,}: leave there what is needed to go on"
            )
        try:
            files = {name: _read(folder / name) for name in before}
        except FileNotFoundError:
            continue
        if _state_of(folder) == before:
            return {"files": files, "links": _links_in(folder)} if files else None
    return None


def restore(folder: Path, state: Mapping[str, Any] | None) -> None:
    """Make the folder, with what `snapshot` found in it, or with nothing."""
    folder.mkdir(parents=True)
    if state is None:
        return
    for name, content in state["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.numpy().tobytes())
    for name, target in state["links"].items():
        (folder / name).symlink_to(target)


def _state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of the last change of each file, by its path below the folder."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns)
    return found


def _links_in(folder: Path) -> dict[str, str]:
    """Links beside files of the folder to such files, as to the latest checkpoint, and where they point."""
    links = {}
    for place, _, names in os.walk(folder):
        for path in (Path(place, name) for name in names):
            if path.is_symlink() and path.resolve().is_relative_to(folder.resolve()) and not path.readlink().is_absolute():
                links[str(path.relative_to(folder))] = str(path.readlink())
    return links


def _read(path: Path) -> torch.Tensor:
    import torch

    content = bytearray(path.read_bytes())
    return torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
