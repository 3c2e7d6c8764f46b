"""What of a sweep travels to another machine: the folder that its file is in, with the user's code and data, and without secrets."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

from ray._private.runtime_env.packaging import _dir_travel, _get_excludes

from hpsearch.config import SweepConfig
from hpsearch.config.home import Home
from hpsearch.config.sections import DataConfig
from hpsearch.errors import ConfigError, InputError

LARGEST_BYTES = 100 * 2**20
"""Of a package: a Ray dashboard takes no larger request."""

LIKELY = 20
"""By how much a folder may be larger, as none is packed smaller than that."""

STAYS = (
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    ".hpsearch",
    ".env",
    ".env.*",
    "secrets",
    "*.pem",
    "*.key",
    ".netrc",
    ".ssh",
    ".aws",
    ".ray",
)
"""What never travels: what is made anew elsewhere, and where secrets usually are. As in a .gitignore file."""

_SECRET_FILES = (
    "HPSEARCH_STORE_FILE",
    "HPSEARCH_WEBHOOK_FILE",
    "RAY_AUTH_TOKEN_PATH",
    "AWS_SHARED_CREDENTIALS_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "PGPASSFILE",
)
"""Variables that name files with secrets."""


def travelling(folder: Path, home: Home) -> dict[str, int]:
    """The files of the folder that travel, with their sizes in bytes: not those that its .gitignore and .rayignore name.

    `RAY_RUNTIME_ENV_IGNORE_GITIGNORE=1` has those of .gitignore travel too, as for Ray itself.
    """
    found: dict[str, int] = {}

    def note(path: Path) -> None:
        if path.is_file():
            found[path.relative_to(folder).as_posix()] = path.stat().st_size

    heeds_gitignore = os.environ.get("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "0") != "1"
    _dir_travel(folder, [_get_excludes(folder, [*STAYS, *_kept_back(folder, home)])], note, include_gitignore=heeds_gitignore)
    return found


def _kept_back(folder: Path, home: Home) -> list[str]:
    named = [Path(os.environ[name]).absolute() for name in _SECRET_FILES if os.environ.get(name)]
    return [f"/{path.relative_to(folder).as_posix()}" for path in (home.root, *named) if path != folder and path.is_relative_to(folder)]


def pack(folder: Path, files: Mapping[str, int], target: Path) -> None:
    """Write the files to the ZIP archive `target`.

    Raises:
        InputError: it would be larger than a cluster takes.
    """
    if sum(files.values()) <= LARGEST_BYTES * LIKELY:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
            for name in sorted(files):
                archive.write(folder / name, name)
        if target.stat().st_size <= LARGEST_BYTES:
            return
    largest = sorted(files, key=lambda name: -files[name])[:3]
    shown = ", ".join(f"{name} ({_mib(files[name])})" for name in largest)
    raise InputError(
        f"{folder} has {_mib(sum(files.values()))}, and packed it may have {_mib(LARGEST_BYTES)} to travel to the cluster; "
        f"the largest: {shown}; name in a file .rayignore what the sweep does not need"
    )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def check_travels(config: SweepConfig, file: str, files: Mapping[str, int]) -> None:
    """The sweep file, the data and the code that it names are among the files that travel.

    Raises:
        ConfigError: they are not; where in the file, and the cure.
    """
    if file not in files:
        raise InputError(f"{file} itself would not travel to the cluster, as .gitignore or .rayignore name it; mend them")
    for key, name in _needed(config):
        path = _inside(config.directory, name)
        if path is None and _is_of_this_machine(config.directory, name):
            raise ConfigError(
                f"{config.where(key)}: {key}: {name} is outside {config.directory}, the folder that travels to the cluster; move it there"
            )
        if path is not None and not any(file == path or file.startswith(f"{path}/") for file in files):
            cure = "mend .gitignore or .rayignore" if (config.directory / path).exists() else "mend the path"
            raise ConfigError(f"{config.where(key)}: {key}: {name} is not among the files that travel to the cluster; {cure}")


def _needed(config: SweepConfig) -> list[tuple[str, str]]:
    data = config.task.data
    return [(f"task.data.{data.format}", data.path)] if isinstance(data, DataConfig) else []


def _inside(folder: Path, name: str) -> str | None:
    """The path from the folder on; None where it leads out of it."""
    path = Path(os.path.normpath(folder / name))
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else None


def _is_of_this_machine(folder: Path, name: str) -> bool:
    """A path in full that is not here may be there."""
    return not Path(name).is_absolute() or Path(name).exists()
