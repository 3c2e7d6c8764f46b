"""The commit of a folder, in real repositories: what git itself says of them; and in hostile ones, of which nothing may be run."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from hpsearch.provenance.git import Commit, commit_of

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """With one commit of train.py, and a folder in it."""
    folder = tmp_path / "repository"
    (folder / "sweeps").mkdir(parents=True)
    git(folder, "init", "--quiet")
    (folder / "train.py").write_text("print(1)\n")
    (folder / "sweeps" / "a.yaml").write_text("name: a\n")
    commit(folder)
    return folder


def git(folder: Path, *arguments: str) -> str:
    options = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *options, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def commit(folder: Path) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "x")
    return git(folder, "rev-parse", "HEAD")


def test_clean_dirty_and_committed_again(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    assert commit_of(repository) == Commit(first, dirty=False)
    (repository / "train.py").write_text("print(2)\n")
    assert commit_of(repository) == Commit(first, dirty=True)
    second = commit(repository)
    assert second != first
    assert commit_of(repository) == Commit(second, dirty=False)


def test_a_change_elsewhere_in_the_repository_counts(repository: Path) -> None:
    git(repository, "config", "diff.relative", "true")
    (repository / "train.py").write_text("print(2)\n")
    found = commit_of(repository / "sweeps")
    assert found is not None
    assert found.dirty


def test_what_is_staged_counts_and_what_git_does_not_follow_does_not(repository: Path) -> None:
    (repository / ".hpsearch").mkdir()
    (repository / ".hpsearch" / "ledger.db").write_text("results")
    assert commit_of(repository).dirty is False
    git(repository, "add", "--all")
    assert commit_of(repository).dirty is True


def test_a_file_that_was_only_touched_is_not_changed(repository: Path) -> None:
    os.utime(repository / "train.py", (1, 1))
    assert commit_of(repository).dirty is False


def test_no_repository_no_commit_no_folder(tmp_path: Path) -> None:
    assert commit_of(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert commit_of(tmp_path) is None
    assert commit_of(tmp_path / "missing") is None
    (tmp_path / ".git" / "HEAD").write_text("nonsense")
    assert commit_of(tmp_path) is None


def test_no_git(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(repository) is None


def test_within_a_hook_it_is_the_folders_repository_that_counts(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another"))
    assert commit_of(repository) is not None


def program(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "program"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def test_a_git_that_hangs_is_left_with_all_that_it_started(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    program(tmp_path / "bin", f"sleep 100 & echo $! > {pid}; wait").rename(tmp_path / "bin" / "git")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    began = time.monotonic()
    assert commit_of(repository, patience_s=0.3) is None
    assert time.monotonic() - began < 20
    assert not is_running(int(pid.read_text()))


def is_running(pid: int) -> bool:
    """Ended processes that nobody has waited for do not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_git_that_never_stops_talking_is_cut_short(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path / "bin", "exec yes").rename(tmp_path / "bin" / "git")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert commit_of(repository) is None


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves `sprung` beside it."""
    return program(tmp_path / "trap", f"touch {tmp_path}/trap/sprung; exit 1")


def spring(repository: Path) -> None:
    """What plain git does of the same kind, to show that the trap is one."""
    (repository / "train.py").write_text("print(3)\n")
    subprocess.run(["git", "status"], cwd=repository, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize("setting", ["core.fsmonitor", "filter.x.clean", "filter.a=b.clean"])
def test_what_the_repository_says_is_not_run(repository: Path, trap: Path, setting: str) -> None:
    (repository / ".git" / "info").mkdir(exist_ok=True)
    (repository / ".git" / "info" / "attributes").write_text(f"* filter={setting.split('.')[1]}\n")
    git(repository, "config", setting, str(trap))
    (repository / "train.py").write_text("print(2)\n")
    found = commit_of(repository)
    assert not (trap.parent / "sprung").exists()
    assert found is not None
    assert found.dirty is (None if setting.startswith("filter") else True)
    spring(repository)
    assert (trap.parent / "sprung").exists()


def test_a_hook_is_not_run(repository: Path, trap: Path) -> None:
    hook = repository / ".git" / "hooks" / "post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.symlink_to(trap)
    os.utime(repository / "train.py", (1, 1))
    commit_of(repository)
    assert not (trap.parent / "sprung").exists()
    spring(repository)
    assert (trap.parent / "sprung").exists()


def test_what_is_missing_is_not_fetched(repository: Path, trap: Path, tmp_path: Path) -> None:
    git(repository, "config", "core.sshCommand", str(trap))
    git(repository, "config", "remote.origin.url", "ssh://host/x")
    git(repository, "config", "remote.origin.promisor", "true")
    git(repository, "config", "extensions.partialClone", "origin")
    tree = git(repository, "rev-parse", "HEAD^{tree}")
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    found = commit_of(repository)
    assert not (trap.parent / "sprung").exists()
    assert found is not None
    assert found.dirty is None
    spring(repository)
    assert (trap.parent / "sprung").exists()


def test_a_submodule_of_another_commit_counts_and_its_own_settings_do_not(repository: Path, trap: Path, tmp_path: Path) -> None:
    git(repository, "submodule", "--quiet", "add", str(repository), "inner")
    commit(repository)
    inner = repository / "inner"
    git(inner, "config", "core.fsmonitor", str(trap))
    assert commit_of(repository).dirty is False
    assert not (trap.parent / "sprung").exists()
    (inner / "train.py").write_text("print(5)\n")
    git(inner, "config", "--unset", "core.fsmonitor")
    commit(inner)
    assert commit_of(repository).dirty is True
