"""What of a sweep's folder travels to another machine."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from hpsearch.config import load
from hpsearch.config.home import Home
from hpsearch.errors import ConfigError, InputError

pytestmark = pytest.mark.slow  # ray is imported

SWEEP = """\
task: {kind: classification, data: {csv: DATA, target: y}}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {min: 0.01, max: 0.1}}
budget: {trials: 1}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HPSEARCH_STORE_FILE", "RAY_AUTH_TOKEN_PATH", "RAY_RUNTIME_ENV_IGNORE_GITIGNORE"):
        monkeypatch.delenv(name, raising=False)
    made = tmp_path / "mine"
    for name in ("one.yaml", "train.py", "data/points.csv"):
        write(made / name)
    return made


def write(file: Path, text: str = "x") -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def travels(folder: Path, home: Path | None = None) -> set[str]:
    from hpsearch.executors.ray_package import travelling

    return set(travelling(folder, Home.find(home or folder / ".hpsearch", "sqlite:///x.db")))


ALL = {"one.yaml", "train.py", "data/points.csv"}


def test_everything_beside_the_file_but_secrets_and_homes(folder, monkeypatch):
    for name in (".env", ".env.local", "secrets/ray_token", "key.pem", ".git/config", ".venv/bin/python", "__pycache__/train.pyc"):
        write(folder / name)
    for name in ("my-home/ledger.db", ".hpsearch/ledger.db", "deep/store-url", "token", "webhook-url"):
        write(folder / name)
    monkeypatch.setenv("HPSEARCH_STORE_FILE", str(folder / "deep" / "store-url"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "token")
    monkeypatch.setenv("HPSEARCH_WEBHOOK_FILE", "webhook-url")
    assert travels(folder, folder / "my-home") == ALL


def test_ignore_files_are_heeded(folder, monkeypatch):
    write(folder / ".gitignore", "*.csv\n")
    write(folder / "notes" / "long.txt")
    write(folder / ".rayignore", "notes\n")
    assert travels(folder) == {"one.yaml", "train.py", ".gitignore", ".rayignore"}
    monkeypatch.setenv("RAY_RUNTIME_ENV_IGNORE_GITIGNORE", "1")
    assert travels(folder) == ALL | {".gitignore", ".rayignore"}


def check(folder: Path, data: str) -> None:
    from hpsearch.executors.ray_package import check_travels, travelling

    write(folder / "one.yaml", SWEEP.replace("DATA", data))
    config = load(folder / "one.yaml")
    check_travels(config, "one.yaml", travelling(folder, Home.find(folder / ".hpsearch", "sqlite:///x.db")))


@pytest.mark.parametrize("data", ["data/points.csv", "./data/../data/points.csv", "FOLDER/data/points.csv", "/no/such/here.csv"])
def test_data_that_travel_or_are_there(folder, data):
    check(folder, data.replace("FOLDER", str(folder)))


def test_data_that_do_not_travel(folder, tmp_path):
    write(tmp_path / "elsewhere.csv")
    for data in ("../elsewhere.csv", str(tmp_path / "elsewhere.csv")):
        with pytest.raises(ConfigError, match=rf"one.yaml, line 1: task.data.csv: {data} is outside {folder}, .*; move it there"):
            check(folder, data)
    with pytest.raises(ConfigError, match=r"task.data.csv: data/none.csv is not among the files that travel .*; mend the path"):
        check(folder, "data/none.csv")
    write(folder / ".gitignore", "data\n")
    with pytest.raises(ConfigError, match=r"task.data.csv: data/points.csv is not among the files that travel .*; mend .gitignore"):
        check(folder, "data/points.csv")


def test_the_archive_has_what_travels(folder, tmp_path):
    from hpsearch.executors.ray_package import pack

    pack(folder, dict.fromkeys(ALL, 1), tmp_path / "sweep.zip")
    with zipfile.ZipFile(tmp_path / "sweep.zip") as archive:
        assert set(archive.namelist()) == ALL
        assert archive.read("data/points.csv") == b"x"


def test_what_is_too_large_is_named(folder, tmp_path, monkeypatch):
    from hpsearch.executors import ray_package

    monkeypatch.setattr(ray_package, "LARGEST_BYTES", 2**20)
    (folder / "noise.bin").write_bytes(random.Random(0).randbytes(2 * 2**20))
    (folder / "zeros.bin").write_bytes(bytes(3 * 2**20))
    sizes = ray_package.travelling(folder, Home.find(folder / ".hpsearch", "sqlite:///x.db"))
    with pytest.raises(InputError, match=r"has 5.0 MiB, and packed it may have 1.0 MiB .*: zeros.bin \(3.0 MiB\), noise.bin \(2.0 MiB\)"):
        ray_package.pack(folder, sizes, tmp_path / "sweep.zip")
    del sizes["noise.bin"]
    ray_package.pack(folder, sizes, tmp_path / "small.zip")
