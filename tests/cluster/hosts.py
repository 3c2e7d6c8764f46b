"""Several hosts on this machine: network namespaces with an address and a name of their own each, joined by veth to a switch."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SUBNET = "198.51.100"
"""A network for documentation (RFC 5737): nothing of this machine's is there. It is inside the namespaces alone."""

AS_HOST = 'hostname "$0" && exec "$@"'


def why_not() -> str | None:
    """Why this machine cannot have such hosts; None where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [name for name in ("ip", "unshare", "setpriv") if shutil.which(name) is None]:
        return f"{', '.join(missing)} not found; install iproute2 and util-linux"
    probe = Hosts()
    try:
        probe.add("probe")
        subprocess.run(probe.command("probe", "true"), check=True, capture_output=True)
    except subprocess.CalledProcessError as error:
        return f"no network namespaces here: {error.stderr.decode().strip()}"
    finally:
        probe.stop()
    return None


@dataclass
class Hosts:
    """By name. A host sees the disk and the processes of all, as far as its programs look; its network is its own."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="hph-")))
    """Of what its programs write; short, since Ray's sockets are in it."""
    addresses: dict[str, str] = field(default_factory=dict)
    switch: str = field(default_factory=lambda: f"hpsearch-{os.getpid()}")
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    """By the names of their logs."""

    def __post_init__(self) -> None:
        self.folder.chmod(0o755)

    def add(self, name: str) -> str:
        """Another host; its address."""
        if not self.addresses:
            ip("netns", "add", self.switch)
            ip("-n", self.switch, "link", "add", "switch", "type", "bridge")
            ip("-n", self.switch, "link", "set", "switch", "up")
        address = self.addresses[name] = f"{SUBNET}.{len(self.addresses) + 1}"
        own = self._namespace(name)
        ip("netns", "add", own)
        ip("-n", self.switch, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", own)
        ip("-n", self.switch, "link", "set", name, "master", "switch", "up")
        ip("-n", own, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            ip("-n", own, "link", "set", link, "up")
        ip("-n", own, "route", "add", "default", "dev", "eth0")  # leads nowhere; programs learn their own address by it
        return address

    def set_link(self, name: str, state: str) -> None:
        """`down`: as if its cable were pulled. What it sends, and what is sent to it, is lost, and no connection is told."""
        ip("-n", self.switch, "link", "set", name, state)

    def command(self, name: str, *words: str) -> list[str]:
        """This command, on a host."""
        return ["ip", "netns", "exec", self._namespace(name), "unshare", "--uts", "sh", "-c", AS_HOST, name, *words]

    def start(self, name: str, *words: str, log: str | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Have a host run it. What it prints goes to a file."""
        with self.log(log or name).open("wb") as file:
            options = {"stdout": file, "stderr": file, "stdin": subprocess.DEVNULL, "start_new_session": True, **options}
            process = self.running[log or name] = subprocess.Popen(self.command(name, *words), **options)
        return process

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def wait_for(self, name: str, *words: str, **options: Any) -> None:
        """Until this command succeeds there, which asks whether what was started is up."""
        deadline = time.monotonic() + 120
        while (done := subprocess.run(self.command(name, *words), capture_output=True, check=False, timeout=60, **options)).returncode:
            assert time.monotonic() < deadline, f"{words}: {done.stderr.decode()[-2000:]}\n{name}: {self.log(name).read_text()[-3000:]}"
            time.sleep(0.5)

    def stop(self) -> None:
        """Every process of every host, and the hosts."""
        for name in self.addresses:
            self._end_processes(name)
        for process in self.running.values():
            process.wait()
        for namespace in (*map(self._namespace, self.addresses), self.switch):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end_processes(self, name: str) -> None:
        while pids := ip("netns", "pids", self._namespace(name)).split():
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.1)

    def _namespace(self, name: str) -> str:
        return f"{self.switch}-{name}"


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
