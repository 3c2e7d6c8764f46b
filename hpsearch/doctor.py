"""Is this machine fit to run sweeps? One check a function; each says a fact and, where it is wanting, the cure."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from hpsearch.config.home import Home, mask
from hpsearch.errors import HpsearchError
from hpsearch.notify import address
from hpsearch.trial import Json

Level = Literal["ok", "warning", "problem"]

_MIN_FREE_DISK = 1 << 30
_MIN_MEMORY = 2 << 30
_MLFLOW_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and what to do about it."""

    name: str
    level: Level
    fact: str
    cure: str = ""

    def to_json(self) -> dict[str, Json]:
        return asdict(self)


def examine(home: Home) -> Iterator[Check]:
    """All checks, each as it is done. A check that fails itself is a problem, never an exception."""
    checks: list[Callable[[], Check]] = [
        _python,
        _packages,
        _cores,
        _memory,
        _gpu,
        lambda: _home(home),
        lambda: _disk(home),
        lambda: _ledger(home),
        lambda: _tracker(home),
        _webhook,
        _fork_server,
    ]
    for check in checks:
        try:
            yield check()
        except HpsearchError as error:
            fact, _, cure = str(error).partition("; ")
            yield Check(_name(check), "problem", fact, cure)
        except Exception as error:
            yield Check(_name(check), "problem", f"the check failed: {type(error).__name__}: {mask(str(error))[:200]}")


def _name(check: Callable[[], Check]) -> str:
    names = check.__code__.co_names
    return (names[0] if check.__name__ == "<lambda>" else check.__name__).strip("_").replace("_", " ")


def _python() -> Check:
    return Check("python", "ok", f"{'.'.join(map(str, sys.version_info[:3]))} ({sys.executable})")


def _packages() -> Check:
    from packaging.requirements import Requirement

    wanted = [Requirement(text) for text in metadata.requires("hpsearch") or [] if "extra ==" not in text]
    found, wrong = [], []
    for requirement in wanted:
        version = _version_of(requirement.name)
        if version is None:
            wrong.append(f"{requirement.name} is missing")
        elif not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} {version} is not {requirement.specifier}")
        elif requirement.name in ("torch", "optuna", "mlflow", "sqlalchemy"):
            found.append(f"{requirement.name} {version}")
    if wrong:
        return Check(
            "packages", "problem", "; ".join(wrong), "install them as the project pins them: pip install -c constraints.txt hpsearch"
        )
    return Check("packages", "ok", ", ".join(sorted(found)))


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cores() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cpu_quota()
    if quota is not None and quota < usable:
        cure = f"set resources.workers to {max(1, int(quota))}: the default counts cores"
        return Check("cores", "warning", f"{usable}, of which this container may use {quota:g}", cure)
    return Check("cores", "ok", f"{usable}: as many workers by default")


def _cpu_quota() -> float | None:
    """What a container's control group allows, in cores."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _memory_limit()
    usable = min(total, limit) if limit else total
    fact = f"{usable / 2**30:.1f} GiB"
    if usable < _MIN_MEMORY:
        return Check("memory", "warning", fact, "each worker takes about 0.5 GiB; set resources.workers to 1")
    return Check("memory", "ok", fact)


def _memory_limit() -> int | None:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return None
    return None if text == "max" else int(text)


def _gpu() -> Check:
    """Asked of the driver's own tool: torch would take its memory for as long as we live."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Check("gpu", "ok", "none; trials train on the CPU")
    try:
        answer = subprocess.run(
            [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"], capture_output=True, text=True, timeout=20
        )
    except subprocess.TimeoutExpired:
        return Check("gpu", "warning", "nvidia-smi does not answer", "see to the driver; trials train on the CPU with training.device: cpu")
    names = [line.strip() for line in answer.stdout.splitlines() if line.strip()]
    if answer.returncode or not names:
        return Check("gpu", "warning", "nvidia-smi sees none", "see to the driver; trials train on the CPU meanwhile")
    return Check("gpu", "ok", "; ".join(names))


def _home(home: Home) -> Check:
    existed = home.root.exists()
    home.create()
    try:
        with tempfile.NamedTemporaryFile(dir=home.root, prefix="doctor-") as file:
            file.write(b"x")
            os.fsync(file.fileno())
    except OSError as error:
        return Check("home", "problem", f"{home.root} cannot be written: {error.strerror}", "name another with --home, or mend its rights")
    return Check("home", "ok", f"{home.root}{'' if existed else ' (made now)'}")


def _disk(home: Home) -> Check:
    free = shutil.disk_usage(home.root).free
    if free < _MIN_FREE_DISK:
        return Check("disk", "warning", f"{free / 2**20:.0f} MiB free", "make room: checkpoints and metrics grow with a sweep")
    return Check("disk", "ok", f"{free / 2**30:.0f} GiB free")


def _ledger(home: Home) -> Check:
    """Opening it checks the disk's kind and the schema, and makes or upgrades the tables."""
    from hpsearch import ledger as ledgers

    began = time.monotonic()
    with contextlib.closing(ledgers.open(home.ledger_url)) as ledger:
        sweeps = ledger.sweeps()
    took = time.monotonic() - began
    fact = f"{mask(home.ledger_url)}, sweeps: {len(sweeps)}"
    if took > 5:
        return Check("ledger", "warning", f"{fact}; it took {took:.1f} s to answer", "a slow database slows every trial; move it nearer")
    return Check("ledger", "ok", fact)


def _tracker(home: Home) -> Check:
    """In a process of its own, as beside a sweep: importing MLflow takes a while, and a server may hang."""
    from hpsearch.tracking.links import server_url

    where = mask(home.tracking_uri)
    if (server := server_url(home.tracking_uri)) is None:
        return Check("tracker", "ok", f"{where} (MLflow {_version_of('mlflow')})")
    import urllib.request

    try:
        with urllib.request.urlopen(f"{server}/health", timeout=_MLFLOW_TIMEOUT_S):
            return Check("tracker", "ok", f"{where} answers")
    except OSError as error:
        return Check(
            "tracker", "warning", f"{where}: {error}", "sweeps run without it; see MLFLOW_TRACKING_URI, and `hpsearch sync` once it is up"
        )


def _webhook() -> Check:
    """Its form alone: a message to try it would be read."""
    url = address.find()
    return Check("webhook", "ok", "none; sweeps tell nobody" if url is None else f"at {address.host_of(url)}; not tried")


def _fork_server() -> Check:
    """Start one, have it fork a worker, and end both."""
    from hpsearch.executors.forkserver import ForkServer
    from hpsearch.executors.process import PRELOAD

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hpsearch-") as folder:
        server = ForkServer(PRELOAD, Path(folder) / "workers.log")
        try:
            server.start()
            pid, pipe = server.fork()
            pipe.close()
            server.end(pid)
        finally:
            server.stop()
    return Check("workers", "ok", f"a worker process starts in {time.monotonic() - began:.1f} s, torch included")
