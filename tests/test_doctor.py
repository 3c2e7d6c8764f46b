"""Each check on a machine made to be wanting."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpsearch import doctor
from hpsearch.config.home import Home


def test_packages_that_are_missing_or_too_old(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor.metadata, "requires", lambda _: ["optuna<6,>=5.0", "nonsense>=1", "torch>=99", 'ruff>=0.14; extra == "dev"'])
    check = doctor._packages()
    assert check.level == "problem"
    assert "nonsense is missing" in check.fact
    assert "torch" in check.fact
    assert "optuna" not in check.fact
    assert "ruff" not in check.fact
    assert check.cure


def test_a_container_with_fewer_cores_than_it_shows(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_cpu_quota", lambda: 0.5)
    check = doctor._cores()
    assert (check.level, "resources.workers to 1" in check.cure) == ("warning", True)


def test_little_memory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_memory_limit", lambda: 1 << 30)
    assert doctor._memory().fact == "1.0 GiB"
    assert doctor._memory().level == "warning"


def test_a_tracker_that_is_down_is_a_warning(tmp_path: Path):
    check = doctor._tracker(Home(tmp_path, "", "http://ada:secret@127.0.0.1:9"))
    assert check.level == "warning"
    assert "secret" not in check.fact + check.cure


def test_of_a_webhook_the_host_alone_is_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("HPSEARCH_WEBHOOK_FILE", raising=False)
    monkeypatch.delenv("HPSEARCH_WEBHOOK", raising=False)
    assert doctor._webhook().fact == "none; sweeps tell nobody"
    monkeypatch.setenv("HPSEARCH_WEBHOOK", "https://hooks.slack.com/services/s3cret")
    assert doctor._webhook().fact == "at hooks.slack.com; not tried"


def test_a_webhook_that_is_none_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HPSEARCH_WEBHOOK", "s3cret")
    monkeypatch.setattr(doctor, "_fork_server", doctor._python)
    checks = doctor.examine(Home(tmp_path / "home", f"sqlite:///{tmp_path}/ledger.db", "sqlite:///mlflow.db"))
    (wrong,) = [check for check in checks if check.level == "problem"]
    assert (wrong.name, "HPSEARCH_WEBHOOK: must be the URL of a webhook" in wrong.fact, "s3cret" in wrong.fact) == ("webhook", True, False)


def test_a_check_that_fails_is_a_problem_and_the_others_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fails() -> doctor.Check:
        raise OSError("postgresql://ada:secret@host is away")

    monkeypatch.setattr(doctor, "_fork_server", fails)
    monkeypatch.setattr(doctor, "_gpu", fails)
    checks = list(doctor.examine(Home(tmp_path / "home", f"sqlite:///{tmp_path}/ledger.db", "sqlite:///mlflow.db")))
    failed = [check for check in checks if "the check failed" in check.fact]
    assert [check.level for check in failed] == ["problem", "problem"]
    assert "secret" not in str(failed)
    assert [check.name for check in checks if check.level == "ok"] == [
        "python",
        "packages",
        "cores",
        "memory",
        "home",
        "disk",
        "ledger",
        "tracker",
        "webhook",
    ]
