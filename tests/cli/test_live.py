"""A sweep while it runs: on a terminal, in a pipe, and interrupted."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

LONG = ["training.epochs=400", "budget.trials=500"]
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """A command on a terminal of 80 by 24."""

    def __init__(self, processes, *arguments: object) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = processes.start(
            *arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=_take_terminal
        )
        os.close(theirs)
        self.seen = ""

    def read_until(self, is_there: Callable[[str], bool], timeout: float = 90) -> str:
        deadline = time.monotonic() + timeout
        while not is_there(self.seen):
            assert time.monotonic() < deadline, self.seen
            ready, _, _ = select.select([self.ours], [], [], 0.2)
            with contextlib.suppress(OSError):
                if ready:
                    self.seen += os.read(self.ours, 1 << 16).decode()
            if self.process.poll() is not None and not ready:
                break
        return self.seen

    def close(self) -> int:
        code = self.process.wait(60)
        os.close(self.ours)
        return code


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_the_display_fits_80_columns_and_a_ctrl_c_ends_in_order(processes, sweep_file: Path):
    terminal = Terminal(processes, "run", sweep_file, *LONG)
    seen = terminal.read_until(lambda text: "left" in text and "baseline" in text)
    os.write(terminal.ours, b"\x03")
    seen = terminal.read_until(lambda text: "in MLflow" in text)
    assert terminal.close() == 130
    plain = ESCAPES.sub("", seen)
    assert "Traceback" not in plain
    for words in ("/500 trials", "epochs/s", "running", "parameters", "lr=", "stopping in order", "Ctrl-C again", "stopped (interrupted)"):
        assert words in plain
    assert "hpsearch resume small" in plain
    lines = [line for line in plain.replace("\r", "\n").split("\n") if "http://" not in line]  # a link is whole, or none
    assert max(map(len, lines)) <= 80
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h"), "the cursor is shown again"


def test_interrupted_in_a_pipe_it_can_be_resumed(processes, sweep_file: Path):
    process = processes.start("run", sweep_file, "task.data=wine", *LONG, "--json")
    lines = [process.stderr.readline() for _ in range(3)]
    assert lines[1].startswith("[1/500]  trial 0  completed  val_accuracy ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopping in order" in err
    (line,) = out.splitlines()
    assert '"state": "stopped"' in line
    assert "hpsearch resume small" in err
    status = processes.run("status", "small", "--json").json
    assert (status["state"], status["holder"]) == ("stopped", None)
    assert status["trials"]["waiting"] == 1


def test_stopped_from_elsewhere(processes, sweep_file: Path):
    process = processes.start("run", sweep_file, *LONG)
    assert "500 trials" in process.stdout.readline()
    process.stdout.readline()
    running = processes.run("status", "small", "--json").json
    assert running["state"] == "running"
    assert running["holder"]
    assert processes.run("resume", "small").code == 4
    assert processes.run("cancel", "small", 400).code == 2
    stopped = processes.run("stop", "small")
    assert stopped.code == 0
    assert "small has stopped; go on with: hpsearch resume small" in stopped.out
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "stopped (stopped on request)" in out


def test_killed_it_shows_as_interrupted(processes, sweep_file: Path):
    process = processes.start("run", sweep_file, *LONG)
    process.stdout.readline()
    process.stdout.readline()
    process.kill()
    process.communicate()
    (sweep,) = processes.run("list", "--json").json["sweeps"]
    assert (sweep["state"], sweep["holder"]) == ("interrupted", None)
    assert "hpsearch resume small" in processes.run("status", "small").out


def test_a_terminal_that_is_closed_does_not_end_what_hangups_do_not(processes, sweep_file: Path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as `nohup` does; children inherit it
    try:
        terminal = Terminal(processes, "run", sweep_file, "budget.trials=30")
    finally:
        signal.signal(signal.SIGHUP, before)
    terminal.read_until(lambda text: "left" in text and "baseline" in text)
    os.close(terminal.ours)
    assert terminal.process.wait(100) == 0
    assert processes.run("status", "small", "--json").json["trials"]["completed"] == 30
    assert not list(processes.folder.rglob("defect*"))


def test_whoever_reads_the_lines_may_leave(processes, sweep_file: Path):
    process = processes.start("run", sweep_file, "task.data=wine", "budget.trials=30", stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 0
    process.stderr.close()
    assert processes.run("status", "small", "--json").json["trials"]["completed"] == 30
