"""Starting and ending the processes of a home's own cluster: a head, and further nodes on the same machine, for trying things out.

Each node is a `ray start --block`, whose children are all that runs on it. They are started one after the other: two at once would choose
the same ports.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.config.home import Home, mask
from hpsearch.errors import ClusterError, InputError
from hpsearch.executors.ray_local import LocalCluster, Started, find, folder, is_there, record, recorded

if TYPE_CHECKING:
    import psutil

START_S = 60.0
"""How long a node may take to start; 3 to 10 s are usual."""

END_S = 10.0
"""How long the processes of a node may take to end in order before they are killed."""

MOST_NODES = 64

OBJECT_STORE = 256 * 2**20
"""Bytes of shared memory for each of several nodes: Ray would give each a third of the machine's."""

_OF_THE_DASHBOARD = ("aiohttp", "aiohttp_cors", "opencensus", "prometheus_client")
"""Without which Ray serves no dashboard, and takes no jobs."""


def up(
    home: Home, nodes: int | None = None, cpus: int | None = None, gpus: int | None = None, store: str | None = None
) -> tuple[LocalCluster, bool]:
    """Start the home's cluster, unless it is there; the cluster, and whether it was started now.

    Args:
        nodes: how many, the head among them; by default 1.
        cpus: of each node; by default its share of the machine's, and at least 1.
        gpus: of each node, whose numbers are its own; by default all that the machine has where there is one node, else none.
        store: the ledger's URL, where it is not what the environment says.

    Raises:
        InputError: there is one already, and it is another.
        ClusterError: it does not start.
    """
    _check_installed()
    home.create()
    with _alone(home):
        if (there := find(home)) is not None:
            _check_same(there, nodes, cpus, gpus)
            return there, False
        _down(home)
        return _start(home, nodes or 1, cpus, gpus, store), True


def down(home: Home) -> bool:
    """End the home's cluster, if there is one; whether there was."""
    if not folder(home).exists():
        return False
    with _alone(home):
        return _down(home)


def _down(home: Home) -> bool:
    cluster = recorded(home)
    if cluster is None:
        return False
    _end(cluster.nodes)
    shutil.rmtree(cluster.scratch, ignore_errors=True)
    for file in ("cluster.json", "token"):
        (folder(home) / file).unlink(missing_ok=True)
    return True


def _check_installed() -> None:
    missing = [name for name in _OF_THE_DASHBOARD if importlib.util.find_spec(name) is None]
    if missing:
        raise ClusterError(f"Ray's dashboard, which takes jobs, needs {', '.join(missing)}: pip install 'ray[default]'")


