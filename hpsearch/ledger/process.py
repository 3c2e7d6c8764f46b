"""Who holds a lease: the name of a process that another one can tell dead from alive; and for whom."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from pathlib import Path

from hpsearch.ledger.codec import clean

_SEPARATOR = "/"
_UNKNOWN = "-"


def holder() -> str:
    """This process, as `host/boot id/pid namespace/pid/start time`; what cannot be known is `-`."""
    pid = os.getpid()
    return _SEPARATOR.join((*_machine(), str(pid), _started(pid) or _UNKNOWN))


def user() -> str | None:
    """Whom this process runs for; None where the system has no name for them, as in a container with a user id of its own."""
    try:
        return clean(getpass.getuser())
    except (KeyError, ImportError, OSError):
        return None


def is_dead(holder: str) -> bool:
    """True only where it is certain: same host, boot and pid namespace, and that process is gone, a zombie, or another one by now."""
    machine, pid, started = _split(holder)
    if os.name != "posix" or pid <= 0 or _UNKNOWN in machine or machine != _machine():
        return False
    if not _exists(pid):
        return True
    now = _started(pid)
    if started == _UNKNOWN or now is None:
        return False
    return now != started or _is_zombie(pid)


def describe(holder: str) -> str:
    """The holder as people read it."""
    machine, pid, _ = _split(holder)
    return f"process {pid} on {machine[0]}" if pid > 0 else repr(holder)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)  # sends nothing; unlike /proc, it is not misled by a /proc that hides other users' processes
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _split(holder: str) -> tuple[tuple[str, ...], int, str]:
    parts = holder.rsplit(_SEPARATOR, 4)
    if len(parts) != 5 or not parts[3].isdecimal():
        return (), 0, _UNKNOWN
    return tuple(parts[:3]), int(parts[3]), parts[4]


def _machine() -> tuple[str, str, str]:
    host = socket.gethostname()
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return host, boot, str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return host, *_hardware()


def _hardware() -> tuple[str, str]:
    """Where there is no /proc: the network card's number names the machine. (A reboot ends its processes just as well.)"""
    node = uuid.getnode()
    is_made_up = node >> 40 & 1
    return (_UNKNOWN, _UNKNOWN) if is_made_up else (f"{node:x}", "all")


def _started(pid: int) -> str | None:
    stat = _stat(pid)
    return stat[19] if stat else None


def _is_zombie(pid: int) -> bool:
    stat = _stat(pid)
    return bool(stat) and stat[0] in "ZX"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, the command's name, may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
