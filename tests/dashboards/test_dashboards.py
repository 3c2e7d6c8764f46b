"""Every query to the ledger, of panels, variables and alert rules, by the role that Grafana has, against what the ledger itself says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from board_files import filled, queries, query
from psycopg.rows import dict_row

from hpsearch import ledger as ledgers
from hpsearch.events import Begun, Ended
from hpsearch.trial import Objective, TrialState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HOUR_MS = 3_600_000
SWEEPS = ("it's done", "pair", "lost", "real")
OBJECTIVES = {
    "it's done": (Objective("val_accuracy", "maximize"),),
    "pair": (Objective("val_loss", "minimize", "best"), Objective("latency", "minimize")),
    "lost": (Objective("val_accuracy", "maximize"),),
    "real": (Objective("val_accuracy", "maximize"),),
}


@pytest.fixture(scope="module")
def grafana(databases: Any, told: Any) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    with psycopg.connect(databases.url("grafana"), autocommit=True, row_factory=dict_row) as connection:
        yield connection


class Panel:
    """Runs a query over the last six hours, or the hours that are said."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]], teller: Any) -> None:
        self.connection = connection
        self.teller = teller

    def __call__(self, where: str, sweep: str = "it's done", hours: float = 6.0, interval_ms: int = 1000) -> list[dict[str, Any]]:
        return self.run(query(where), sweep, hours, interval_ms)

    def run(self, sql: str, sweep: str, hours: float = 6.0, interval_ms: int = 1000) -> list[dict[str, Any]]:
        to_ms = self.teller.ms(0) + HOUR_MS // 2
        text = filled(sql, sweep, to_ms - round(hours * HOUR_MS), to_ms, interval_ms)
        return self.connection.execute(text).fetchall()  # type: ignore[arg-type]


@pytest.fixture
def panel(grafana: psycopg.Connection[dict[str, Any]], told: Any) -> Panel:
    return Panel(grafana, told)


def history(told: Any, name: str) -> Any:
    return ledgers.fold(told.ledger, told.ledger.find(name).id, OBJECTIVES[name])


@pytest.mark.parametrize("each", queries("sql"), ids=lambda each: each.where)
def test_every_query_gives_rows(panel: Panel, each: Any) -> None:
    assert panel.run(each.text, "it's done")


@pytest.mark.parametrize("each", [each for each in queries("sql") if "${sweep" in each.text], ids=lambda each: each.where)
@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_query_takes_any_sweep(panel: Panel, each: Any, sweep: str) -> None:
    assert bool(panel.run(each.text, sweep)) == (sweep != "lost"), "that one has completed nothing"


@pytest.mark.parametrize("each", queries("sql"), ids=lambda each: each.where)
def test_a_query_on_an_empty_ledger_is_no_error(databases: Any, panel: Panel, each: Any) -> None:
    with psycopg.connect(databases.url("hpsearch"), row_factory=dict_row) as owner:
        owner.execute("TRUNCATE sweeps CASCADE")
        Panel(owner, panel.teller).run(each.text, "it's done")
        owner.rollback()


def test_the_variable_offers_every_sweep(panel: Panel, told: Any) -> None:
    assert [row["name"] for row in panel("Sweeps: sweep")] == [sweep.name for sweep in reversed(told.ledger.sweeps())]
    assert {row["name"] for row in panel("Sweeps: sweep")} == set(SWEEPS)


@pytest.mark.parametrize("sweep", ["it's done", "real"])
def test_the_best_is_the_ledgers(panel: Panel, told: Any, sweep: str) -> None:
    known = history(told, sweep)
    (best,) = known.best()
    (value,) = known.values(best)
    curve = panel("Sweeps: Best so far of $sweep", sweep)
    assert curve[-1]["value"] == value
    assert [row["value"] for row in curve] == sorted(row["value"] for row in curve)
    first = panel("Sweeps: Best trials of $sweep", sweep)[0]
    assert (first["rank"], first["trial"], first["value"]) == (1, best.number, value)


def test_each_objective_has_a_curve(panel: Panel, told: Any) -> None:
    """Trials 0, 1, 2: losses of 0.3, 0.4, 0.5 at best; latencies of 9, 6, 3 at last."""
    curves: dict[str, list[float]] = {}
    for row in panel("Sweeps: Best so far of $sweep", "pair"):
        curves.setdefault(row["metric"], []).append(row["value"])
    assert curves == {"val_loss": [0.3, 0.3, 0.3], "latency": [9.0, 6.0, 3.0]}
    known = history(told, "pair")
    values = [known.values(trial) for trial in known.in_state(TrialState.COMPLETED)]
    assert (curves["val_loss"][-1], curves["latency"][-1]) == tuple(map(min, zip(*values, strict=True)))


