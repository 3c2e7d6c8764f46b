"""compose.yaml as data, as Docker Compose would read it; and its services as processes of this machine."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
IMAGE_FOLDERS = {"/opt/compose": ROOT / "compose"}
"""What the Dockerfile copies to where."""

HOSTS = ("postgres", "mlflow", "ray-head")
OWN_PORTS = ("8080",)
"""Of which each service has one of its own, where containers can all have the same."""


@functools.cache
def read(*files: str) -> dict[str, Any]:
    """Files over one another, with variables at their defaults and `<<` merged."""
    merged: dict[str, Any] = {}
    for file in files:
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", (ROOT / file).read_text()).replace("$$", "$")
        merged = over(merged, YAML(typ="safe").load(text))
    return merged


def over(below: Any, above: Any) -> Any:
    """Compose's rule for override files, as far as ours need it: mappings are merged, the rest is replaced."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {key: over(below.get(key), above[key]) if key in above else below[key] for key in [*below, *(above.keys() - below.keys())]}
    return above


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@dataclass
class Services:
    """Each service's own command, with its paths in `folder`, its hosts at 127.0.0.1 and its ports free ones; nothing else is changed."""

    folder: Path
    services: Mapping[str, Any] = field(default_factory=lambda: read("compose.yaml")["services"])
    extra: dict[str, dict[str, str]] = field(default_factory=dict)
    """What a service's environment has besides: where its programs are on this machine."""
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ports = {port: free_port() for port in ("5432", "5000", "6379", "8265")}

    def argv(self, name: str) -> list[str]:
        service = self.services[name]
        return [self.translate(name, str(word)) for word in [*service.get("entrypoint", []), *service.get("command", [])]]

    def environment(self, name: str) -> dict[str, str]:
        """Nothing from this process but what programs are found by."""
        common = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        own = {key: self.translate(name, str(value)) for key, value in self.services[name].get("environment", {}).items()}
        temporary = {"HOME": str(self.folder), "TMPDIR": str(self.folder), "RAY_TMPDIR": str(self.folder)}
        return {**common, **own, **temporary, **self.extra.get(name, {})}

    def translate(self, name: str, text: str) -> str:
        for inside, outside in self._paths(name).items():
            text = re.sub(rf"{inside}(?=/|$)", str(outside), text)
        for host in HOSTS:
            text = re.sub(rf"\b{host}(?=:\d{{4}}\b)", "127.0.0.1", text)
        ports = self.ports | {port: self._own_port(name, port) for port in OWN_PORTS}
        return re.sub(r"(?<![\d.])\d{4}(?!\d)", lambda found: ports.get(found[0], found[0]), text.replace("0.0.0.0", "127.0.0.1"))

    def _paths(self, name: str) -> dict[str, Path]:
        paths = {"/tmp": self.folder / "tmp" / name, "/run/secrets": self.folder / "secrets", **IMAGE_FOLDERS}
        for volume in self.services[name].get("volumes", []):
            source, inside = volume.split(":")[:2]
            paths[inside] = ROOT / source if source.startswith("./") else self.folder / "volumes" / source
        return paths

    def _own_port(self, name: str, port: str) -> str:
        return self.ports.setdefault(f"{name} {port}", free_port())

    def start(self, name: str, argv: list[str] | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """As a session of its own, which `stop` ends whole; what it prints goes to a file."""
        service = self.services[name]
        for path in self._paths(name).values():
            if path.is_relative_to(self.folder):
                path.mkdir(parents=True, exist_ok=True)
        here = Path(self.translate(name, service["working_dir"])) if "working_dir" in service else self.folder
        with self.log(name).open("ab") as log:
            options = {"cwd": here, "env": self.environment(name), "stdout": log, "stderr": log, **options}
            self.running[name] = subprocess.Popen(argv or self.argv(name), stdin=subprocess.DEVNULL, start_new_session=True, **options)
        return self.running[name]

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def is_healthy(self, name: str) -> bool:
        """Asks as its health check does."""
        words = [self.translate(name, str(word)) for word in self.services[name]["healthcheck"]["test"][1:]]
        try:
            return subprocess.run(words, env=self.environment(name), capture_output=True, timeout=60, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def processes(self, *names: str) -> list[psutil.Process]:
        """Those of the named services, or of all."""
        sessions = {process.pid for name, process in self.running.items() if name in (names or self.running)}
        return [process for process in psutil.process_iter() if _session(process.pid) in sessions]

    def stop(self) -> None:
        """All that was started, and all that these started: Ray's processes stay in the session of the command that started them."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            alive = self.processes()
            for process in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
            psutil.wait_procs(alive, timeout=5)
        for process in self.running.values():
            process.wait()


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None
