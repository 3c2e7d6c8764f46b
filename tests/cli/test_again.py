"""The winner as people see it; `export` and `replay`, on real trainings."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from pathlib import Path

import pytest

from hpsearch.config import load
from hpsearch.plan import make_plan

pytestmark = pytest.mark.slow


def test_run_ends_with_the_winner(chosen):
    ran = chosen.ran
    winner = ran.json["winner"]
    assert list(winner) == [
        "trial", "params", "metric", "seeds", "values", "mean", "interval", "test", "baseline", "gain", "verdict",
    ]  # fmt: skip
    assert len(winner["values"]) == winner["seeds"] == 2
    assert winner["mean"] == pytest.approx(sum(winner["values"]) / 2)
    assert {"test_loss", "test_accuracy"} <= winner["test"].keys()
    assert ran.json["trials"] == {"completed": 4 + 2 * 2}, "the baseline is among the best two"
    assert f"[4/4]  trial 4  retest of {winner['trial']}  completed" in ran.err, "re-tests do not count towards the budget"
    assert f"winner: trial {winner['trial']}, val_accuracy" in ran.err
    assert "the baseline" in ran.err.partition("winner: ")[2]


def test_best_status_and_show_tell_of_it(chosen, hp):
    winner = chosen.ran.json["winner"]
    best = hp("best", "small", "--home", chosen.home, "--json").json
    assert list(best) == ["sweep", "state", "best", "baseline", "winner", "model", "mlflow"]
    assert best["winner"] == winner
    assert f"winner: trial {winner['trial']}, val_accuracy" in hp("best", "small", "--home", chosen.home).out
    status = hp("status", "small", "--home", chosen.home, "--json").json
    assert (status["spent"]["trials"], status["spent"]["epochs"], status["winner"]) == (4, 8, winner)
    assert "over 4 trials" in hp("status", "small", "--home", chosen.home).out
    assert "4 of 4, 4 re-tests (8 completed)" in hp("list", "--home", chosen.home).out
    shown = hp("show", "small", "--home", chosen.home)
    assert f"retest of {winner['trial']}" in shown.out
    trials = hp("show", "small", "--home", chosen.home, "--json").json["trials"]
    assert sorted(t["values"]["val_accuracy"] for t in trials if t["parent"] == winner["trial"]) == sorted(winner["values"])


def test_without_re_tests_there_is_none(finished, hp):
    assert finished.ran.json["winner"] is None
    assert hp("best", "small", "--home", finished.home, "--json").json["winner"] is None


def test_what_export_writes_run_runs(chosen, hp, tmp_path):
    exported = hp("export", "small", "--home", chosen.home, "--json").json
    winner = chosen.ran.json["winner"]
    assert exported == {"sweep": "small", "trial": winner["trial"], "file": str(tmp_path / "small-winner.yaml")}
    config = load(Path(exported["file"]))
    assert (dict(config.space.fixed), dict(config.space.parameters)) == (winner["params"], {})
    assert "the winner of the sweep small" in Path(exported["file"]).read_text()
    ran = hp("run", exported["file"], "--json")
    assert ran.json["best"][0]["params"] == winner["params"]
    assert ran.json["trials"] == {"completed": 1}


def test_export_without_re_tests_takes_the_best_and_overwrites_nothing(finished, hp, tmp_path):
    file = tmp_path / "mine.yaml"
    assert hp("export", "small", "--home", finished.home, "--output", file).code == 0
    config = load(file)
    assert config.name == "small-best"
    assert dict(config.space.fixed) == finished.ran.json["best"][0]["params"]
    assert config.budget.trials == 1
    refused = hp("export", "small", "--home", finished.home, "-o", file)
    assert (refused.code, "not overwritten" in refused.err) == (2, True)
    nowhere = hp("export", "small", "--home", finished.home, "-o", tmp_path / "no" / "such.yaml")
    assert (nowhere.code, "cannot write" in nowhere.err) == (2, True)


def test_what_export_writes_registers_nothing(hp, sweep_file, tmp_path):
    """There are no re-tests to register of."""
    hp("run", sweep_file, "winner.top=1", "winner.seeds=1", "tracking.register=m", "tracking.tags={team: a}", "name=named")
    hp("export", "named", "--output", tmp_path / "fixed.yaml")
    written = (tmp_path / "fixed.yaml").read_text()
    assert "team: a" in written
    assert "register" not in written
    make_plan(load(tmp_path / "fixed.yaml"))


def test_export_needs_a_completed_trial(hp, sweep_file):
    hp("run", sweep_file, "resources.timeout=0.000001", "budget.trials=1", "resources.executor=inline")
    refused = hp("export", "small")
    assert refused.code == 2
    assert "nothing to export" in refused.err


def test_data_are_found_from_where_the_file_is_written(hp, sweep_file, tmp_path):
    rows = [f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "my.csv").write_text("\n".join(["x,y,kind", *rows]))
    (tmp_path / "elsewhere").mkdir()
    hp("run", sweep_file, "task.data={csv: data/my.csv, target: kind}", "budget.trials=2", "storage=store")
    stored = sorted((tmp_path / "store").rglob("*"))
    assert stored
    assert hp("replay", "small", 1).code == 0
    assert sorted((tmp_path / "store").rglob("*")) == stored, "a replay keeps nothing"
    file = tmp_path / "elsewhere" / "best.yaml"
    assert hp("export", "small", "--output", file).code == 0
    assert (load(file).task.data.path, load(file).storage) == ("../data/my.csv", "../store")
    assert hp("run", file, "--json").json["trials"] == {"completed": 1}


CODE = """
def train(trial):
    for epoch in trial.steps():
        metrics = {"loss": trial.params["x"]}
        if trial.assignment.kind == "retest" and trial.is_last:
            metrics["test_loss"] = trial.params["x"] + 1
        trial.report(epoch, metrics)
