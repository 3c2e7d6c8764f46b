"""Joining a Ray cluster that is there, of our versions, with room for the trials, and with a place for checkpoints that all nodes see."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ray
from ray._private.state import state
from ray._private.utils import read_ray_address
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from hpsearch.errors import ClusterError
from hpsearch.executors.job import Room
from hpsearch.training.s3 import is_url
from hpsearch.training.storage import folder_at, probe_name, reason
from hpsearch.trial import Resources

CONNECT_S = 5.0
"""How long a cluster's head may take to accept a connection."""

RAYLET_S = 2.0
"""The same of a node's raylet, while trials of other nodes wait for the answer."""

KNOCK_S, LOST_S = 2.0, 20.0
"""How often to see whether the head is there, and which nodes it drains; and after how long without an answer it counts as lost."""

LOOK_S = 60.0
"""How long a node may take to answer what it has: it starts a process for that."""


def join(room: Room, code: Path | None) -> None:
    """Become the driver of the cluster at `room.address`, or of a new one of this machine alone.

    Args:
        code: a folder with the user's own code, which every node gets a copy of.

    Raises:
        ClusterError: there is none, or it does not let us in.
    """
    address = room.address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        workers = room.workers or max(1, (os.cpu_count() or 1) // room.resources.cpus)
        ray.init(address="local", num_cpus=workers * room.resources.cpus, include_dashboard=False, **options)
        return
    if code is not None and not _came_along():
        options["runtime_env"] = {"working_dir": str(code), "excludes": _kept_back(code, room.home)}
    _check_answers(address)
    try:
        ray.init(address=address, **options)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ClusterError(f"the Ray cluster at {address} cannot be joined: {_reason(error)}") from None


def _came_along() -> bool:
    """Whether this is a job whose folder has travelled to every node already."""
    job = json.loads(os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}"))
    return "working_dir" in job.get("runtime_env", {})


def _kept_back(code: Path, home: Path | None) -> list[str]:
    """What does not travel with the code, as in a .gitignore file."""
    return [f"/{home.relative_to(code)}/"] if home is not None and home != code and home.is_relative_to(code) else []


def _check_answers(address: str) -> None:
    """A cluster that is not there would be waited for for many minutes."""
    where = address if ":" in address else _last_started()
    if where is None:
        return  # auto: Ray itself says at once that there is none
    try:
        _knock(where)
    except (OSError, ValueError) as error:
        raise ClusterError(
            f"no Ray cluster answers at {address} ({error}); start one with `ray start --head`, or mend the address"
        ) from None


def _last_started() -> str | None:
    """Where a cluster of this machine is, or was: Ray keeps a note that outlives it, and would wait for it for minutes."""
    return read_ray_address() or None


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, ConnectionError) and "Failed to connect" in text:
        return (
            "it answers, and does not let us in; its token must be in the file that RAY_AUTH_TOKEN_PATH names (with RAY_AUTH_MODE=token), "
            f"and its Ray must be {ray.__version__}, as here"
        )
    if isinstance(error, ConnectionError):
        return "there is none on this machine; start one with `ray start --head`, or give its address as HOST:PORT"
    return text[:500]


class HeadWatch(threading.Thread):
    """Knocks at the cluster's head, so that its loss is noticed before Ray, a minute later, ends the process without a word.

    It asks the head, too: from a thread of its own, since an answer of a head that is gone is waited for without end.
    """

    def __init__(self, address: str) -> None:
        super().__init__(name="hpsearch-head", daemon=True)
        self.draining: frozenset[str] = frozenset()
        """The nodes that will soon be gone, by id: a spot machine that is wanted back, or one that is told to end."""
        self._address = address
        self._answered_at = time.monotonic()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(KNOCK_S):
            with contextlib.suppress(OSError, ray.exceptions.RaySystemError):
                _knock(self._address)
                self._answered_at = time.monotonic()
                self.draining = frozenset(state.get_draining_nodes())

    def check(self) -> None:
        """Raises `ClusterError` where the head has not answered for LOST_S."""
        if time.monotonic() - self._answered_at > LOST_S:
            raise ClusterError(
                f"the head of the Ray cluster at {self._address} has not answered for {LOST_S:g} s; start a cluster again, and go on with "
                "`hpsearch resume`: trials continue from their last checkpoints"
            )

    def stop(self) -> None:
        """Before Ray is shut down: it must not be asked after that."""
        self._stopped.set()
        self.join(KNOCK_S)


def _knock(address: str, timeout_s: float = CONNECT_S) -> None:
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_s).close()


