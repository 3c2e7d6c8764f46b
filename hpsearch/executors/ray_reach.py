"""What of a submitter's settings makes sense on a cluster of other machines, and what does not."""

from __future__ import annotations

import ipaddress
import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hpsearch.config import SweepConfig
from hpsearch.config.home import Home, mask, names_store
from hpsearch.errors import ConfigError, InputError

_EVERYWHERE = ("databricks", "databricks-uc")
"""Names of tracking servers that are no URLs."""


def carried(home: Home) -> dict[str, str]:
    """The settings of this environment that go with a sweep, by variable."""
    return {name: url for name, url in _settings(home).items() if mask(url) == url}


def kept_back(home: Home) -> list[str]:
    """The settings, by variable, that hold a password: they stay here, and the head must have its own."""
    return [name for name, url in _settings(home).items() if mask(url) != url]


def _settings(home: Home) -> dict[str, str]:
    given = {"HPSEARCH_STORE": _store(home), "MLFLOW_TRACKING_URI": os.environ.get("MLFLOW_TRACKING_URI")}
    return {name: url for name, url in given.items() if url}


def _store(home: Home) -> str | None:
    return home.ledger_url if names_store() else None


def check_reachable(config: SweepConfig, home: Home, address: str) -> None:
    """Everything that the sweep would use on a cluster of other machines can be reached from there.

    Raises:
        InputError: what cannot, and the cure.
    """
    if (url := _store(home)) and (why := unreachable(url)):
        origin = "HPSEARCH_STORE" if os.environ.get("HPSEARCH_STORE") else f"HPSEARCH_STORE_FILE ({os.environ['HPSEARCH_STORE_FILE']})"
        raise InputError(f"{origin}: {_cannot(url, why, address)}; unset it to use the head's own, or name a server that both reach")
    if (uri := os.environ.get("MLFLOW_TRACKING_URI")) and (why := unreachable(uri)):
        raise InputError(
            f"MLFLOW_TRACKING_URI: {_cannot(uri, why, address)}; unset it to use the head's own, or name a server that both reach"
        )
    if config.storage and (why := unreachable(config.storage, is_folder=True)):
        raise ConfigError(
            f"{config.where('storage')}: storage: {_cannot(config.storage, why, address)}; name a folder in full that all nodes share, or s3://"
        )


def _cannot(url: str, why: str, address: str) -> str:
    return f"{mask(url)} {why}, which the cluster at {address} does not reach"


def unreachable(url: str, is_folder: bool = False) -> str | None:
    """Why other machines cannot reach it; None where nothing says so. `is_folder`: a path may be of a disk that they share."""
    if url in _EVERYWHERE:
        return None
    scheme, is_url, _ = url.partition("://")
    if not is_url or scheme == "file":
        path = url.removeprefix("file://")
        return None if is_folder and Path(path).is_absolute() else "is a path of this machine"
    if scheme.startswith("sqlite"):
        return "is a file of this machine"
    return _unreachable_host(url)


def _unreachable_host(url: str) -> str | None:
    parts = urlsplit(url)
    scheme, host = parts.scheme.partition("+")[0], parts.hostname or ""
    if scheme == "postgresql" and (given := re.search(r"(?:^|&)host=([^&]*)", parts.query)):
        host = unquote(given[1])
    if host.startswith("/") or (scheme == "postgresql" and not host):
        return "is a socket of this machine"
    return "is this machine's own address" if is_loopback(host) else None


def is_loopback(host: str) -> bool:
    """`localhost`, `127.0.0.1`, `::1` and the like."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
