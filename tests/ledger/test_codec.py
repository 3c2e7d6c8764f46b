"""Whatever is JSON comes back from every database as it went: types, key order, NaN and all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpsearch.events import Assigned, Ended, Measured, Reported, Sampled, SweepClosed, SweepOpened, TrialCreated
from hpsearch.ledger import Ledger
from hpsearch.ledger.codec import EventRow, clean, decode, dumps, encode, loads
from hpsearch.ledger.connect import connect
from hpsearch.provenance import Commit, Dataset, Provenance, environment_now
from hpsearch.trial import Checkpoint, SearchState, TrialKind, TrialState

text = st.text(st.characters(exclude_categories=()), max_size=6) | st.sampled_from(["$float", "$", "$$", "NaN", "\0", "\ud800", "ü", '"$'])
scalars = st.none() | st.booleans() | st.integers() | st.integers(-(2**200), 2**200) | st.floats() | text
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3), max_leaves=12)
objects = st.dictionaries(text, values, max_size=4)
metrics = st.dictionaries(
    st.text(st.characters(exclude_categories=()), max_size=6) | st.just("NaN"), st.floats() | st.integers(), max_size=4
)

WEIRD: dict[str, Any] = {
    "zulu": 1,
    "alpha": 1.0,
    "big": 2**80,
    "nan": math.nan,
    "infinite": [math.inf, -math.inf],
    "negative zero": -0.0,
    "tiny": 5e-324,
    "exact": 0.1 + 0.2,
    "$float": {"$float": "NaN"},
    "nul\0": "a\0b",
    "surrogate": "\ud800",
    "ümläut": "日本",
    "nested": {"b": {"d": None, "c": True}, "a": []},
}


def same(a: object, b: object) -> bool:
    """`repr` tells 1 from 1.0, keeps the order of keys, and finds NaN equal to itself."""
    return repr(a) == repr(b)


@given(values)
def test_json_round_trip(value: Any) -> None:
    written = dumps(value)
    assert same(loads(written), value)
    assert written.isascii()
    json.loads(written, parse_constant=pytest.fail)  # plain JSON, without NaN


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, {"$float": "NaN"}, {"$$float": 1}, {"$float": "NaN", "b": 1}, {"$": math.nan}, ["$float"]]
)
def test_what_looks_like_our_own_marks(value: Any) -> None:
    assert same(loads(dumps(value)), value)


def test_any_mapping_will_do() -> None:
    proxy: Mapping[str, Any] = MappingProxyType({"a": MappingProxyType({"b": math.nan}), "c": (1, 2)})
    assert same(loads(dumps(proxy)), {"a": {"b": math.nan}, "c": [1, 2]})


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError, match="not JSON"):
        dumps({"a": object()})


@given(st.text(st.characters(exclude_categories=())))
def test_clean_text_is_taken_by_every_database(value: str) -> None:
    cleaned = clean(value)
    assert cleaned is not None
    assert "\0" not in cleaned
    assert cleaned.encode() == value.replace("\0", "\ufffd").encode("utf-8", "replace")


def test_everything_weird_at_once(ledger: Ledger) -> None:
    reason = "killed \0 by \ud800 ümläut " + "x" * 100_000
    state = SearchState(WEIRD, WEIRD)
    checkpoint = Checkpoint("s3://bücket/\0", "00", 1)
    dataset = Dataset("a\0", "00", "csv", "/ümläut/a", {"\ud800": "double", "$float": [1, 8]}, None, {"train": 3})
    said = [
        SweepOpened("hôst\0", "00", "ädä", Provenance(dataset, Commit("00", None), environment_now(), "/ümläut\udcff")),
        TrialCreated(0, TrialKind.SEARCH, WEIRD, 2**31 - 1, 3, search_state=state),
        Assigned(0, 1, "slot\0", 3),
        Reported(0, 1, 1, {"loss": math.nan, "NaN": math.inf, "low": -math.inf, "count": 3, "one": 1.0}, math.nan, checkpoint),
        Measured(0, 1, 3 * 2**40, 80 * 2**40),
        Sampled(0, 1, 1_790_000_000_000, {"cpu_utilization_percentage": 99.5, "gpu_0_power_usage_watts": math.nan}),
        Ended(0, 1, TrialState.WAITING, reason, checkpoint, starved=True),
        Assigned(0, 2, "slot", 3, gpus=0.125),
        Ended(0, 2, TrialState.FAILED, reason, checkpoint),
        SweepClosed("failed", reason),
    ]
    sweep = ledger.create("digits", WEIRD, [])
    lease = ledger.acquire(sweep.id, "controller", "hôst\0", 10)
    ledger.commit(lease, said)
    assert same([event.body for event in ledger.events(sweep.id)], said)
    found = ledger.find("digits")
    assert same(found.config, WEIRD)
    assert found.reason is not None
    assert found.reason.startswith("killed \ufffd by ? ümläut xxx")
    ledger.request(sweep.id, "enqueue", WEIRD)
    assert same(ledger.take_requests(lease)[0].payload, WEIRD)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parameters=objects, metrics=metrics, sweep_state=objects, trial_state=objects)
def test_databases_keep_anything(sql: Ledger, parameters: Any, metrics: Any, sweep_state: Any, trial_state: Any) -> None:
    sweep = sql.create(f"sweep {len(sql.sweeps())}", parameters, [])
    created = TrialCreated(0, TrialKind.SEARCH, parameters, 1, 3, search_state=SearchState(sweep_state, trial_state))
    said = [created, Assigned(0, 1, "slot", 3), Reported(0, 1, 1, metrics, 0.5)]
    sql.commit(sql.acquire(sweep.id, "controller", "me", 10), said)
    assert same([event.body for event in sql.events(sweep.id)], said)
    assert same(sql.sweeps()[-1].config, parameters)


def test_dashboards_read_metrics_that_are_not_finite(sql: Ledger, store_url: str) -> None:
    lease = sql.acquire(sql.create("digits", {}, [TrialCreated(0, TrialKind.SEARCH, {}, 1, 3)]).id, "controller", "me", 10)
    losses = [0.5, math.nan, math.inf]
    sql.commit(lease, [Assigned(0, 1, "slot", 3), *(Reported(0, 1, i + 1, {"loss": loss}, 0.0) for i, loss in enumerate(losses))])
    engine = connect(store_url)
    cast = "(metrics ->> 'loss')::float" if engine.dialect.name == "postgresql" else "json_extract(metrics, '$.loss')"
    with engine.connect() as connection:
        read = [float(x) for x in connection.execute(sa.text(f"SELECT {cast} FROM reports ORDER BY seq")).scalars()]
    engine.dispose()
    assert same(read, losses)


def test_what_was_written_before_an_event_had_a_field_is_read() -> None:
    old = EventRow("sweep_opened", None, '{"holder":"h"}', None)
    assert decode(old) == SweepOpened("h")
    assert encode(SweepOpened("h")) == old
    assert json.loads(encode(SweepOpened("h", user="ada")).payload) == {"holder": "h", "user": "ada"}