"""


def test_code_of_ones_own_stays_beside_its_file_and_may_measure_a_test_split(hp, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "mine.py").write_text(CODE)
    (tmp_path / "code" / "mine.yaml").write_text(
        "task: {kind: function, target: 'mine:train'}\nobjective: {metric: loss, goal: minimize}\nspace: {x: {min: 0.0, max: 1.0}}\n"
        "budget: {trials: 2}\ntraining: {epochs: 2}\nresources: {executor: inline}\nwinner: {top: 1, seeds: 2}\n"
    )
    ran = hp("run", tmp_path / "code" / "mine.yaml", "--json")
    assert ran.json["winner"]["test"] == {"test_loss": pytest.approx(ran.json["winner"]["mean"] + 1)}
    refused = hp("export", "mine")
    assert refused.code == 2
    file = tmp_path / "code" / "mine-winner.yaml"
    assert str(file) in refused.err
    assert hp("export", "mine", "--output", file).code == 0
    assert hp("run", file, "--json").json["trials"] == {"completed": 1}


def test_every_trial_replays_bit_for_bit_re_tests_included(chosen, hp):
    trials = hp("show", "small", "--home", chosen.home, "--json").json["trials"]
    before = sorted((p, p.stat().st_mtime_ns) for p in chosen.home.rglob("*") if p.suffix == ".db")
    for trial in (0, len(trials) - 1):
        replayed = hp("replay", "small", trial, "--home", chosen.home, "--json")
        assert replayed.code == 0
        assert replayed.json["same"] is True
        assert (replayed.json["steps"], replayed.json["difference"]) == (2, None)
        assert replayed.json["points"] > 2
    assert sorted((p, p.stat().st_mtime_ns) for p in chosen.home.rglob("*") if p.suffix == ".db") == before
    assert "the same, bit for bit" in hp("replay", "small", 1, "--home", chosen.home).out


def test_replay_says_where_a_trial_came_out_otherwise(copied, hp):
    """The record is falsified by the last bit of one number."""
    with contextlib.closing(sqlite3.connect(copied / "ledger.db")) as db, db:
        (text,) = db.execute("SELECT metrics FROM reports WHERE trial = 1 AND step = 2").fetchone()
        metrics = json.loads(text)
        metrics["val_loss"] = math.nextafter(metrics["val_loss"], 9.0)
        db.execute("UPDATE reports SET metrics = ? WHERE trial = 1 AND step = 2", (json.dumps(metrics),))
    replayed = hp("replay", "small", 1, "--json")
    assert replayed.code == 1
    assert replayed.json["same"] is False
    assert replayed.json["difference"]["step"] == 2
    assert replayed.json["difference"]["metric"] == "val_loss"
    assert "first at epoch 2: val_loss was " in hp("replay", "small", 1).out


def test_replay_refuses_what_has_nothing_to_compare(finished, hp):
    assert "has no trial 99" in hp("replay", "small", 99, "--home", finished.home).err


def test_all_trials_for_other_programs(chosen, hp, tmp_path):
    import optuna
    import pandas as pd

    told = hp("export", "small", "--home", chosen.home, "--csv", "t.csv", "--parquet", "t.parquet", "--optuna", "sqlite:///o.db", "--json")
    assert told.json == {"sweep": "small", "csv": str(tmp_path / "t.csv"), "parquet": str(tmp_path / "t.parquet"), "optuna": 4}
    rows = pd.read_csv(tmp_path / "t.csv")
    assert list(rows["number"]) == list(range(8))
    assert rows.equals(pd.read_parquet(tmp_path / "t.parquet").astype(rows.dtypes.to_dict()))
    best = optuna.load_study(study_name="small", storage="sqlite:///o.db").best_trial
    assert best.value == pytest.approx(rows[rows["kind"] != "retest"]["values.val_accuracy"].max())
    again = hp("export", "small", "--home", chosen.home, "--csv", "t.csv")
    assert (again.code, "t.csv exists already and is not overwritten" in again.err) == (2, True)
    for url, said in (("o.db", "must be a SQLAlchemy URL"), (f"sqlite:///{chosen.home}/mlflow.db", "is the store of hpsearch or MLflow")):
        refused = hp("export", "small", "--home", chosen.home, "--optuna", url)
        assert (refused.code, said in refused.err) == (2, True)
