"""The cluster of this machine that `hpsearch cluster up` has started for a home: what is on record of it, and how to join it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from hpsearch.config.home import Home
from hpsearch.errors import ClusterError

SAME_S = 1.0
"""Within how many seconds two start times are of the same process."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process and when it started, in seconds since 1970: another one may have its number by now."""

    pid: int
    at: float


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """A cluster of this machine. Holds no secret: the token is in the file `token`.

    Attributes:
        address: of its head, for Ray.
        dashboard: the URL of its dashboard, which takes jobs.
        scratch: Ray's own folder, with its sockets and logs.
        cpus, gpus: of each node.
        ledger, tracking: the stores that its jobs use, with passwords hidden.
        nodes: the `ray start` of each, the head's first.
    """

    address: str
    dashboard: str
    token: Path
    scratch: Path
    wanted: int
    cpus: int
    gpus: int | None
    ledger: str
    tracking: str
    nodes: tuple[Started, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `to_json` gave."""
        paths = {name: Path(data[name]) for name in ("token", "scratch")}
        return cls(**{**data, **paths, "nodes": tuple(Started(**node) for node in data["nodes"])})

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "token": str(self.token), "scratch": str(self.scratch)}

    def with_node(self, node: Started) -> LocalCluster:
        return replace(self, nodes=(*self.nodes, node))

    def enter(self) -> None:
        """Have Ray, which must not have been imported yet, show the cluster's token."""
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(self.token)


def folder(home: Home) -> Path:
    return home.root / "cluster"


def find(home: Home) -> LocalCluster | None:
    """The home's cluster, if its head is there."""
    cluster = recorded(home)
    return cluster if cluster is not None and cluster.nodes and is_there(cluster.nodes[0]) else None


def recorded(home: Home) -> LocalCluster | None:
    """The home's cluster as it was left, whatever has become of it.

    Raises:
        ClusterError: the record cannot be read.
    """
    file = folder(home) / "cluster.json"
    try:
        return LocalCluster.from_json(json.loads(file.read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"{file}, which tells of the home's cluster, cannot be read ({error}); end its Ray processes, and remove the file"
        ) from None


def record(home: Home, cluster: LocalCluster) -> None:
    """Replace what is on record."""
    file = folder(home) / "cluster.json"
    written = file.with_suffix(".new")
    written.write_text(json.dumps(cluster.to_json(), indent=2), "utf-8")
    written.replace(file)


def is_there(process: Started) -> bool:
    """Whether it runs, and is the same."""
    import psutil

    try:
        found = psutil.Process(process.pid)
        return bool(abs(found.create_time() - process.at) < SAME_S and found.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def address_to_join(home: Home) -> str | None:
    """Where to run trials if nobody says where, neither does `$RAY_ADDRESS`: the home's cluster; None where there is none."""
    cluster = None if os.environ.get("RAY_ADDRESS") else find(home)
    if cluster is None:
        return None
    cluster.enter()
    return cluster.address
