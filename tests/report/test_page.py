"""The page: whole, alone, and deaf to whatever users put into names."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
import sweeps

from hpsearch.config.home import Home
from hpsearch.errors import InputError
from hpsearch.ledger.face import Projection
from hpsearch.report import page
from hpsearch.report.facts import Facts
from hpsearch.trial import TrialKind, TrialState

EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\"'&`*[x](javascript:alert(3))`{{31337*31337}}"
CALM = "an innocent name"


class Parsed(HTMLParser):
    """Tags with their attributes, the texts of scripts, and all other text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text = ""
        self._open = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        self._open = tag
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = (attributes, before + data)
        elif self._open != "style":
            self.text += data

    def json(self, name: str) -> Any:
        return next(json.loads(text) for attributes, text in self.scripts if attributes.get("id") == f"data-{name}")


@pytest.fixture(scope="module")
def whole(sixty: Facts) -> Parsed:
    return Parsed(page.html_of(sixty, Path("nowhere")))


def test_the_page_has_every_section_and_every_figure(whole: Parsed) -> None:
    ids = [attributes.get("id") for _, attributes in whole.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    assert {"result", "progress", "mattered", "training", "workers", "trials", "file", "main"} <= set(ids)
    assert {f"plot-{key}" for key in whole.json("page")["plots"]} == {i for i in ids if i.startswith("plot-")}
    for target in (attributes["href"] for tag, attributes in whole.tags if tag == "a"):
        assert (target or "")[1:] in ids, target


def test_its_numbers_are_the_ledgers(whole: Parsed, sixty: Facts) -> None:
    completed = {t.number: t.reports[-1]["val_accuracy"] for t in sixty.seen.history if t.state == "completed"}
    best = max(completed, key=completed.__getitem__)
    assert f"Trial {best} reached val_accuracy {completed[best]:.4g}" in whole.text
    assert f"the baseline's {completed[0]:.4g} by {completed[best] - completed[0]:.3g}" in whole.text
    table = whole.json("trials")
    assert [row[0] for row in table["rows"]] == list(range(60))
    assert table["best"] == [best]
    column = {name: i for i, name in enumerate(table["columns"])}
    for row, trial in zip(table["rows"], sixty.seen.history, strict=True):
        assert row[column["state"]] == trial.state
        assert row[column["epochs"]] == len(trial.reports)
        assert row[column["val_accuracy"]] == pytest.approx(trial.reports[-1]["val_accuracy"], rel=1e-5)
        assert row[column["learning_rate"]] == pytest.approx(trial.parameters["learning_rate"], rel=1e-5)
        momentum = trial.parameters.get("momentum")
        assert row[column["momentum"]] == (momentum and pytest.approx(momentum, rel=1e-5))
        assert row[column["seconds"]] == 0.5
    epochs = sum(len(t.reports) for t in sixty.seen.history)
    saved = sum(20 - len(t.reports) for t in sixty.seen.history if t.state == "pruned")
    assert f"{epochs:,}" in whole.text
    assert f"{saved:,} epochs of" in whole.text


def test_it_asks_for_nothing_and_runs_nothing_but_its_own(whole: Parsed) -> None:
    policy = next(a["content"] for t, a in whole.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert not re.search(r"https?:|\*|unsafe-eval|script-src[^;]*unsafe", policy)
    run = [text for attributes, text in whole.scripts if attributes.get("type") != "application/json"]
    digests = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in run}
    assert len(run) == 2
    assert digests == set(re.findall(r"'sha256-[^']+'", policy))
    for tag, attributes in whole.tags:
        assert not {"src", "srcset", "data", "action", "background"} & attributes.keys(), tag
        assert tag not in ("link", "iframe", "object", "embed", "base"), tag


def evil(word: str) -> tuple[Facts, str]:
    """A sweep in which everything that a user can choose is `word`, and its page."""
    ledger, clock = sweeps.a_ledger()
    name = word.replace("/", "|")  # the one letter that a sweep's name cannot have
    changes = {
        "task": {"kind": "command", "run": ["python", word], "resumable": False},
        "objective": [{"metric": word, "goal": "maximize"}, {"metric": f"{word}2", "goal": "minimize"}],
        "space": {"choice": {"values": [word, "plain"]}, "x": {"min": 0.0, "max": 1.0}, "fixed": word},
        "baseline": [{"choice": word, "x": 0.5}],
        "tracking": {"tags": {word[:200]: word}, "experiment": word},
    }
    sweep = ledger.create(name, sweeps.config(name, **changes), [])
    lease = ledger.acquire(sweep.id, "controller", word, 3600)
    ends = [TrialState.COMPLETED] * 12 + [TrialState.PRUNED, TrialState.FAILED, TrialState.DIVERGED]
    for number, end in enumerate(ends):
        parameters = {"choice": word if number % 2 else "plain", "x": number / 20, "fixed": word}
        metrics = {word: number / 10, f"{word}2": number / 10, "train_loss": 1.0, "val_loss": 1.0}
        kind = TrialKind.BASELINE if number == 0 else TrialKind.SEARCH
        reason = None if end is TrialState.COMPLETED else word
        bodies = sweeps.trial(number, 0.5, end=end, kind=kind, reason=reason, place=word, parameters=parameters, metrics=metrics)
        ledger.commit(lease, bodies)
        clock.now_ms += 1000
    facts = Facts.read(ledger, name)
    return facts, page.html_of(facts, Path("nowhere"))


def test_what_users_choose_is_shown_as_text() -> None:
    """Whatever they write, the page has the same elements; and the words are there, letter by letter."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts, html = evil(EVIL)
        _, calm = evil(CALM)
    seen, expected = Parsed(html), Parsed(calm)
    assert [(tag, set(attributes)) for tag, attributes in seen.tags] == [(tag, set(attributes)) for tag, attributes in expected.tags]
    assert facts.name in seen.text
    assert EVIL in seen.text
    assert "982007569" not in re.findall(r"\{\{.*?\}\}|982007569", seen.text.replace(EVIL, ""))
    assert any(EVIL in map(str, row) for row in seen.json("trials")["rows"])
    for attributes, text in seen.scripts:
        if attributes.get("type") == "application/json":
            assert not set("<>&") & set(text)


def texts(value: Any, key: str = "") -> Any:
    """Every text that plotly shows, in a figure."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from texts(inner, name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner, key)
    elif isinstance(value, str) and key in ("text", "name", "ticktext", "hovertext", "hovertemplate", "title", "x", "y"):
        yield key, value


def test_plotly_is_given_no_markup_of_users() -> None:
    facts, _ = evil(EVIL)
    shown = [pair for group in page.plots_of(facts, Path("nowhere")).values() for plot in group for pair in texts([plot.data, plot.layout])]
    assert any("&lt;img" in text for _, text in shown)
    assert [
        (key, text) for key, text in shown if "<" in text.replace("<extra></extra>", "").replace("<extra>%{fullData.name}</extra>", "")
    ] == []
    assert [text for key, text in shown if key == "hovertemplate" and "img" in text] == []


def test_json_in_a_script_ends_nothing() -> None:
    value = {"a": "</script><!--<script>&\u2028\u2029", "b": [1.5, None]}
    text = page.script_json(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


def test_a_value_that_json_has_not_is_refused_rather_than_written() -> None:
    with pytest.raises(ValueError):
        page.script_json({"a": float("nan")})


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home", "sqlite://", "sqlite://")


def test_it_is_written_whole_into_the_home(home: Home) -> None:
    ledger, clock = sweeps.a_ledger()
    sweeps.fill(ledger, clock, 3, "my sweep")
    path = page.write_report(ledger, home, "my sweep")
    assert path == home.root / "reports" / "my sweep.html"
    assert path.read_text().endswith("</html>")
    assert [file.name for file in path.parent.iterdir()] == ["my sweep.html"]


def test_a_file_that_cannot_be_written_is_said(home: Home, tmp_path: Path) -> None:
    ledger, clock = sweeps.a_ledger()
    sweeps.fill(ledger, clock, 1)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file/x.html: File exists; name another file with --output"):
        page.write_report(ledger, home, "digits", tmp_path / "file" / "x.html")


def test_it_links_to_mlflow_where_that_is_a_server_and_shows_no_password(home: Home) -> None:
    ledger, clock = sweeps.a_ledger()
    sweep = sweeps.fill(ledger, clock, 2)
    ledger.project(ledger.acquire(sweep.id, "projector", "somebody", 3600), Projection(1, "7", "run"), {})
    assert not links_of(page.write_report(ledger, home, "digits"))
    there = replace(home, tracking_uri="https://ada:secret@mlflow.example")
    path = page.write_report(ledger, there, "digits")
    start = "https://mlflow.example/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=hpsearch"
    (link,) = links_of(path)
    assert link.startswith(start)
    assert "secret" not in path.read_text()


def links_of(path: Path) -> list[str]:
    """Those that lead out of the page."""
    return [a["href"] for tag, a in Parsed(path.read_text()).tags if tag == "a" and a["href"] and not a["href"].startswith("#")]


@pytest.mark.parametrize("held", [True, False])
def test_it_renews_itself_only_while_the_sweep_runs(home: Home, held: bool) -> None:
    ledger, clock = sweeps.a_ledger()
    sweep = sweeps.fill(ledger, clock, 2)
    if held:
        ledger.acquire(sweep.id, "controller", "somebody", 3600)
    seen = Parsed(page.write_report(ledger, home, "digits", renew_s=10).read_text())
    assert seen.json("page")["renew_s"] == (10 if held else None)
    assert any(attributes.get("id") == "renew" for _, attributes in seen.tags) == held


def test_a_sweep_without_a_trial_has_a_page(home: Home) -> None:
    ledger, _ = sweeps.a_ledger()
    ledger.create("new", sweeps.config("new"), [])
    seen = Parsed(page.write_report(ledger, home, "new").read_text())
    assert "No trial completed" in seen.text
    assert seen.json("page")["plots"] == {}


def test_curves_are_shown_before_a_trial_has_completed(after) -> None:
    seen = Parsed(page.html_of(after(*sweeps.trial(0, 0.1, 0.2)[:-1]), Path("nowhere")))
    assert "curves-0" in seen.json("page")["plots"]
    assert ("section", "progress") in [(tag, attributes.get("id")) for tag, attributes in seen.tags]
    assert "#progress" in [attributes.get("href") for _, attributes in seen.tags]


def test_no_password_of_the_sweep_file_is_shown(after) -> None:
    facts = after(storage="s3://ada:secret@bucket/x")
    assert "secret" not in page.html_of(facts, Path("nowhere"))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.slow
def test_whatever_has_happened_there_is_a_page(seed: int) -> None:
    facts = Facts.read(sweeps.wild(seed), "wild")
    seen = Parsed(page.html_of(facts, Path("nowhere")))
    assert [row[0] for row in seen.json("trials")["rows"]] == list(facts.seen.history.trials)
    for figure in seen.json("page")["plots"].values():
        go.Figure(data=figure["data"], layout=figure["layout"])


@pytest.mark.slow
def test_two_thousand_trials_stay_below_ten_megabytes() -> None:
    ledger, clock = sweeps.a_ledger()
    sweeps.fill(ledger, clock, 2_000)
    assert len(page.html_of(Facts.read(ledger, "digits"), Path("nowhere")).encode()) < 10e6
