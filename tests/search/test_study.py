"""Optuna itself reads what was written: states, values, curves, constraints, and its own plots draw it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from hpsearch.errors import InputError
from hpsearch.search.history import History, TrialRecord
from hpsearch.search.study import write_study
from hpsearch.space import Categorical, Float, SearchSpace
from hpsearch.trial import Objective, TrialKind, TrialState

pytestmark = pytest.mark.slow

SPACE = SearchSpace({"x": Float(0.0, 1.0), "kind": Categorical(("a", [1, 2])), "y": Float(0.1, 1.0, log=True, when={"kind": "a"})})
LOSS = Objective("loss", "minimize")
S = TrialState


def record(number: int, state: TrialState, *losses: float, kind: TrialKind = TrialKind.SEARCH, **more: object) -> TrialRecord:
    chosen = {"x": number / 20, "kind": "a", "y": 0.5} if number % 2 else {"x": number / 20, "kind": [1, 2]}
    reports = tuple({"loss": loss, "size": 1.0} for loss in losses)
    return TrialRecord(
        number, kind, chosen, 7, 3, state, reports=reports, created_ms=1_790_000_000_000, begun_ms=1_790_000_001_000,
        ended_ms=1_790_000_004_500, **more,  # type: ignore[arg-type]
    )  # fmt: skip


def history(*records: TrialRecord, objectives: tuple[Objective, ...] = (LOSS,)) -> History:
    made = History(objectives)
    made._trials |= {each.number: each for each in records}
    return made


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.mark.slow
def test_optuna_loads_it(url: str) -> None:
    past = history(
        record(0, S.COMPLETED, 0.5, 0.4, 0.3, kind=TrialKind.BASELINE), record(1, S.PRUNED, 0.9, reason="worse"), record(2, S.FAILED),
        record(3, S.INFEASIBLE), record(4, S.RUNNING, 0.2), record(5, S.WAITING), record(6, S.COMPLETED, 0.8, 0.2, 0.1),
        record(7, S.COMPLETED, 0.1, kind=TrialKind.RETEST),
    )  # fmt: skip
    assert write_study(url, "mine", SPACE, past) == 5
    study = optuna.load_study(study_name="mine", storage=url)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "PRUNED", "FAIL", "PRUNED", "COMPLETE"]
    assert [trial.user_attrs["hpsearch_trial"] for trial in study.trials] == [0, 1, 2, 3, 6]
    assert (study.best_trial.number, study.best_value, study.best_params) == (4, 0.1, {"x": 0.3, "kind": "json:[1, 2]"})
    assert study.trials[0].intermediate_values == {1: 0.5, 2: 0.4, 3: 0.3}
    assert (study.trials[1].user_attrs["hpsearch_reason"], study.trials[1].params["y"]) == ("worse", 0.5)
    assert study.trials[0].duration is not None
    assert study.trials[0].duration.total_seconds() == 3.5
    assert [trial.number for trial in study.trials if any(value > 0 for value in trial.constraints.values())] == [3]
    assert study.metric_names == ["loss"]
    for draw in (
        optuna.visualization.plot_optimization_history, optuna.visualization.plot_intermediate_values, optuna.visualization.plot_slice,
        optuna.visualization.plot_parallel_coordinate, optuna.visualization.plot_timeline,
    ):  # fmt: skip
        assert draw(study).data


def test_of_several_objectives_the_front(url: str) -> None:
    objectives = (LOSS, Objective("size", "maximize"))
    write_study(url, "two", SPACE, history(record(0, S.COMPLETED, 0.5), record(1, S.COMPLETED, 0.4), objectives=objectives))
    assert [trial.number for trial in optuna.load_study(study_name="two", storage=url).best_trials] == [1]


def test_what_cannot_be_is_said(url: str, tmp_path: Path) -> None:
    write_study(url, "mine", SPACE, history())
    with pytest.raises(InputError, match=r"it has a study 'mine' already; delete that, or name another store"):
        write_study(url, "mine", SPACE, history())
    for wrong in (
        "nonsense://ada:lovelace@host/x",
        f"sqlite:///{tmp_path}/no/folder.db",
        "postgresql+psycopg://ada:lovelace@127.0.0.1:9/x",
    ):
        with pytest.raises(InputError, match=r"Optuna cannot keep a study there") as caught:
            write_study(wrong, "mine", SPACE, history())
        assert "lovelace" not in str(caught.value)