def _check_same(there: LocalCluster, nodes: int | None, cpus: int | None, gpus: int | None) -> None:
    alive = sum(map(is_there, there.nodes))
    if alive < there.wanted:
        raise InputError(
            f"of the cluster's {there.wanted} nodes {alive} are left; `hpsearch cluster down` ends them, and then start it anew"
        )
    for option, wanted, has in (("nodes", nodes, there.wanted), ("cpus", cpus, there.cpus), ("gpus", gpus, there.gpus)):
        if wanted is not None and wanted != has:
            raise InputError(
                f"--{option} {wanted}: a cluster of this home is up, with {option} {has}; leave the option out, or end it with "
                "`hpsearch cluster down` first"
            )


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[None]:
    """One `up` or `down` of a home at a time."""
    folder(home).mkdir(mode=0o700, exist_ok=True)
    with (folder(home) / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(f"another `hpsearch cluster up` or `down` is at work on {home.root}; wait until it is done") from None
        yield


def _start(home: Home, nodes: int, cpus: int | None, gpus: int | None, store: str | None) -> LocalCluster:
    devices = _devices(nodes, gpus)
    each = cpus or max(1, (os.cpu_count() or 1) // nodes)
    scratch = Path(tempfile.mkdtemp(prefix="hpsearch-ray-", dir="/tmp"))  # short: names of sockets in it have at most 107 bytes
    head, dashboard = free_port(), free_port()
    cluster = LocalCluster(
        address=f"127.0.0.1:{head}",
        dashboard=f"http://127.0.0.1:{dashboard}",
        token=_write_token(home),
        scratch=scratch,
        wanted=nodes,
        cpus=each,
        gpus=gpus,
        ledger=mask(home.ledger_url),
        tracking=mask(home.tracking_uri),
    )
    ports = {"port": head, "dashboard-port": dashboard, "ray-client-server-port": free_port()}
    role = ["--head", "--dashboard-host=127.0.0.1", *(f"--{name}={port}" for name, port in ports.items())]
    environment = _environment(home, cluster, store)
    (scratch / "tmp").mkdir()
    try:
        for number in range(nodes):
            words = [*role, f"--temp-dir={scratch / str(number)}", f"--num-cpus={each}", *_room(nodes, gpus)]
            cluster = _start_node(home, cluster, words, environment | devices[number])
            if number == 0:
                cluster = _with_address(cluster)
                record(home, cluster)
                role = [f"--address={cluster.address}"]
        _wait_for_dashboard(cluster)
    except BaseException:
        _down(home)
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return cluster


def _room(nodes: int, gpus: int | None) -> list[str]:
    number = gpus if gpus is not None or nodes == 1 else 0
    several = [f"--object-store-memory={OBJECT_STORE}"] if nodes > 1 else []
    return several if number is None else [*several, f"--num-gpus={number}"]


def _devices(nodes: int, gpus: int | None) -> list[dict[str, str]]:
    """Which GPUs each node sees: Ray would give all nodes of one machine the same.

    Raises:
        InputError: there are not so many.
    """
    if not gpus:
        return [{}] * nodes
    from ray._private.accelerators.nvidia_gpu import NvidiaGPUAcceleratorManager as Gpus

    visible = Gpus.get_current_process_visible_accelerator_ids()
    there = visible if visible is not None else list(map(str, range(Gpus.get_current_node_num_accelerators())))
    if len(there) < nodes * gpus:
        raise InputError(f"--gpus {gpus}: that is {nodes * gpus} for all nodes, and this machine shows {len(there)}; give fewer")
    return [{"CUDA_VISIBLE_DEVICES": ",".join(there[number * gpus : (number + 1) * gpus])} for number in range(nodes)]


def _write_token(home: Home) -> Path:
    file = folder(home) / "token"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(secrets.token_hex(32))
    return file


def _environment(home: Home, cluster: LocalCluster, store: str | None) -> dict[str, str]:
    """This process's, without what it may say of other clusters; sweeps that are submitted find Python, the home and its stores in it."""
    inherited = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS" and not name.startswith("RAY_AUTH_")}
    own = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(cluster.token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "HPSEARCH_HOME": str(home.root),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "TMPDIR": str(cluster.scratch / "tmp"),
    }
    return {**inherited, **own, **({} if store is None else {"HPSEARCH_STORE": store})}


def _start_node(home: Home, cluster: LocalCluster, words: Sequence[str], environment: dict[str, str]) -> LocalCluster:
    import psutil

    command = [
        sys.executable,
        "-P",
        "-m",
        "ray.scripts.scripts",
        "start",
        "--block",
        f"--dashboard-agent-listen-port={free_port()}",
        *words,
    ]
    log = folder(home) / f"node-{len(cluster.nodes)}.log"
    with log.open("wb") as out:
        node = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    cluster = cluster.with_node(Started(node.pid, psutil.Process(node.pid).create_time()))
    record(home, cluster)
    deadline = time.monotonic() + START_S
    while "Ray runtime started" not in (said := log.read_text("utf-8", "replace")):
        if node.poll() is not None or time.monotonic() > deadline:
            raise ClusterError(f"node {len(cluster.nodes)} of the cluster has not started: {_last_words(said)}")
        time.sleep(0.1)
    return cluster


def _last_words(said: str) -> str:
    """The last line that says something."""
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip() for line in said.splitlines()]
    return next((line for line in reversed(lines) if line), f"it has said nothing in {START_S:g} s")


def _with_address(cluster: LocalCluster) -> LocalCluster:
    """Ray binds the address that others reach this machine by, and leaves a note of it."""
    return replace(cluster, address=(cluster.scratch / "0" / "ray_current_cluster").read_text().strip())


def _wait_for_dashboard(cluster: LocalCluster) -> None:
    host, _, port = cluster.dashboard.removeprefix("http://").rpartition(":")
    deadline = time.monotonic() + START_S
    while True:
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        try:
            connection.request("GET", "/api/version", headers={"Authorization": f"Bearer {cluster.token.read_text()}"})
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        if time.monotonic() > deadline:
            raise ClusterError(f"the cluster's dashboard, which takes jobs, does not answer at {cluster.dashboard}")
        time.sleep(0.2)


def free_port() -> int:
    """One that is free now; of the system's range for such, in which Ray's workers have none."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])


def _end(nodes: Sequence[Started]) -> None:
    """These processes and all that they have started: in order where that takes not too long."""
    import psutil

    roots = [psutil.Process(node.pid) for node in nodes if is_there(node)]
    family = [*roots, *(child for root in roots for child in _children(root))]
    _signal(roots, signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=END_S)
    _signal(left, signal.SIGKILL)
    psutil.wait_procs(left, timeout=END_S)


def _children(process: psutil.Process) -> list[psutil.Process]:
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return list(process.children(recursive=True))
    return []


def _signal(processes: Sequence[psutil.Process], number: int) -> None:
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
