"""A holder is dead only where that is certain."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hpsearch.ledger import process
from hpsearch.ledger.process import describe, holder, is_dead, user

pytestmark = pytest.mark.slow

PRINT_HOLDER = "from hpsearch.ledger import holder; import sys; print(holder(), flush=True); sys.stdin.read()"


@pytest.fixture
def other() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PRINT_HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def name_of(other: subprocess.Popen[str]) -> str:
    assert other.stdout is not None
    return other.stdout.readline().strip()


def end(other: subprocess.Popen[str]) -> None:
    other.kill()
    other.communicate()


def test_this_process_lives() -> None:
    assert not is_dead(holder())
    assert describe(holder()) == f"process {os.getpid()} on {socket.gethostname()}"


def test_another_process_lives_until_it_is_killed(other: subprocess.Popen[str]) -> None:
    name = name_of(other)
    assert not is_dead(name)
    os.kill(other.pid, signal.SIGSTOP)
    assert not is_dead(name)
    other.kill()
    while Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.01)
    assert is_dead(name), "a zombie does nothing any more"
    other.communicate()
    assert is_dead(name)


def test_a_pid_that_was_given_to_another_process(other: subprocess.Popen[str]) -> None:
    *machine, pid, started = name_of(other).split("/")
    assert is_dead("/".join([*machine, pid, str(int(started) - 1)]))
    end(other)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_elsewhere_nobody_can_tell(other: subprocess.Popen[str], part: int) -> None:
    parts = name_of(other).split("/")
    end(other)
    assert is_dead("/".join(parts))
    parts[part] = "elsewhere"
    assert not is_dead("/".join(parts))


@pytest.mark.parametrize("name", ["", "me", "a/b/c/d/e", "a/b/c/-1/5", "////", "h/b/n/0/1", "h/b/n/²/1"])
def test_other_names_are_nobody(name: str) -> None:
    assert not is_dead(name)
    assert describe(name)


def test_without_proc_the_network_card_names_the_machine(other: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", nothing)
    monkeypatch.setattr(process.uuid, "getnode", lambda: 0x0A_00_27_00_00_01)
    assert holder() == f"{socket.gethostname()}/a0027000001/all/{os.getpid()}/-"
    assert not is_dead(holder())
    name_of(other)
    end(other)
    assert is_dead(f"{socket.gethostname()}/a0027000001/all/{other.pid}/-")
    made_up = 1 << 40
    monkeypatch.setattr(process.uuid, "getnode", lambda: made_up)
    assert holder() == f"{socket.gethostname()}/-/-/{os.getpid()}/-"
    assert not is_dead(f"{socket.gethostname()}/-/-/{other.pid}/-")


def ask_for_user(uid: int, environment: dict[str, str]) -> str:
    """What another process says that goes on as that user id, with nothing else in its environment that could name a user."""
    words = [sys.executable, "-c", f"import os; from hpsearch.ledger import user; os.setuid({uid}); print(repr(user()))"]
    known = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(words, env=known | environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(os.name != "posix", reason="user ids are POSIX's")
def test_the_user_has_the_systems_name() -> None:
    import pwd

    assert ask_for_user(os.geteuid(), {}) == repr(pwd.getpwuid(os.geteuid()).pw_name)
    assert ask_for_user(os.geteuid(), {"LOGNAME": "ada"}) == "'ada'"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can be somebody without a name")
def test_a_user_without_a_name_is_none() -> None:
    assert ask_for_user(54_321, {}) == "None"


def test_the_name_of_a_user_is_taken_by_every_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", os.fsdecode(b"ad\xe4"))
    assert user() == "ad?"