def test_trials_by_state_are_the_ledgers(panel: Panel, told: Any) -> None:
    counted: Counter[str] = Counter()
    for row in panel("Sweeps: Trials ended, by state and hour"):
        assert (row["time"].minute, row["time"].second) == (0, 0)
        counted[row["metric"]] += row["trials"]
    states: Counter[str] = Counter()
    for sweep in told.ledger.sweeps():
        states.update({state.value: number for state, number in sweep.trials.items() if state.is_terminal})
    assert counted == states
    assert set(counted) == {"completed", "pruned", "diverged", "failed", "infeasible", "out_of_memory"}


def test_running_sweeps_are_told_with_their_controllers(panel: Panel, told: Any) -> None:
    assert panel("Sweeps: Running sweeps") == [{"sweeps": 2}]
    rows = {row["sweep"]: row for row in panel("Sweeps: Running sweeps and their controllers")}
    pair, lost = rows["pair"], rows["lost"]
    assert (pair["user"], pair["controller"], pair["budget"]) == ("carol", "controlled", 40)
    assert (pair["ended"], pair["running"], pair["waiting"]) == (9, 2, 1)
    assert (lost["user"], lost["controller"], lost["running"]) == ("unknown", "without a controller", 1)
    assert round(lost["last event"].timestamp() * 1000) == told.ms(120)


def test_running_trials_are_the_ledgers(panel: Panel, told: Any) -> None:
    rows = {(row["sweep"], row["trial"]): row for row in panel("Sweeps: Running trials")}
    expected = {(name, record.number) for name in SWEEPS for record in history(told, name).in_state(TrialState.RUNNING)}
    assert set(rows) == expected == {("pair", 9), ("pair", 10), ("lost", 0)}
    nine, ten = rows["pair", 9], rows["pair", 10]
    assert (nine["step"], nine["until step"], nine["done"], nine["objective"]) == (1, 4, 0.25, "0.4")
    assert (ten["step"], ten["done"], ten["objective"]) == (None, 0.0, None)


def test_slots_are_counted_as_by_hand(panel: Panel, told: Any) -> None:
    """At every moment that the panel shows, the attempts of the events that have begun by then and not ended."""
    rows = panel("Sweeps: Slots in use, by sweep")
    assert {row["metric"] for row in rows} == set(SWEEPS)
    for row in rows:
        if row["metric"] in ("it's done", "pair"):
            assert row["slots"] == slots(told, row["metric"], row["time"].timestamp() * 1000 + 999), row
    assert max(row["slots"] for row in rows if row["metric"] == "pair") == 6
    last = {row["metric"]: row["slots"] for row in rows}
    assert last == {"it's done": 0, "pair": 2, "lost": 0, "real": 0}


def slots(told: Any, name: str, at_ms: float) -> int:
    held = set()
    for event in told.ledger.events(told.ledger.find(name).id):
        if event.at_ms <= at_ms:
            match event.body:
                case Begun(trial=trial, attempt=attempt):
                    held.add((trial, attempt))
                case Ended(trial=trial, attempt=attempt):
                    held.discard((trial, attempt))
    return len(held)


def test_slots_of_a_window_begin_with_those_that_are_held(panel: Panel) -> None:
    """Its two running attempts began nine minutes ago; half an hour of the window is yet to come."""
    rows = [row for row in panel("Sweeps: Slots in use, by sweep", hours=0.6) if row["metric"] == "pair"]
    assert {row["slots"] for row in rows} == {2}


def test_device_hours_are_those_worked_out_by_hand(panel: Panel) -> None:
    rows = {(row["sweep"], row["user"]): row for row in panel("Sweeps: Device-hours, by sweep and user")}
    done = 4 * 12 + 5 + 2 + 2 + 1  # minutes
    assert rows["it's done", "ada"]["attempts"] == 8
    assert rows["it's done", "ada"]["GPU-hours"] == pytest.approx(0.5 * done / 60)
    assert rows["it's done", "ada"]["CPU-hours"] == pytest.approx(2 * done / 60)
    assert rows["pair", "bob"]["GPU-hours"] == pytest.approx(0.25 * 3 * 30 / 60)
    ended = sum(50 - (40 - trial) for trial in range(3, 9))
    running = 9.1 + 9.0
    assert rows["pair", "carol"]["CPU-hours"] == pytest.approx((ended + running) / 60, abs=0.1), "the running go on meanwhile"
    assert rows["pair", "carol"]["GPU-hours"] == pytest.approx((ended + 0.5 * running) / 60, abs=0.1)
    assert rows["lost", "unknown"]["CPU-hours"] == pytest.approx(10 / 60), "up to what was last heard"
    assert ("real", "unknown") not in rows


