"""The process beside a sweep, for real: started, killed at any moment, left alone by its controller, and with a server that goes away."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hpsearch.tracking import links
from hpsearch.tracking.process import ProjectorProcess
from hpsearch.trial import TrialKind

PATIENCE_S = 100.0

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "tracking.log"


@pytest.fixture
def process(tracking_uri: str, artifacts: Path, log: Path) -> Iterator[ProjectorProcess]:
    with ProjectorProcess.start(tracking_uri, artifacts, log) as process:
        yield process


def wait_until(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it never was"
        time.sleep(0.02)


def test_it_follows_a_sweep_to_its_end(process: ProjectorProcess, story: Any, ledger_url: str, seen: Any, check: Any, log: Path) -> None:
    process.open(ledger_url, "digits")
    story.trial(kind=TrialKind.BASELINE)
    wait_until(lambda: process.tracked.run_id)
    assert os.getpriority(os.PRIO_PROCESS, process.pid or 0) == os.getpriority(os.PRIO_PROCESS, 0) + 10
    os.kill(process.pid or 0, signal.SIGINT)
    for _ in range(5):
        story.trial()
    story.close()
    tracked = process.finish(PATIENCE_S)
    check(seen, story)
    assert tracked.error is None
    assert tracked.up_to_date
    assert tracked.seq == story.ledger.find("digits").last_seq
    assert tracked.run_id == seen.parents()[0].info.run_id
    assert process.pid is None
    assert story.ledger.holder(story.sweep.id, "projector") is None
    assert log.read_text() == ""


def test_killed_at_any_moment_it_leaves_nothing_twice(
    process: ProjectorProcess, story: Any, ledger_url: str, seen: Any, check: Any, files: Any, leave: Any
) -> None:
    process.open(ledger_url, "digits", files)
    chance = random.Random(0)
    wait_until(lambda: process.tracked.run_id)
    for _ in range(5):
        for _ in range(12):
            leave(story.trials, "printed", **{"a.txt": b"a"})
            story.trial()
        time.sleep(chance.uniform(0.5, 2.5))
        if (pid := process.pid) is not None:
            os.kill(pid, signal.SIGKILL)
    story.close()
    tracked = process.finish(PATIENCE_S)
    assert (tracked.up_to_date, tracked.error) == (True, None)
    check(seen, story)
    assert all(set(seen.artifacts(run)) == {"a.txt", f"trial-{n:05d}.log"} for n, (run,) in seen.children().items())


def test_without_its_controller_it_writes_what_there_is_and_goes(
    story: Any, ledger_url: str, tracking_uri: str, tmp_path: Path, seen: Any, check: Any
) -> None:
    story.trial()
    code = (
        "import os; from hpsearch.tracking.process import ProjectorProcess;"
        f"p = ProjectorProcess.start({tracking_uri!r}); p.open({ledger_url!r}, 'digits'); print(p.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    pid = int(subprocess.run([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True).stdout)
    wait_until(lambda: not _is_running(pid))
    check(seen, story)
    assert story.ledger.holder(story.sweep.id, "projector") is None


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_closed_before_it_was_told_of_a_sweep_it_is_gone_at_once(process: ProjectorProcess) -> None:
    began = time.monotonic()
    process.close()
    assert time.monotonic() - began < 2
    assert process.pid is None


def test_what_cannot_be_is_told_and_does_not_hold_up_the_end(story: Any, ledger_url: str) -> None:
    with ProjectorProcess.start("http://ada:s3cret@127.0.0.1:9") as process:
        process.open(ledger_url, "digits")
        wait_until(lambda: process.tracked.error)
        tracked = process.finish(PATIENCE_S)
    assert not tracked.up_to_date
    assert tracked.error is not None
    assert tracked.error.startswith("MLflow at http://***@127.0.0.1:9: ")
    assert "s3cret" not in tracked.error


def test_a_process_that_dies_again_and_again_is_told(story: Any) -> None:
    process = ProjectorProcess("sqlite://", command=[sys.executable, "-c", "raise SystemExit(3)"])
    process._spawn()
    process._thread.start()
    wait_until(lambda: process.tracked.error)
    assert process.tracked.error == "the process that writes to MLflow ended with 3"
    process.close()


def test_a_process_that_dies_before_it_reads_is_told(story: Any, tmp_path: Path) -> None:
    told = tmp_path / "told"
    deaf = f"import os, pathlib, time\nos.close(0)\nwhile not pathlib.Path({str(told)!r}).exists(): time.sleep(0.01)"
    process = ProjectorProcess("sqlite://", command=[sys.executable, "-c", deaf])
    process._spawn()
    wait_until(lambda: not _is_writable(process))
    process._thread.start()
    process.open("sqlite://", "digits")
    told.touch()
    wait_until(lambda: process.tracked.error)
    assert process.tracked.error == "the process that writes to MLflow ended with 0"
    process.close()


def _is_writable(process: ProjectorProcess) -> bool:
    """Whether somebody may read its standard input (poll says POLLERR once the other end is closed)."""
    assert process._process is not None
    assert process._process.stdin is not None
    poll = select.poll()
    poll.register(process._process.stdin, select.POLLOUT)
    return all(not events & select.POLLERR for _, events in poll.poll(0))


class Server:
    """A real `mlflow server`, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._port = links.free_port(0)
        self._folder = folder
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, **links.ui_environment(f"sqlite:///{self._folder}/server.db", self._folder / "server")}
        self._process = subprocess.Popen(
            links.ui_command(self._port), env=environment, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


def test_a_server_that_comes_late_and_is_killed_ends_with_everything_once(
    server: Server, story: Any, ledger_url: str, see: Any, check: Any, files: Any, leave: Any
) -> None:
    for trial in range(12):
        leave(trial, f"printed by {trial}", **{"samples.png": b"png" * trial})
    with ProjectorProcess.start(server.uri) as process:
        process.open(ledger_url, "digits", files)
        story.trial()
        wait_until(lambda: process.tracked.error)
        server.start()
        wait_until(lambda: process.tracked.run_id)
        for _ in range(10):
            story.trial()
        time.sleep(1.2)
        server.kill()
        story.trial()
        wait_until(lambda: process.tracked.error)
        server.start()
        wait_until(lambda: process.tracked.error is None)
        story.close()
        tracked = process.finish(PATIENCE_S)
    assert (tracked.up_to_date, tracked.error) == (True, None)
    seen = see(server.uri)
    check(seen, story)
    for trial, (run,) in seen.children().items():
        assert seen.artifacts(run) == {"samples.png": 3 * trial, f"trial-{trial:05d}.log": len(f"printed by {trial}")}
