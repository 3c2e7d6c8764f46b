"""What a run is run with: told without importing any of it, and never from the process's environment variables, which may hold secrets."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

PACKAGES = ("hpsearch", "optuna", "torch", "mlflow", "ray")


@dataclass(frozen=True, slots=True)
class Environment:
    """The controller's. `versions`: of PACKAGES, those that are installed; `cpus`: of the machine."""

    python: str
    platform: str
    host: str
    cpus: int | None
    versions: Mapping[str, str]


def environment_now() -> Environment:
    """As it is now."""
    versions = {name: version for name in PACKAGES if (version := _version(name)) is not None}
    return Environment(platform.python_version(), platform.platform(), socket.gethostname(), os.cpu_count(), versions)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
