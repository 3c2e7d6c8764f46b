"""Checkpoints on a file system: data first, then a manifest that alone makes it exist.

step-00012-5f2c9a41.pt    the state, as torch.save writes it; named by its step and the beginning of its SHA-256
step-00012.json           the manifest: file, SHA-256, step
*.damaged                 set aside: what did not match its manifest
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from hpsearch.errors import CheckpointError
from hpsearch.trial import Checkpoint

KEPT = 2
"""How many checkpoints a trial keeps, besides its best: the newest may turn out damaged."""

_PLAIN = (torch.Tensor, str, int, float, bool, type(None))


class CheckpointStore:
    """The checkpoints of one trial, in a folder of its own (made at the first save).

    It removes old ones of those that it wrote, or went on from, alone: a worker that was given up for dead may still be writing here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ours: list[Checkpoint] = []

    def save(self, step: int, state: Mapping[str, Any], keep: int | None = None) -> Checkpoint:
        """Writes `state`: dicts and lists, nested, of tensors, numbers, strings and None. Of the others the last two and step `keep` stay.

        Raises:
            CheckpointError: the state holds something that could not be loaded again.
        """
        _check_plain(state, "state")
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getbuffer()
        digest = hashlib.sha256(data).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"step-{step:05d}-{digest[:8]}.pt"
        _write(path, data, sync=True)
        manifest = {"file": path.name, "sha256": digest, "step": step}
        _write(self._manifest(step), json.dumps(manifest).encode(), sync=False)  # lost to a power cut, it costs this one checkpoint
        saved = Checkpoint(str(path), digest, step)
        self._ours = [*(c for c in self._ours if c.step != step), saved]
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
        path = self._locate(checkpoint)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CheckpointError(f"checkpoint of step {checkpoint.step} cannot be read: {path}: {error.strerror or error}") from error
        if hashlib.sha256(data).hexdigest() != checkpoint.sha256:
            aside = self._set_aside(path, checkpoint.step)
            raise CheckpointError(f"checkpoint of step {checkpoint.step} is damaged (its SHA-256 differs); set aside as {aside}")
        try:
            state: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"{path} is no checkpoint of hpsearch: {str(error).splitlines()[0]}") from error
        return state

    def earlier(self, step: int) -> list[Checkpoint]:
        """The checkpoints of steps before `step`, the newest first."""
        found = [checkpoint for manifest in self.folder.glob("step-*.json") if (checkpoint := self._read(manifest)) is not None]
        return sorted((c for c in found if c.step < step), key=lambda c: -c.step)

    def latest(self) -> Checkpoint | None:
        """The checkpoint of the highest step."""
        return next(iter(self.earlier(1 << 62)), None)

    def _read(self, manifest: Path) -> Checkpoint | None:
        try:
            content = json.loads(manifest.read_bytes())
            return Checkpoint(str(self.folder / content["file"]), content["sha256"], content["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _manifest(self, step: int) -> Path:
        return self.folder / f"step-{step:05d}.json"

    def _locate(self, checkpoint: Checkpoint) -> Path:
        """Where the data lies: at its URI, or here under the same name when the folder has moved since."""
        path = Path(checkpoint.uri)
        return path if path.exists() else self.folder / path.name

    def _set_aside(self, path: Path, step: int) -> Path:
        aside = path.with_name(path.name + ".damaged")
        path.replace(aside)
        self._manifest(step).unlink(missing_ok=True)
        return aside

    def _prune(self, keep: int | None) -> None:
        for old in [c for c in self._ours[:-KEPT] if c.step != keep]:
            self._manifest(old.step).unlink(missing_ok=True)
            Path(old.uri).unlink(missing_ok=True)
            self._ours.remove(old)


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


def _write(path: Path, data: bytes | memoryview, *, sync: bool) -> None:
    """All or nothing; with `sync` the data is on the disk before it has its name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
