"""Checkpoints on a disk or in S3: data first, then a manifest that alone makes it exist.

step-00012-5f2c9a41.pt    the state, as torch.save writes it; named by its step and the beginning of its SHA-256
step-00012.json           the manifest: file, SHA-256, step
*.damaged                 set aside: what did not match its manifest
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hpsearch.errors import CheckpointError
from hpsearch.training.storage import Folder, folder_at, reason
from hpsearch.trial import Checkpoint

KEPT = 2
"""How many checkpoints a trial keeps, besides its best: the newest may turn out damaged."""

_PLAIN = (torch.Tensor, str, int, float, bool, type(None))


class CheckpointStore:
    """The checkpoints of one trial, in a folder of its own (made at the first save), on a disk or at an s3:// URL.

    It removes old ones of those that it wrote, or went on from, alone: a worker that was given up for dead may still be writing here.
    """

    def __init__(self, location: Path | str) -> None:
        self.location = location
        self._folder = folder_at(location)
        self._ours: list[Checkpoint] = []

    def save(self, step: int, state: Mapping[str, Any], keep: int | None = None) -> Checkpoint:
        """Writes `state`: dicts and lists, nested, of tensors, numbers, strings and None. Of the others the last two and step `keep` stay.

        Raises:
            CheckpointError: the state holds something that could not be loaded again.
            OSError: it cannot be written. Those before are still there.
        """
        _check_plain(state, "state")
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getvalue()
        digest = hashlib.sha256(data).hexdigest()
        name = f"step-{step:05d}-{digest[:8]}.pt"
        self._folder.write(name, data, sync=True)
        manifest = json.dumps({"file": name, "sha256": digest, "step": step}).encode()
        self._folder.write(_manifest(step), manifest, sync=False)  # lost to a power cut, it costs this one checkpoint
        saved = Checkpoint(f"{self._folder.where}/{name}", digest, step)
        self._ours = [*(c for c in self._ours if c.step != step), saved]
        with contextlib.suppress(OSError):  # it is saved all the same, and the next one tries again
            self._prune(keep)
        return saved

    def load(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """The state that was saved, to go on from. Raises `CheckpointError` as `read` does."""
        state = self.read(checkpoint)
        self._ours = [*reversed(self.earlier(checkpoint.step)), checkpoint]
        return state

    def read(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """The state that was saved, its tensors on the CPU.

        Raises:
            CheckpointError: it is missing; or damaged, and then it was set aside.
        """
        try:
            folder, data = self._read(checkpoint)
        except OSError as error:
            raise CheckpointError(f"checkpoint of step {checkpoint.step} cannot be read: {checkpoint.uri}: {reason(error)}") from error
        if hashlib.sha256(data).hexdigest() != checkpoint.sha256:
            done = _set_aside(folder, checkpoint)
            raise CheckpointError(f"checkpoint of step {checkpoint.step} is damaged (its SHA-256 differs); {done}")
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"{checkpoint.uri} is no checkpoint of hpsearch: {str(error).splitlines()[0]}") from error
        return state

    def earlier(self, step: int) -> list[Checkpoint]:
        """The checkpoints of steps before `step`, the newest first; none where they cannot be seen."""
        try:
            manifests = [name for name in self._folder.names() if name.startswith("step-") and name.endswith(".json")]
        except OSError:
            return []
        found = [checkpoint for name in manifests if (checkpoint := self._described(name)) is not None]
        return sorted((c for c in found if c.step < step), key=lambda c: -c.step)

    def latest(self) -> Checkpoint | None:
        """The checkpoint of the highest step."""
        return next(iter(self.earlier(1 << 62)), None)

    def _described(self, manifest: str) -> Checkpoint | None:
        try:
            content = json.loads(self._folder.read(manifest))
            return Checkpoint(f"{self._folder.where}/{content['file']}", content["sha256"], content["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _read(self, checkpoint: Checkpoint) -> tuple[Folder, bytes]:
        """The data, and where they lie: at its URI, or here under the same name when the folder has moved since."""
        there, name = folder_at(checkpoint.uri.rpartition("/")[0]), _name(checkpoint)
        try:
            return there, there.read(name)
        except (FileNotFoundError, NotADirectoryError):
            return self._folder, self._folder.read(name)

    def _prune(self, keep: int | None) -> None:
        for old in [c for c in self._ours[:-KEPT] if c.step != keep]:
            self._folder.remove([_manifest(old.step), _name(old)])
            self._ours.remove(old)


def _manifest(step: int) -> str:
    return f"step-{step:05d}.json"


def _name(checkpoint: Checkpoint) -> str:
    return checkpoint.uri.rpartition("/")[2]


def _set_aside(folder: Folder, damaged: Checkpoint) -> str:
    """What was done about it."""
    aside = f"{_name(damaged)}.damaged"
    try:
        folder.rename(_name(damaged), aside)
        folder.remove([_manifest(damaged.step)])
    except OSError as error:
        return f"it could not be set aside: {reason(error)}"
    return f"set aside as {folder.where}/{aside}"


def _check_plain(value: object, where: str) -> None:
    """`torch.load(weights_only=True)` refuses other types, and it would only when the trial resumes."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_plain(item, f"{where}[{key!r}]")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _check_plain(item, f"{where}[{index}]")
    elif not isinstance(value, _PLAIN):
        raise CheckpointError(
            f"a checkpoint holds tensors, numbers, strings, None, and dicts and lists of them; "
            f"{where} is a {type(value).__name__}: convert it, as with torch.from_numpy or .item()"
        )
