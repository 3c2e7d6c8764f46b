"""`hpsearch.run` as Python callers use it: beginnings, ends, extensions and refusals, on real ledgers, MLflow and workers."""

from __future__ import annotations

import contextlib
import getpass
import threading
import time
from pathlib import Path

import pytest

import hpsearch
from hpsearch import ledger as ledgers
from hpsearch.controller import Controller
from hpsearch.errors import ConfigError, DataError, InputError, LeaseHeld
from hpsearch.events import SweepOpened
from hpsearch.plan import Plan
from hpsearch.tracking.process import ProjectorProcess

FILE = """
task: {kind: classification, data: DATA, model: mlp}
objective: {metric: val_accuracy, goal: maximize}
space:
  learning_rate: {min: 1.0e-3, max: 0.1, log: true}
  hidden_units: {values: [4, 8]}
baseline:
  - {learning_rate: 0.01, hidden_units: 8}
training: {epochs: 3}
search: {sampler: random, scheduler: none, seed: 1}
budget: {trials: 4}
resources: {executor: inline}
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("HPSEARCH_HOME", "HPSEARCH_STORE", "HPSEARCH_STORE_FILE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def file(place: Path, *overrides: str, data: str = "iris", name: str = "flowers") -> hpsearch.SweepConfig:
    path = place / f"{name}.yaml"
    path.write_text(FILE.replace("DATA", data))
    return hpsearch.load(path, overrides)


def events(place: Path, name: str = "flowers"):
    with contextlib.closing(ledgers.open(f"sqlite:///{place}/.hpsearch/ledger.db")) as ledger:
        return ledger.events(ledger.find(name).id)


@pytest.mark.slow
def test_a_sweep_runs_to_its_budget_and_can_be_looked_at(place):
    result = hpsearch.run(file(place))
    assert (result.sweep.state, [t.number for t in result.trials]) == ("completed", [0, 1, 2, 3])
    best = max(result.values(t)["val_accuracy"] for t in result.trials)
    assert result.values(result.best[0])["val_accuracy"] == best
    table = result.to_pandas()
    assert list(table["state"]) == ["completed"] * 4
    assert set(table["params.hidden_units"]) <= {4, 8}
    assert result.tracked.up_to_date
    assert [event.body.user for event in events(place) if isinstance(event.body, SweepOpened)] == [getpass.getuser()]
    assert {p.name for p in place.iterdir()} == {"flowers.yaml", ".hpsearch"}, "nothing else is written anywhere"


@pytest.mark.slow
def test_a_finished_sweep_is_given_back_and_goes_on_when_its_budget_is_raised(place):
    first = hpsearch.run(file(place))
    before = len(events(place))
    again = hpsearch.run(file(place))
    assert again.finished_before
    assert len(events(place)) == before
    more = hpsearch.run(file(place, "budget.trials=6"))
    assert [t.parameters for t in more.trials][:4] == [t.parameters for t in first.trials]
    assert len(more.trials) == 6
    assert more.history.extended_to.trials == 6, "on record, so that whoever resumes it knows"
    assert hpsearch.run(file(place)).finished_before, "the file still asks for less than there is"


@pytest.mark.slow
def test_the_ledger_may_be_in_postgresql(place, postgres_url):
    result = hpsearch.run(file(place), executor="process", store=postgres_url)
    assert [str(t.state) for t in result.trials] == ["completed"] * 4
    assert result.tracked.up_to_date
    assert not (place / ".hpsearch" / "ledger.db").exists()
    assert hpsearch.sweep.resume("flowers", store=postgres_url).finished_before


@pytest.mark.slow
def test_an_extended_sweep_is_searched_as_it_was_begun(place):
    grid = ("search.sampler=auto", "space.learning_rate={values: [0.01, 0.02]}", "baseline=[]")
    first = hpsearch.run(file(place, *grid, "budget.trials=4"))
    more = hpsearch.run(file(place, *grid, "budget.trials=9"))
    assert (len(first.trials), len(more.trials)) == (4, 4), "all of the grid has been tried, whatever the new budget"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("space.hidden_units.values=[4,8,16]", "space.hidden_units"),
        ("training.epochs=4", "training.epochs"),
        ("budget.trials=2", "budget.trials"),
    ],
)
def test_a_changed_file_is_refused_with_what_changed(place, override, said):
    hpsearch.run(file(place))
    with pytest.raises(InputError, match=said) as refused:
        hpsearch.run(file(place, override))
    assert "--new" in str(refused.value)


@pytest.mark.slow
def test_how_trials_run_may_change(place):
    hpsearch.run(file(place))
    assert len(hpsearch.run(file(place, "budget.trials=5", "resources.timeout=1m", "resources.retries=3")).trials) == 5


@pytest.mark.slow
def test_other_data_under_the_same_sweep_are_refused(place):
    rows = [f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60)]
    (place / "my.csv").write_text("\n".join(["x,y,kind", *rows]))
    own = "{csv: my.csv, target: kind}"
    hpsearch.run(file(place, data=own))
    (place / "my.csv").write_text("\n".join(["x,y,kind", *rows, "9,9,a"]))
    with pytest.raises(InputError, match="the data of sweep 'flowers' have changed"):
        hpsearch.run(file(place, "budget.trials=5", data=own))


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        (["task.data=irsi"], ConfigError),
        (["task.model=mlpp"], ConfigError),
        (["search.sampler=tpee"], ConfigError),
        (["objective.metric=val_acuracy"], ConfigError),
        (["space.hiden_units=3"], ConfigError),
        (["space.optimizer=addam"], ConfigError),
        (["constraints=[{metric: parameters, max: 3}]"], ConfigError),
        (["task.data={csv: nowhere.csv, target: y}"], DataError),
    ],
)
def test_a_mistake_leaves_no_sweep_behind(place, overrides, error):
    with pytest.raises(error):
        hpsearch.run(file(place, *overrides))
    if (place / ".hpsearch" / "ledger.db").exists():
        with contextlib.closing(ledgers.open(f"sqlite:///{place}/.hpsearch/ledger.db")) as ledger:
            assert ledger.sweeps() == []


def test_of_two_that_begin_a_sweep_at_once_the_slower_one_is_told_who_runs_it(place, monkeypatch):
    prepare = Plan.prepare

    def while_another_begins(self, home):
        prepare(self, home)
        with contextlib.closing(ledgers.open(home.ledger_url)) as other:
            begun = other.create(self.config.name, self.config.to_json(), self.baselines())
            other.acquire(begun.id, "controller", ledgers.holder(), 60)

    monkeypatch.setattr(Plan, "prepare", while_another_begins)
    with pytest.raises(LeaseHeld, match="has a controller already"):
        hpsearch.run(file(place))


@pytest.mark.slow
def test_beginning_a_sweep_leaves_alone_what_another_run_prepared_for_it(place):
    hpsearch.run(file(place))
    prepared = {path: path.stat().st_ino for path in (place / ".hpsearch" / "data").rglob("*")}
    (place / ".hpsearch" / "ledger.db").unlink()
    hpsearch.run(file(place))
    assert {path: path.stat().st_ino for path in (place / ".hpsearch" / "data").rglob("*")} == prepared


@pytest.mark.slow
def test_an_extension_that_the_last_controller_did_not_hear_is_heard_by_the_next_run(place):
    hpsearch.run(file(place))
    with contextlib.closing(ledgers.open(f"sqlite:///{place}/.hpsearch/ledger.db")) as ledger:
        ledger.request(ledger.find("flowers").id, "extend", {"trials": 5})
    assert len(hpsearch.resume("flowers").trials) == 5


@pytest.mark.slow
def test_what_a_run_could_not_bring_to_mlflow_any_more_the_next_one_does(place, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(ProjectorProcess, "open", lambda *_: None)
        patched.setattr("hpsearch.sweep.TRACKING_PATIENCE_S", 0.0)
        assert not hpsearch.run(file(place)).tracked.up_to_date
    again = hpsearch.run(file(place))
    assert again.finished_before
    assert (again.tracked.up_to_date, again.tracked.error) == (True, None)


@pytest.mark.slow
def test_a_sweep_that_somebody_runs_is_refused(place):
    hpsearch.run(file(place))
    with contextlib.closing(ledgers.open(f"sqlite:///{place}/.hpsearch/ledger.db")) as ledger:
        ledger.acquire(ledger.find("flowers").id, "controller", "elsewhere/boot/space/77/1", 60.0)
        with pytest.raises(LeaseHeld, match="process 77 on elsewhere"):
            hpsearch.run(file(place, "budget.trials=5"))


@pytest.mark.slow
def test_a_stop_ends_in_order_and_resume_finishes(place):
    def stop_soon(controller: Controller) -> contextlib.AbstractContextManager[object]:
        def wait() -> None:
            while not any(t.step for t in controller.history):
                time.sleep(0.01)
            controller.interrupt()

        threading.Thread(target=wait, daemon=True).start()
        return contextlib.nullcontext()

    stopped = hpsearch.run(file(place, "training.epochs=200"), executor="process", watch=stop_soon)
    assert stopped.sweep.state == "stopped"
    assert 0 < sum(t.step for t in stopped.trials) < 800
    done = hpsearch.sweep.resume("flowers")
    assert {str(t.state) for t in done.trials} == {"completed"}
    assert [t.step for t in done.trials] == [200] * 4


@pytest.mark.slow
def test_the_winner_on_digits_is_called_better_than_a_poor_baseline(place):
    poor = "baseline=[{learning_rate: 0.0001, hidden_units: 8}]"
    overrides = ("space.hidden_units={values: [8, 64]}", "training.epochs=6", "budget.trials=6", "winner={top: 3, seeds: 3}")
    path = place / "poor.yaml"
    path.write_text(FILE.replace("DATA", "digits").replace("1.0e-3", "1.0e-4"))
    result = hpsearch.run(hpsearch.load(path, [poor, *overrides]))
    winner = result.winner
    assert winner is not None
    assert winner.against is not None
    assert winner.against.verdict == "better"
    assert winner.chosen.test["test_accuracy"] > winner.against.baseline.test["test_accuracy"]
    assert "better than the baseline" in winner.in_words()[1]
