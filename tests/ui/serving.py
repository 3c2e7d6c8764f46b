"""Sweeps that have run in a home, and MLflow's UI of it: each a real process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

NO_ASSISTANT = """
try { localStorage.setItem('mlflow.assistant.fab.autoOpenedOnFirstLoad_v1', 'true'); } catch {}  // about:blank has none
"""
"""Before each page: as if this were no first visit, at which MLflow opens a panel over a third of the window."""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command in `folder`, whose home is there; the last line that it prints is JSON."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_"))}
    environment["PYTHONPATH"] = str(ROOT)
    command = [sys.executable, "-m", "hpsearch", *arguments, "--json"]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def said(folder: Path, *arguments: str, patience_s: float = 300) -> Any:
    """What a command says at its end."""
    with start(folder, *arguments) as process:
        try:
            out, _ = process.communicate(timeout=patience_s)
        finally:
            process.kill()  # had it no end, it would outlive the test
    assert process.returncode == 0, arguments
    return json.loads(out.splitlines()[-1])


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`hpsearch ui` of the home in `folder`; gives the link that it prints."""
    server = start(folder, "ui")
    try:
        assert server.stdout is not None
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)