@dataclass(frozen=True, slots=True)
class Node:
    """A node's address and what it has in all, by Ray's names."""

    id: str
    host: str
    resources: Mapping[str, float]

    def holds(self, wanted: Resources) -> int:
        """How many trials fit at a time."""
        by_cpu = int(self.resources.get("CPU", 0) // wanted.cpus)
        return by_cpu if not wanted.gpus else min(by_cpu, int(self.resources.get("GPU", 0) / wanted.gpus + 1e-9))


def nodes() -> list[Node]:
    """Those that are alive, and not about to go: Ray places nothing on these any more."""
    gone = state.get_draining_nodes()
    alive = [each for each in ray.nodes() if each["Alive"] and each["NodeID"] not in gone]
    return [Node(each["NodeID"], each["NodeManagerHostname"], each["Resources"]) for each in alive]


def is_there(node_id: str) -> bool:
    """Whether a node is alive. Ray takes many seconds to say that one is not: so its raylet is knocked at, too."""
    for node in ray.nodes():
        if node["NodeID"] == node_id and node["Alive"]:
            with contextlib.suppress(OSError):
                _knock(f"{node['NodeManagerAddress']}:{node['NodeManagerPort']}", RAYLET_S)
                return True
    return False


def places(wanted: Resources, workers: int | None) -> int:
    """How many trials to run at a time: `workers`, or as many as fit.

    Raises:
        ClusterError: no node has room for one.
    """
    there = nodes()
    fit = sum(node.holds(wanted) for node in there)
    if fit == 0:
        need = f"{wanted.cpus} CPUs" + (f" and {wanted.gpus:g} GPUs" if wanted.gpus else "")
        have = ", ".join(f"{node.host} has {_shown(node)}" for node in there)
        raise ClusterError(f"no node of the cluster has room for a trial, which needs {need}: {have}; change resources, or add a node")
    return workers or fit


def _shown(node: Node) -> str:
    return f"{node.resources.get('CPU', 0):g} CPUs and {node.resources.get('GPU', 0):g} GPUs"


@dataclass(frozen=True, slots=True)
class Found:
    """What a node says of itself. `problem`: why the file that the driver left cannot be read there, or not be answered; else None."""

    versions: Mapping[str, str]
    problem: str | None


def check_nodes(shared: Path | str) -> None:
    """Every node has our versions, and sees `shared`, the folder or s3:// URL where checkpoints go.

    Raises:
        ClusterError: one has not; it says which, and what there is.
    """
    ours = versions()
    with _left_in(shared) as probe:
        for node, found in _ask_all(nodes(), shared, probe):
            for package, version in ours.items():
                if found.versions[package] != version:
                    raise ClusterError(
                        f"node {node.host} has {package} {found.versions[package]}, and this machine {version}; install the same on all"
                    )
            if found.problem is not None:
                cure = (
                    "its s3fs, credentials and endpoint must be as here"
                    if is_url(str(shared))
                    else "choose a folder that every node shares"
                )
                raise ClusterError(f"node {node.host} cannot read and write {shared}, where checkpoints go: {found.problem}; {cure}")


def versions() -> dict[str, str]:
    """Of what must be the same on all nodes."""
    return {"Python": platform.python_version(), **{name: metadata.version(name) for name in ("hpsearch", "torch")}}


@contextlib.contextmanager
def _left_in(shared: Path | str) -> Iterator[str]:
    folder, probe = folder_at(shared), probe_name()
    try:
        folder.write(probe, b"?", sync=False)
    except OSError as error:
        raise ClusterError(f"{shared}, where checkpoints go, cannot be written: {reason(error)}; choose another folder") from None
    try:
        yield probe
    finally:
        with contextlib.suppress(OSError):
            folder.remove([name for name in folder.names() if name.startswith(probe)])


def _ask_all(there: Sequence[Node], shared: Path | str, probe: str) -> Iterator[tuple[Node, Found]]:
    asked = [
        (node, _look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(shared, probe))
        for node in there
    ]
    for node, answer in asked:
        try:
            yield node, ray.get(answer, timeout=LOOK_S)
        except ray.exceptions.GetTimeoutError:
            raise ClusterError(f"node {node.host} has not answered in {LOOK_S:g} s; see its logs, or take it out of the cluster") from None
        except ray.exceptions.RayError as error:
            if node.id not in {each.id for each in nodes()}:
                continue
            said = str(error).strip().splitlines()[-1]
            raise ClusterError(f"node {node.host} cannot run hpsearch: {said}; install hpsearch there too") from None


@ray.remote(num_cpus=0, max_retries=0)  # type: ignore[untyped-decorator]
def _look(shared: Path | str, probe: str) -> Found:
    folder = folder_at(shared)
    try:
        folder.read(probe)
        folder.write(f"{probe}-{uuid.uuid4().hex}", b"!", sync=False)
    except OSError as error:
        return Found(versions(), reason(error))
    return Found(versions(), None)