def test_device_hours_are_those_of_the_window(panel: Panel) -> None:
    """Which begins 285 minutes ago, in the middle of the first trial's 12 minutes."""
    rows = {row["sweep"]: row for row in panel("Sweeps: Device-hours, by sweep and user", hours=(285 + 30) / 60)}
    assert rows["it's done"]["CPU-hours"] == pytest.approx(2 * (7 + 3 * 12 + 5 + 2 + 2 + 1) / 60)
    assert "it's done" not in {row["sweep"] for row in panel("Sweeps: Device-hours, by sweep and user", hours=1.5)}


def test_failures_are_counted_by_reason(panel: Panel) -> None:
    rows = {row["reason"]: row["failures"] for row in panel("Sweeps: Failures, by reason")}
    assert rows == {
        "out_of_memory: CUDA out of memory: # GiB": 6,
        "failed: worker # was killed by signal #": 1,
        "tried again: worker # was killed by signal #": 1,
        "diverged: val_loss is NaN at step #": 1,
    }


def test_a_sweep_that_stalls_is_told(panel: Panel) -> None:
    silence = {row["sweep"]: float(row["minutes"]) for row in panel("alert: A sweep stalls")}
    assert set(silence) == {"pair", "lost"}
    assert silence["lost"] == pytest.approx(120, abs=5)
    assert silence["pair"] < 5


def test_failures_that_rise_are_told(panel: Panel) -> None:
    """All six of the last hour, after none of three; the others have ended nothing lately, or have not failed."""
    rises = {row["sweep"]: row["increase"] for row in panel("alert: Failures rise")}
    assert rises["pair"] == 1.0
    assert "it's done" not in rises
    assert not any(increase > 0 for sweep, increase in rises.items() if sweep != "pair")


def test_no_value_is_nan(panel: Panel) -> None:
    """Grafana would draw nothing of a curve that has one."""
    for each in queries("sql"):
        for row in panel.run(each.text, "pair"):
            assert not any(isinstance(value, float) and math.isnan(value) for value in row.values()), each.where


WRITES = [
    "INSERT INTO requests (sweep, kind, payload, created_ms) VALUES (1, 'stop', '{}', 1)",
    "UPDATE sweeps SET state = 'completed'",
    "DELETE FROM reports",
    "TRUNCATE events",
    "DROP TABLE leases",
    "ALTER TABLE sweeps ADD COLUMN more int",
    "CREATE TABLE mine (id int)",
    "CREATE TEMPORARY TABLE mine (id int)",
    "CREATE ROLE other",
    "COPY sweeps TO PROGRAM 'cat'",
]


@pytest.mark.parametrize("sql", WRITES)
@pytest.mark.parametrize("read_only", ["on", "off"])
def test_the_role_cannot_write(databases: Any, told: Any, sql: str, read_only: str) -> None:
    """Nor where it takes back that its transactions only read, which any role may."""
    with psycopg.connect(databases.url("grafana"), autocommit=True) as connection:
        connection.execute(f"SET default_transaction_read_only = {read_only}")  # type: ignore[arg-type]
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)) as refused:
            connection.execute(sql)  # type: ignore[arg-type]
    if read_only == "off":
        assert isinstance(refused.value, psycopg.errors.InsufficientPrivilege)


@pytest.mark.parametrize("database", ["mlflow", "postgres"])
def test_the_role_opens_no_other_database(databases: Any, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(databases.url("grafana", database))


def test_the_role_reads_tables_that_come_later(databases: Any, told: Any) -> None:
    with psycopg.connect(databases.url("hpsearch"), autocommit=True) as owner:
        owner.execute("CREATE TABLE later (id int)")
    with psycopg.connect(databases.url("grafana")) as reader:
        assert reader.execute("SELECT count(*) FROM later").fetchone() == (0,)
    with psycopg.connect(databases.url("hpsearch"), autocommit=True) as owner:
        owner.execute("DROP TABLE later")
