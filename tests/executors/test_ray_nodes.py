"""The home's own cluster as a record of processes: who is ended by it, and who is not. tests/cluster/test_verbs.py starts real ones."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hpsearch.config.home import Home
from hpsearch.errors import InputError
from hpsearch.executors import ray_local, ray_nodes
from hpsearch.executors.ray_local import LocalCluster, Started

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(child.pid, flush=True)
child.wait()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    found = Home.find(tmp_path / "home", "sqlite:///x.db")
    ray_local.folder(found).mkdir(parents=True)
    return found


@pytest.fixture
def family() -> Iterator[list[psutil.Process]]:
    """A process and its child."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    both = [psutil.Process(parent.pid), psutil.Process(int(parent.stdout.readline()))]
    yield both
    for process in both:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    parent.wait()
    parent.stdout.close()


def put_on_record(home: Home, *nodes: Started, scratch: Path | None = None) -> LocalCluster:
    cluster = LocalCluster(
        address="127.0.0.1:1",
        dashboard="http://127.0.0.1:2",
        token=ray_local.folder(home) / "token",
        scratch=scratch or home.root / "scratch",
        wanted=len(nodes),
        cpus=2,
        gpus=None,
        ledger="sqlite:///x.db",
        tracking="sqlite:///y.db",
        nodes=nodes,
    )
    ray_local.record(home, cluster)
    return cluster


def is_alive(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def test_what_is_on_record_is_read_as_it_was(home, family):
    written = put_on_record(home, Started(family[0].pid, family[0].create_time()))
    assert ray_local.recorded(home) == written
    assert ray_local.find(home) == written


@pytest.mark.slow
def test_down_ends_its_processes_and_what_they_have_started(home, family, monkeypatch):
    monkeypatch.setattr(ray_nodes, "END_S", 0.5)  # the child does not end with its parent: it is killed then
    put_on_record(home, Started(family[0].pid, family[0].create_time()), scratch=home.root / "ray")
    (home.root / "ray").mkdir()
    assert ray_nodes.down(home)
    assert not any(map(is_alive, family))
    assert not (home.root / "ray").exists()
    assert ray_local.recorded(home) is None
    assert not ray_nodes.down(home)


def test_another_process_that_has_its_number_by_now_is_left_alone(home, family):
    put_on_record(home, Started(family[0].pid, family[0].create_time() - 3600))
    assert ray_local.find(home) is None
    assert ray_local.address_to_join(home) is None
    assert ray_nodes.down(home)
    assert all(map(is_alive, family))


def test_up_finds_the_cluster_that_is_there_and_refuses_another(home, family):
    there = put_on_record(home, Started(family[0].pid, family[0].create_time()))
    assert ray_nodes.up(home) == (there, False)
    assert ray_nodes.up(home, nodes=1, cpus=2) == (there, False)
    for wanted in ({"nodes": 2}, {"cpus": 1}, {"gpus": 1}):
        with pytest.raises(InputError, match=r"a cluster of this home is up, with .*; leave the option out, or end it"):
            ray_nodes.up(home, **wanted)


def test_up_says_that_a_node_is_gone(home, family):
    put_on_record(home, Started(family[0].pid, family[0].create_time()), Started(family[1].pid, 1.0))
    with pytest.raises(InputError, match="of the cluster's 2 nodes 1 are left; `hpsearch cluster down` ends them"):
        ray_nodes.up(home)


def test_only_one_starts_or_ends_it_at_a_time(home):
    with ray_nodes._alone(home), pytest.raises(InputError, match=r"is at work on .*; wait until it is done"):
        ray_nodes.down(home)


def test_who_joins_shows_its_token(home, family, monkeypatch):
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "before")  # taken back at the end
    there = put_on_record(home, Started(family[0].pid, family[0].create_time()))
    with monkeypatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
        assert ray_local.address_to_join(home) is None, "who names another cluster has that"
    assert ray_local.address_to_join(home) == there.address
    assert (os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN_PATH"]) == ("token", str(there.token))


@pytest.mark.slow  # ray is imported
def test_each_node_sees_gpus_of_its_own(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    shown = [each["CUDA_VISIBLE_DEVICES"] for each in ray_nodes._devices(2, 2)]
    assert shown == ["4,5", "6,7"]
    with pytest.raises(InputError, match="--gpus 2: that is 6 for all nodes, and this machine shows 4; give fewer"):
        ray_nodes._devices(3, 2)
