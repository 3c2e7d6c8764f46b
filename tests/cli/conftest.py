"""A small real sweep, and the ways to call the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hpsearch.cli import main

ROOT = Path(__file__).parents[2]

SWEEP = """\
name: small
task: {kind: classification, data: iris, model: mlp}
objective: {metric: val_accuracy, goal: maximize}
space:
  learning_rate: {min: 1.0e-4, max: 0.1, log: true}
  optimizer: {values: [adamw, sgd]}
  momentum: {min: 0.5, max: 0.9, when: {optimizer: sgd}}
  hidden_units: 8
baseline:
  - {learning_rate: 0.01, optimizer: adamw}
training: {epochs: 2}
search: {sampler: random, scheduler: none, seed: 1}
budget: {trials: 4}
resources: {executor: inline}
"""


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


Call = Callable[..., Ran]


@pytest.fixture
def hp(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line in this process, in an empty folder."""
    for name in ("HPSEARCH_HOME", "HPSEARCH_STORE", "HPSEARCH_STORE_FILE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return Ran(code, out, err)

    return call


@dataclass(frozen=True)
class Processes:
    """The command line in processes of its own."""

    folder: Path

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("HPSEARCH_", "MLFLOW_", "COLUMNS"))}
        command = [sys.executable, "-m", "hpsearch", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(command, cwd=self.folder, env=environment | {"PYTHONPATH": str(ROOT)}, **pipes)

    def run(self, *arguments: object) -> Ran:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=100)
        assert "Traceback" not in out + err, err
        return Ran(process.returncode, out, err)


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    """Call the command line in a process, in an empty folder."""
    return Processes(tmp_path)


@dataclass(frozen=True)
class Finished:
    """A sweep that has run to its end."""

    file: Path
    home: Path
    ran: Ran


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Run once, looked at by many; nobody changes it."""
    folder = tmp_path_factory.mktemp("finished")
    file = folder / "small.yaml"
    file.write_text(SWEEP)
    return Finished(file, folder / "home", Processes(folder).run("run", file, "--home", folder / "home", "--json"))


@pytest.fixture(scope="session")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The same with re-tests."""
    folder = tmp_path_factory.mktemp("chosen")
    file = folder / "small.yaml"
    file.write_text(SWEEP + "winner: {top: 2, seeds: 2}\n")
    return Finished(file, folder / "home", Processes(folder).run("run", file, "--home", folder / "home", "--json"))


@pytest.fixture
def copied(finished: Finished, tmp_path: Path) -> Path:
    """The finished sweep's home, copied to be changed: `.hpsearch` of the present folder."""
    return Path(shutil.copytree(finished.home, tmp_path / ".hpsearch"))


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SWEEP)
    return file
