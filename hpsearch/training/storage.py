"""Where checkpoints lie: a folder on a disk, or a prefix in an S3 bucket, by one face. No torch here.

A file is there whole or not at all: on a disk by a temporary name, fsync and rename; a PUT to S3 is atomic as it is. What goes wrong is
an `OSError`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from hpsearch.training.s3 import S3Folder, is_url


class Folder(Protocol):
    """A flat folder of files, with folders below it that are named by `below`. It is made at the first file."""

    where: str

    def write(self, name: str, data: bytes, *, sync: bool) -> None:
        """All or nothing, in place of an earlier one; with `sync` the data are safe from a power cut before they have their name."""

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError where there is none."""

    def names(self) -> list[str]:
        """Of the files; none where there is no such folder."""

    def rename(self, old: str, new: str) -> None: ...

    def remove(self, names: Iterable[str]) -> None:
        """Those that are there."""

    def remove_below(self, is_meant: Callable[[str], object]) -> None:
        """The folders below, with all in them, whose names are meant."""


def folder_at(location: str | Path) -> Folder:
    """The folder at a path or an s3:// URL. Nothing is looked up yet."""
    return S3Folder(str(location)) if is_url(str(location)) else DiskFolder(Path(location))


def below(location: str | Path, name: str) -> str | Path:
    """The location of the folder `name` below another."""
    return location / name if isinstance(location, Path) else f"{location.rstrip('/')}/{name}"


def probe(location: str | Path) -> None:
    """Write a small file there, read it, and remove it.

    Raises:
        OSError: one of these cannot be done.
    """
    folder, name = folder_at(location), probe_name()
    folder.write(name, name.encode(), sync=False)
    if folder.read(name) != name.encode():
        raise OSError(errno.EIO, "it gives back something else than was written")
    folder.remove([name])


def probe_name() -> str:
    """A file name that nobody else has."""
    return f".probe-{uuid.uuid4().hex}"


def reason(error: OSError) -> str:
    """What is wrong, without the number and the path."""
    return error.strerror or str(error) or type(error).__name__


class DiskFolder:
    """On a file system of this machine, its own or a network's."""

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def write(self, name: str, data: bytes, *, sync: bool) -> None:
        """See Folder."""
        self._path.mkdir(parents=True, exist_ok=True)
        temporary = self._path / f".{name}.{os.getpid()}"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                if sync:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(self._path / name)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)  # a full disk has no room for halves
            raise

    def read(self, name: str) -> bytes:
        """See Folder."""
        return (self._path / name).read_bytes()

    def names(self) -> list[str]:
        """See Folder."""
        try:
            return os.listdir(self._path)  # noqa: PTH208 - pathlib's makes a Path of each
        except FileNotFoundError:
            return []

    def rename(self, old: str, new: str) -> None:
        """See Folder."""
        (self._path / old).replace(self._path / new)

    def remove(self, names: Iterable[str]) -> None:
        """See Folder."""
        for name in names:
            (self._path / name).unlink(missing_ok=True)

    def remove_below(self, is_meant: Callable[[str], object]) -> None:
        """See Folder."""
        for name in filter(is_meant, self.names()):
            shutil.rmtree(self._path / name)
        with contextlib.suppress(OSError):
            self._path.rmdir()  # if it is empty now
