"""run and resume: a whole sweep, its result, its exit codes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from hpsearch import ledger as ledgers
from hpsearch.ledger import holder

pytestmark = pytest.mark.timeout(180)


def test_the_json_of_a_run(finished):
    assert finished.ran.code == 0
    result = finished.ran.json
    assert list(result) == ["sweep", "state", "trials", "best", "winner", "model", "wall_s", "mlflow", "report", "warnings"]
    assert (result["sweep"], result["state"], result["trials"]) == ("small", "completed", {"completed": 4})
    assert result["report"] == str(finished.home / "reports" / "small.html")
    (best,) = result["best"]
    assert list(best) == ["trial", "values", "params"]
    assert 0 <= best["values"]["val_accuracy"] <= 1
    assert best["params"]["hidden_units"] == 8
    assert list(result["mlflow"]) == ["tracking_uri", "experiment_id", "run_id", "link"]
    assert result["mlflow"]["run_id"]


def test_with_json_standard_output_is_the_json_alone_and_the_lines_go_to_standard_error(finished):
    assert len(finished.ran.out.splitlines()) == 1
    lines = [line for line in finished.ran.err.splitlines() if line.startswith("[")]
    assert [line.split("  ")[:3] for line in lines] == [[f"[{i + 1}/4]", f"trial {i}", "completed"] for i in range(4)]
    assert all("val_accuracy 0." in line and "2 epochs" in line and "best 0." in line for line in lines)


def test_a_finished_sweep_shows_its_result_and_how_to_go_on(hp, copied, finished):
    ran = hp("run", finished.file)
    assert ran.code == 0
    assert "small was finished before (completed): 4 completed" in ran.out
    assert "best: val_accuracy" in ran.out
    for hint in ("hpsearch extend small --trials 8", "hpsearch resume small", "--new", "--name NAME", "hpsearch ui", "hpsearch show small"):
        assert hint in ran.out


def test_hints_name_the_home_that_was_given(hp, finished):
    assert f"hpsearch show small --home {finished.home}" in hp("run", finished.file, "--home", finished.home).out


def test_hints_name_the_program_that_was_called_where_a_shell_would_not_find_it(hp, finished, tmp_path, monkeypatch):
    program = tmp_path / "bin" / "hpsearch"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.argv", ["bin/hpsearch"])
    monkeypatch.setenv("PATH", "/nowhere")
    out = hp("run", finished.file, "--home", finished.home).out
    assert f"bin/hpsearch show small --home {finished.home}" in out
    assert f"bin/hpsearch run FILE --new --home {finished.home}, or --name NAME" in out
    monkeypatch.setenv("PATH", str(program.parent))
    assert "bin/hpsearch" not in hp("run", finished.file, "--home", finished.home).out


def test_quiet_says_only_the_result(hp, copied, finished):
    assert len(hp("run", finished.file, "--quiet").out.splitlines()) == 2


def test_shared_options_go_before_the_command_too(hp, finished):
    before = hp("--json", "--home", finished.home, "show", "small")
    assert before.json == hp("show", "small", "--home", finished.home, "--json").json


@pytest.mark.slow
def test_extended_it_goes_on_to_the_new_total(hp, copied, finished):
    assert hp("extend", "small", "--trials", 6).code == 0
    ran = hp("resume", "small")
    assert ran.code == 0
    assert [line[:5] for line in ran.out.splitlines() if line.startswith("[")] == ["[5/6]", "[6/6]"]
    assert hp("show", "small", "--json").json["trials"][5]["state"] == "completed"
    assert hp("run", finished.file, "budget.trials=7", "--json").json["trials"] == {"completed": 7}


@pytest.mark.slow
def test_another_sweep_with_new_and_with_name(hp, copied, finished):
    assert hp("run", finished.file, "--new", "--json", "budget.trials=1").json["sweep"] == "small-2"
    assert hp("run", finished.file, "--name", "my [red]x", "--json", "budget.trials=1").json["sweep"] == "my [red]x"
    assert [sweep["sweep"] for sweep in hp("list", "--json").json["sweeps"]] == ["small", "small-2", "my [red]x"]
    assert "my [red]x" in hp("list").out


def test_a_changed_file_is_refused_with_what_changed(hp, copied, finished):
    ran = hp("run", finished.file, "space.learning_rate.max=0.5")
    assert ran.code == 2
    assert "'small' was begun with another file" in ran.err
    assert "space.learning_rate" in ran.err
    assert "0.5" in ran.err
    assert "--new" in ran.err


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_1_where_no_trial_completes(hp, sweep_file):
    constraint = "constraints=[{metric: parameters, max: 10}]"
    ran = hp("run", sweep_file, constraint, "baseline=[]", "--json")
    assert ran.code == 1
    assert ran.json["state"] == "failed"
    assert ran.json["best"] == []
    assert "no trial completed" in ran.err
    assert "proposals in a row broke a constraint" in ran.err
    assert "not trained: trials 0 to " in ran.err
    assert len(ran.err.splitlines()) < 200
    assert hp("best", "small").code == 1


def test_3_where_the_ledger_cannot_be_reached(hp, sweep_file):
    ran = hp("run", sweep_file, "--store", "postgresql://ada:secret@127.0.0.1:1/db")
    assert ran.code == 3
    assert "secret" not in ran.err
    assert "ada:***@127.0.0.1" in ran.err


def test_4_where_another_controller_holds_the_sweep(hp, copied, finished):
    with contextlib.closing(ledgers.open(f"sqlite:///{copied}/ledger.db")) as ledger:
        ledger.acquire(ledger.find("small").id, "controller", holder(), 60)
        ran = hp("run", finished.file, "budget.trials=9", "--json")
    assert ran.code == 4
    assert ran.json["exit_code"] == 4
    assert "small" in ran.err


def test_an_address_is_of_a_cluster(hp, sweep_file):
    ran = hp("run", sweep_file, "--address", "auto")
    assert (ran.code, "is of a Ray cluster, and the executor is inline; add --executor ray" in ran.err) == (2, True)


def test_gpus_are_given_out_by_ray(hp, sweep_file):
    ran = hp("run", sweep_file, "resources.gpus=0.5")
    assert (ran.code, "resources.gpus is 0.5; use executor ray" in ran.err) == (2, True)


@pytest.mark.parametrize("executor", ["simulated", "proces"])
def test_an_executor_that_is_not_there(hp, sweep_file: Path, executor: str):
    ran = hp("run", sweep_file, "--executor", executor)
    assert ran.code == 2
    assert "inline" in ran.err
    assert not Path(".hpsearch").exists()


def test_validate_shows_what_run_then_tries(hp, finished):
    samples = hp("validate", finished.file, "--json").json["samples"]
    trials = hp("show", "small", "--home", finished.home, "--json").json["trials"]
    assert [sample["params"] for sample in samples] == [trial["params"] for trial in trials[1:]]
