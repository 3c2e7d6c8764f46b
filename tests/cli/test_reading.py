"""list, status, show, best, logs: of a sweep that has run."""

from __future__ import annotations

import math

import pytest

from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS

pytestmark = pytest.mark.slow


@pytest.fixture
def look(hp, finished):
    """Call a command on the finished sweep."""
    return lambda *arguments: hp(*arguments, "--home", finished.home)


def test_list(look):
    header, line = look("list").out.splitlines()
    assert header.split() == ["name", "state", "trials", "best", "age"]
    assert line.split()[:4] == ["small", "completed", "4", "of"]
    (sweep,) = look("list", "--json").json["sweeps"]
    assert (sweep["sweep"], sweep["state"], sweep["trials"], sweep["holder"]) == ("small", "completed", {"completed": 4}, None)
    assert sweep["spent"]["epochs"] == 8
    assert sweep["baseline"]["trial"] == 0


def test_list_of_nothing_makes_nothing(hp, tmp_path):
    ran = hp("list")
    assert ran.code == 0
    assert "hpsearch run FILE" in ran.out
    assert hp("list", "--json").json == {"sweeps": []}
    assert list(tmp_path.iterdir()) == []


def test_status_of_one_and_of_all(look):
    assert "4 of 4 trials" in look("status", "small").out
    assert look("status", "small", "--json").json == {**look("list", "--json").json["sweeps"][0]}
    assert look("status", "--json").json == look("list", "--json").json


def test_all_of_them_give_the_link_to_its_trials_in_mlflow(look, finished):
    link = finished.ran.json["mlflow"]["link"]
    assert link.startswith("http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=hpsearch")
    for command in ("status", "best"):
        assert f"in MLflow  {link}" in look(command, "small").out.splitlines()
        assert look(command, "small", "--json").json["mlflow"] == finished.ran.json["mlflow"]
    assert look("list", "--json").json["sweeps"][0]["mlflow"] == finished.ran.json["mlflow"]


def test_show_json_is_what_the_design_says(look):
    shown = look("show", "small", "--json").json
    assert list(shown) == ["sweep", "trials"]
    assert [t["number"] for t in shown["trials"]] == [0, 1, 2, 3]
    assert [t["kind"] for t in shown["trials"]] == ["baseline", "search", "search", "search"]
    keys = ["number", "kind", "state", "attempts", "values", "steps", "params", "mlflow_run_id", "reason", "parent"]
    for trial in shown["trials"]:
        assert list(trial) == keys
        assert (trial["state"], trial["attempts"], trial["steps"], trial["reason"]) == ("completed", 1, 2, None)
        assert trial["mlflow_run_id"]
        assert ("momentum" in trial["params"]) == (trial["params"]["optimizer"] == "sgd")


def test_show_is_a_table_with_a_line_a_trial(look):
    out = look("show", "small").out
    assert "small is completed" in out
    lines = out.splitlines()
    header = next(i for i, line in enumerate(lines) if line.startswith("trial "))
    assert lines[header].split() == ["trial", "kind", "state", "epoch", "val_accuracy", "curve", "time", "parameters"]
    assert len(lines) - header - 1 == 4
    assert "lr=0.01 opti=adamw" in lines[header + 1]


def test_status_and_show_draw_the_best_so_far_and_the_states(look):
    best, values = -math.inf, []
    for trial in look("show", "small", "--json").json["trials"]:  # one at a time, so they ended in this order
        best = max(best, trial["values"]["val_accuracy"])
        values.append(best)
    for command in ("status", "show"):
        progress, states = (next(line for line in look(command, "small").out.splitlines() if line.startswith(w)) for w in _DRAWN)
        blocks, *words = progress.split()[1:]
        assert (len(blocks), blocks.index(blocks[-1])) == (4, values.index(values[-1]))
        assert (words[0], words[-4:]) == (f"{values[0]:.4g}", [f"{values[-1]:.4g}", "over", "4", "trials"])
        assert states.split()[:3] == ["trials", "4", "completed"]
        assert set(states.split()[3]) == {"█"}


_DRAWN = ("progress ", "trials ")


