"""A cluster for tests: several raylets on this machine, which can be killed one by one."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest

COMMAND = Path(sys.executable).with_name("hpsearch")


class Cluster:
    """Raylets on this machine, with a token of their own; each is a process tree that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.token = folder / "token"
        self.token.write_text(secrets.token_hex(32))
        self.token.chmod(0o600)
        self.nodes: list[subprocess.Popen[bytes]] = []
        self.port = free_port()
        self.address = f"{own_address()}:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_", "RAY_"))},
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        }

    def start(self, cpus: int = 2, gpus: int = 0) -> subprocess.Popen[bytes]:
        """Another node; the first is the head."""
        role = ["--address", self.address] if self.nodes else ["--head", "--port", str(self.port), "--include-dashboard=false"]
        has = ["--num-cpus", str(cpus), "--num-gpus", str(gpus), "--object-store-memory", "100000000"]
        words = [COMMAND.with_name("ray"), "start", "--block", *role, *has]
        with (self.folder / f"node-{len(self.nodes)}.log").open("wb") as log:
            node = subprocess.Popen(words, env=self.environment, stdout=log, stderr=log, start_new_session=True)
        self.nodes.append(node)
        deadline = time.monotonic() + 60  # two at once would choose the same ports
        while "Ray runtime started" not in (said := Path(log.name).read_text()):
            assert time.monotonic() < deadline, said[-2000:]
            time.sleep(0.1)
        return node

    def wait_for_cpus(self, cpus: int) -> None:
        code = f"""
import ray, time
ray.init(log_to_driver=False, logging_level="ERROR")
deadline = time.monotonic() + 60
while ray.cluster_resources().get("CPU", 0) < {cpus} and time.monotonic() < deadline:
    time.sleep(0.2)
print(ray.cluster_resources().get("CPU"))
"""
        environment = {**self.environment, "RAY_ADDRESS": self.address}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.stdout.strip() == f"{float(cpus)}", done.stderr[-2000:]

    @contextlib.contextmanager
    def as_its_driver(self) -> Iterator[None]:
        """In this process's environment: what finds the cluster, and opens it."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH", "PYTHONPATH"):
                patch.setenv(name, self.environment[name])
            patch.setenv("RAY_ADDRESS", self.address)
            yield

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for node in self.nodes:
            kill_tree(node)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])


def own_address() -> str:
    """What Ray makes of 127.0.0.1. Ray itself is not asked: it must find the cluster's token when it is imported."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for a node and all that runs on it."""
    try:
        family = tree(process)
    except psutil.NoSuchProcess:
        return
    for each in family:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
