"""init, schema, doctor, ui."""

from __future__ import annotations

import json
import signal
import urllib.request
from pathlib import Path

import pytest


def test_init_writes_a_file_that_is_valid_and_never_overwrites(hp):
    assert hp("init").code == 0
    written = Path("sweep.yaml").read_text()
    ran = hp("init")
    assert (ran.code, "exists already and is not overwritten" in ran.err) == (2, True)
    assert Path("sweep.yaml").read_text() == written
    assert hp("validate", "sweep.yaml", "--json").json["valid"]
    assert hp("init", "no/such/folder.yaml").code == 2


def test_schema_is_the_same_json_either_way(hp):
    pretty = json.loads(hp("schema").out)
    assert pretty == hp("schema", "--json").json
    assert "space" in pretty["properties"]


@pytest.mark.slow
def test_doctor(hp):
    ran = hp("doctor", "--json")
    checks = {check["name"]: check for check in ran.json["checks"]}
    assert ran.code == 0, checks
    assert {"python", "packages", "cores", "memory", "gpu", "home", "ledger", "tracker", "workers"} <= checks.keys()
    assert all(check["cure"] for check in checks.values() if check["level"] != "ok")


@pytest.mark.slow
def test_doctor_finds_what_is_wrong(hp, tmp_path):
    (tmp_path / "file").write_text("")
    ran = hp("doctor", "--home", tmp_path / "file", "--store", "postgresql://ada:secret@127.0.0.1:1/db")
    assert ran.code == 1
    assert "problem home" in " ".join(ran.out.split())
    assert "problem ledger" in " ".join(ran.out.split())
    assert "secret" not in ran.out + ran.err


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ui_serves_this_home_and_leaves_no_server_behind(processes, finished, how):
    process = processes.start("ui", "--home", finished.home, "--port", 5999, "--json")
    try:
        told = json.loads(process.stdout.readline())
        assert told["url"].startswith("http://127.0.0.1:")
        assert told["url"].partition("/#/")[2] == finished.ran.json["mlflow"]["link"].partition("/#/")[2]
        with urllib.request.urlopen(told["url"].split("#")[0], timeout=20) as answer:
            assert b"MLflow" in answer.read()
    finally:
        process.send_signal(how)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(told["url"].split("#")[0], timeout=5)


def test_ui_of_a_server_is_where_it_is(hp, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ada:secret@mlflow.example:5000")
    assert hp("ui", "--json").json == {"url": "http://mlflow.example:5000", "pid": None}
