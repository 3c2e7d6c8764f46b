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
            return {"files": files} if files else None
    return None


def restore(folder: Path, state: Mapping[str, Any] | None) -> None:
    """Make the folder, with what `snapshot` found in it, or with nothing."""
    folder.mkdir(parents=True)
    for name, content in (state or {"files": {}})["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.numpy().tobytes())


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


def _read(path: Path) -> torch.Tensor:
    import torch

    content = bytearray(path.read_bytes())
    return torch.frombuffer(content, dtype=torch.uint8) if content else torch.empty(0, dtype=torch.uint8)
