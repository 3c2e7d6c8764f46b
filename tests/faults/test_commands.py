"""Commands that misbehave: each costs its trial, with a reason, leaves no process behind, and the sweep goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

COMMAND = Path(sys.executable).with_name("hpsearch")

SCRIPT = """
import json, os, signal, subprocess, sys, time

pids = open(os.environ["PIDS"], "a", buffering=1)
pids.write(f"{os.getpid()}\\n")


def report(step):
    print(json.dumps({"loss": 1 / step}), flush=True)


def garbage():
    os.write(1, bytes(range(256)) * 40 + b'\\n{"loss": \\n{"loss"}\\n[1, 2]\\n{"other": 3}\\n')


def a_word_for_a_number():
    print('{"loss": "low"}')


def nothing():
    pass


def hang():
    report(1)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)


def fork():
    \"\"\"Three generations, one of them in a session of its own and deaf to SIGTERM, and the parents gone.\"\"\"
    for detached in (False, True):
        if os.fork() == 0:
            if detached:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if os.fork() == 0:
                pids.write(f"{os.getpid()}\\n")
                time.sleep(3600)
            os._exit(0)
    time.sleep(0.3)
    sys.exit(5)


def fork_and_hang():
    subprocess.Popen([sys.executable, "-c", f"import os, time; open({pids.name!r}, 'a').write(f'{os.getpid()}\\\\n'); time.sleep(3600)"],
                     start_new_session=True)
    time.sleep(3600)


def flood():
    report(1)
    for _ in range(100):
        os.write(1, b"x" * 2**20)


def a_long_line():
    os.write(1, b"{" * 2**24)


def killed():
    report(1)
    os.kill(os.getpid(), signal.SIGSEGV)


def fine():
    for step in range(1, 4):
        report(step)


globals()[sys.argv[1]]()
"""

KINDS = {
    "garbage": ("failed", "ended without reporting a metric"),
    "a_word_for_a_number": ("failed", "loss 'low', which is no number"),
    "nothing": ("failed", "ended without reporting a metric"),
    "hang": ("timed_out", "ran longer than its time-out of 4 s"),
    "fork": ("failed", "exited with status 5"),
    "fork_and_hang": ("timed_out", "ran longer than its time-out of 4 s"),
    "flood": ("failed", "printed more than 64 MiB"),
    "a_long_line": ("failed", "ended without reporting a metric"),
    "killed": ("failed", "was killed by SIGSEGV"),
    "fine": ("completed", None),
}

SWEEP = f"""
task: {{kind: command, run: "python misbehave.py {{what}}"}}
objective: {{metric: loss, goal: minimize}}
space: {{what: {{values: [{", ".join(KINDS)}]}}}}
training: {{epochs: 3}}
search: {{sampler: grid, scheduler: none}}
budget: {{trials: {len(KINDS)}}}
resources: {{workers: 2, retries: 0, timeout: 4s}}
"""


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def soon(is_so: Callable[[], bool], within_s: float = 15) -> bool:
    """Whether it comes to be so: SIGKILL follows SIGTERM after a grace."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def none_lives(pids: Path) -> bool:
    return not any(is_alive(int(pid)) for pid in pids.read_text().split())


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "misbehave.py").write_text(SCRIPT)
    (tmp_path / "misbehave.yaml").write_text(SWEEP)
    (tmp_path / "pids").touch()
    return {k: v for k, v in os.environ.items() if not k.startswith(("HPSEARCH_", "MLFLOW_"))} | {"PIDS": str(tmp_path / "pids")}


def test_each_ends_with_its_reason_and_the_sweep_goes_on(tmp_path: Path, environment: dict[str, str]) -> None:
    run = [COMMAND, "run", "misbehave.yaml", "--json"]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    shown = subprocess.run(
        [COMMAND, "show", "misbehave", "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    trials = {trial["params"]["what"]: trial for trial in json.loads(shown.stdout.splitlines()[-1])["trials"]}
    assert {what: trial["state"] for what, trial in trials.items()} == {what: state for what, (state, _) in KINDS.items()}
    for what, (_, reason) in KINDS.items():
        assert reason is None or reason in trials[what]["reason"], what
    assert soon(lambda: none_lives(tmp_path / "pids"))
    assert sum(log.stat().st_size for log in (tmp_path / ".hpsearch/logs/misbehave").glob("trial-*.log")) < 90 * 2**20
    assert soon(lambda: not list((tmp_path / ".hpsearch/checkpoints/misbehave").glob("*/attempt-*")))


def test_no_process_outlives_a_controller_that_is_killed(tmp_path: Path, environment: dict[str, str]) -> None:
    run = [
        COMMAND,
        "run",
        "misbehave.yaml",
        "space.what=fork_and_hang",
        "resources.timeout=null",
        "budget.trials=1",
        "search.sampler=random",
    ]
    process = subprocess.Popen(run, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert soon(lambda: len((tmp_path / "pids").read_text().split()) == 2, within_s=60)
    process.kill()
    process.wait()
    assert soon(lambda: none_lives(tmp_path / "pids"))