def test_show_draws_the_curve_of_every_trial(look):
    for number in range(4):
        curve = look("show", "small", number, "--json").json["curves"]["val_accuracy"]
        drawn = {curve[0] < curve[1]: "▁█", curve[0] > curve[1]: "█▁", curve[0] == curve[1]: "▅▅"}[True]
        line = next(line for line in look("show", "small").out.splitlines() if line.split()[:1] == [str(number)])
        assert drawn in line.split()
        assert drawn in next(line for line in look("show", "small", number).out.splitlines() if line.startswith("val_accuracy")).split()


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("command", [["list"], ["status", "small"], ["show", "small"], ["show", "small", 1], ["best", "small"]])
def test_what_is_shown_fits_the_terminal(look, monkeypatch, command, width):
    monkeypatch.setenv("COLUMNS", str(width))
    lines = [line for line in look(*command).out.splitlines() if "http://" not in line]  # a link is whole, or none
    assert max(map(len, lines)) <= width


def test_show_a_trial_epoch_by_epoch(look):
    shown = look("show", "small", 1, "--json").json
    whole = look("show", "small", "--json").json["trials"][1]
    assert {key: shown[key] for key in whole} == whole
    assert {name: len(curve) for name, curve in shown["curves"].items()} == dict.fromkeys(
        ("train_loss", "val_loss", "val_accuracy", *DIAGNOSTIC_METRICS), 2
    )
    assert shown["curves"]["val_accuracy"][-1] == whole["values"]["val_accuracy"]
    (attempt,) = shown["attempts_made"]
    assert (attempt["number"], attempt["state"], attempt["from_step"], attempt["place"]) == (1, "completed", 0, "inline")
    out = look("show", "small", 1).out
    for word in ("val_accuracy", "learning_rate", "attempt", "checkpoint", "MLflow run", "2 of 2"):
        assert word in out


SLOW = """\
name: slow
task: {kind: classification, data: iris, model: mlp}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {values: [1.0e-9, 0.01]}, hidden_units: 8}
baseline: [{learning_rate: 1.0e-9}, {learning_rate: 0.01}]
training: {epochs: 60}
search: {scheduler: none}
budget: {trials: 2}
resources: {executor: inline}
"""


@pytest.mark.slow
def test_show_says_what_is_found_in_a_trial(hp, tmp_path):
    (tmp_path / "slow.yaml").write_text(SLOW)
    assert hp("run", "slow.yaml").code == 0
    (found,) = hp("show", "slow", 0, "--json").json["diagnosis"]
    assert found["name"] == "underfitting"
    assert found["reason"].startswith("train_loss never came down: ")
    assert f"underfitting: {found['reason']}" in " ".join(hp("show", "slow", 0).out.split())
    assert hp("show", "slow", 1, "--json").json["diagnosis"] == []
    assert "diagnosis" not in hp("show", "slow", 1).out


def test_best_is_the_best_of_what_show_shows(look):
    trials = look("show", "small", "--json").json["trials"]
    best = max(trials, key=lambda t: (t["values"]["val_accuracy"], -t["number"]))
    found = look("best", "small", "--json").json
    assert [b["trial"] for b in found["best"]] == [best["number"]]
    assert math.isclose(found["best"][0]["values"]["val_accuracy"], best["values"]["val_accuracy"])
    assert f"(trial {best['number']})" in look("best", "small").out


@pytest.mark.parametrize(
    "command", [["status"], ["show"], ["best"], ["logs"], ["resume"], ["stop"], ["delete", "--yes"], ["extend", "--trials", "9"]]
)
def test_an_unknown_sweep_names_the_nearest(look, command):
    ran = look(command[0], "smal", *command[1:])
    assert ran.code == 2
    assert "unknown sweep 'smal'; did you mean 'small'?" in ran.err


@pytest.mark.parametrize("command", ["status", "show", "best", "logs", "resume", "stop"])
def test_reading_where_nothing_is_makes_nothing(hp, tmp_path, command):
    ran = hp(command, "small")
    assert ran.code == 2
    assert "there is no ledger at" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_trial_that_is_not_there(look):
    for command in ("show", "logs", "cancel"):
        ran = look(command, "small", 4)
        assert ran.code == 2
        assert "has no trial 4; it has trials 0 to 3" in ran.err


def test_logs(look, finished):
    assert look("logs", "small").code == 2
    folder = finished.home / "logs" / "small"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / "trial-00001.log").write_text("one\x1b[31m red\x07\n")
        (folder / "trial-00002.log").write_text("two\n")
        assert look("logs", "small").out == "==> trial-00001.log <==\none red\n==> trial-00002.log <==\ntwo\n"
        assert look("logs", "small", 1).out == "one red\n"
        assert [log["text"] for log in look("logs", "small", "--json").json["logs"]] == ["one\x1b[31m red\x07\n", "two\n"]
    finally:
        for file in folder.glob("trial-*.log"):
            file.unlink()
