"""Folders in S3, by fsspec and s3fs. Credentials, region and endpoint are found where AWS's own tools find them: environment and files."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib.util
import os
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hpsearch.errors import InputError, unknown

CONNECT_S, READ_S, TRIES = 4, 7, 2
"""How long to wait for a connection and for an answer, and how often: 14 s at the most, while a training waits."""

SLOWEST = 1_000_000
"""Bytes a second: an upload that is slower is given up."""

AT_ONCE = 1000
"""Objects that S3 deletes in one call."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(/?)(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")


def is_url(location: str) -> bool:
    """Whether it is no path."""
    return _URL.fullmatch(location) is not None


def check_url(url: str) -> None:
    """Raises `InputError` for what is no s3:// URL, or cannot be used here. It is not shown: it may hold a secret."""
    parts = _URL.fullmatch(url)
    assert parts is not None
    scheme, slash, rest = parts.groups()
    if scheme != "s3":
        raise InputError(f"{unknown('scheme', scheme, ['s3'])}; give s3://BUCKET/PREFIX, or the path of a folder")
    bucket = rest.partition("/")[0]
    if "@" in bucket or "?" in rest or "#" in rest:
        raise InputError(
            "must be s3://BUCKET/PREFIX and no more: credentials, region and endpoint come from where AWS's own tools have them, such as "
            "AWS_SHARED_CREDENTIALS_FILE and AWS_ENDPOINT_URL; take them out of the file"
        )
    if not slash or not _BUCKET.fullmatch(bucket):
        raise InputError("names no bucket; give s3://BUCKET/PREFIX, such as s3://my-bucket/sweeps")
    if importlib.util.find_spec("s3fs") is None:
        raise InputError("s3:// needs the package s3fs, which is not installed; pip install 'hpsearch[s3]', on all nodes of a cluster")


class S3Folder:
    """All objects whose keys begin with a URL's path."""

    def __init__(self, url: str) -> None:
        self.where = url.rstrip("/")
        self._path = self.where.removeprefix("s3://")

    def write(self, name: str, data: bytes, *, sync: bool) -> None:
        """See Folder; S3 always syncs."""
        with _as_os_errors():
            _s3().pipe_file(self._of(name), data, timeout=CONNECT_S + READ_S + len(data) / SLOWEST)

    def read(self, name: str) -> bytes:
        """See Folder."""
        with _as_os_errors():
            data: bytes = _s3().cat_file(self._of(name))
            return data

    def names(self) -> list[str]:
        """See Folder."""
        try:
            with _as_os_errors():
                return [path.rpartition("/")[2] for path in _s3().ls(self._path, detail=False, refresh=True)]
        except FileNotFoundError:
            return []

    def rename(self, old: str, new: str) -> None:
        """See Folder; a copy, then a deletion."""
        with _as_os_errors():
            _s3().cp_file(self._of(old), self._of(new))
        self.remove([old])

    def remove(self, names: Iterable[str]) -> None:
        """See Folder."""
        _delete([self._of(name) for name in names])

    def remove_below(self, is_meant: Callable[[str], object]) -> None:
        """See Folder."""
        with _as_os_errors():
            paths: list[str] = _s3().find(self._path)
        _delete([path for path in paths if is_meant(path.removeprefix(f"{self._path}/").partition("/")[0])])

    def _of(self, name: str) -> str:
        return f"{self._path}/{name}"


def _delete(paths: list[str]) -> None:
    """By their exact names: s3fs's own `rm` would look for patterns in them."""
    for start in range(0, len(paths), AT_ONCE):
        bucket = paths[start].partition("/")[0]
        keys = [{"Key": path.partition("/")[2]} for path in paths[start : start + AT_ONCE]]
        with _as_os_errors():
            done = _s3().call_s3("delete_objects", Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        for error in done.get("Errors", ()):
            raise PermissionError(errno.EACCES, f"{error.get('Message', error.get('Code'))} (deleting)")


def _s3() -> Any:
    return _s3_of(os.getpid())


@functools.cache
def _s3_of(process: int) -> Any:
    """One for all threads of a process; no connection is used on both sides of a fork."""
    import fsspec

    options = {"connect_timeout": CONNECT_S, "read_timeout": READ_S, "retries": {"total_max_attempts": TRIES, "mode": "standard"}}
    made = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, config_kwargs=options)
    made.retries = 1  # s3fs would try all of that again, and leaves out a server's own errors
    return made


@contextlib.contextmanager
def _as_os_errors() -> Iterator[None]:
    """What s3fs, botocore and aiohttp raise has no base in common."""
    try:
        yield
    except TimeoutError as error:
        raise TimeoutError(errno.ETIMEDOUT, "the S3 server does not answer in time") from error
    except Exception as error:
        raise OSError(_number(error), _one_line(error)) from error


def _number(error: Exception) -> int:
    if isinstance(error, FileNotFoundError):
        return errno.ENOENT
    return errno.EACCES if isinstance(error, PermissionError) else errno.EIO


def _one_line(error: Exception) -> str:
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    if isinstance(error, FileNotFoundError) and "/" in text:  # s3fs says the path alone
        return "No such object"
    return text[:300] or type(error).__name__
