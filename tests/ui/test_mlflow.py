"""MLflow's own UI after real sweeps: what people find where the printed links lead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from browser import Browser, started
from serving import NO_ASSISTANT, said, served

pytestmark = [pytest.mark.slow, pytest.mark.ui, pytest.mark.timeout(600)]

SWEEP = """\
name: digits
task: {kind: classification, data: digits, model: mlp}
objective: {metric: val_accuracy, goal: maximize}
space:
  learning_rate: {min: 1.0e-4, max: 0.1, log: true}
  hidden_units: {min: 4, max: 64}
  optimizer: {values: [adamw, sgd]}
  momentum: {min: 0.5, max: 0.99, when: {optimizer: sgd}}
  activation: relu
baseline:
  - {learning_rate: 0.001, hidden_units: 32, optimizer: adamw}
training: {epochs: 5}
search: {sampler: random, scheduler: median, seed: 1}
budget: {trials: 20}
resources: {executor: inline}
winner: {top: 2, seeds: 2}
tracking: {register: '<b onmouseover="window.pwned=1">digits<b>'}
"""

NAME = '<img src=x onerror="window.pwned=1"> [a](javascript:window.pwned=1) **b** `c`'
VALUE = "<script>window.pwned=1</script>[v](javascript:pwned=1)"
TAG = '<svg onload="window.pwned=1">**t**'
METRIC = '<i onmouseover="window.pwned=1">loss</i>'

HOSTILE = f"""\
name: '{NAME}'
task: {{kind: function, target: "hostile:train"}}
objective: {{metric: '{METRIC}', goal: minimize}}
space:
  x: {{min: 0.0, max: 1.0}}
  choice: {{values: ['{VALUE}', '**bold**']}}
training: {{epochs: 2}}
search: {{sampler: random, scheduler: none, seed: 1}}
budget: {{trials: 6}}
resources: {{executor: inline}}
tracking: {{experiment: digits, tags: {{'{TAG}': '{TAG}'}}}}
"""

CODE = f"""\
def train(trial):
    for step in trial.steps():
        trial.report(step, {{{METRIC!r}: trial.params["x"] * step}})
"""

MLFLOWS_OWN = (
    "/ajax-api/2.0/mlflow/users/current",  # it asks for a user, and has none
    "AG Grid: since",  # its table warns of itself
    "ResizeObserver loop",
)

COUNT_LINES = """
const drawing = CanvasRenderingContext2D.prototype, {stroke, clearRect} = drawing;
const isLines = (canvas) => canvas.classList.contains('foreground');
drawing.clearRect = function (...a) { if (isLines(this.canvas)) window.lines = 0; return clearRect.apply(this, a); };
drawing.stroke = function (...a) { if (isLines(this.canvas)) window.lines = (window.lines || 0) + 1; return stroke.apply(this, a); };
"""
"""The parallel coordinates are a canvas, on which each run is one stroke."""

ROWS = """
const rows = [...document.querySelectorAll('.ag-pinned-left-cols-container .ag-row')];
rows.sort((a, b) => a.getAttribute('row-index') - b.getAttribute('row-index'));
"""
COLUMNS = """
const heads = [...document.querySelectorAll('.ag-header-cell')].sort((a, b) => a.getBoundingClientRect().x - b.getBoundingClientRect().x);
const columns = heads.map(head => head.getAttribute('col-id')).filter(column => /^(metrics|params)/.test(column));
"""
"""From left to right, as far as they can be seen; their order in the document is another."""
IS_SORTED = "document.querySelector('.ag-header .is-ordered-by')"


@dataclass(frozen=True)
class Home:
    """`base`: where the UI is; what the commands said of the sweeps."""

    base: str
    printed: str
    digits: Any
    hostile: Any
    trials: list[Any]

    def here(self, link: str) -> str:
        """A link as it was printed, but to the port that this test has."""
        return f"{self.base}/#/{link.partition('/#/')[2]}"

    def run_of(self, trial: int) -> str:
        return str(self.trials[trial]["mlflow_run_id"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One experiment that two sweeps share, and its UI."""
    folder = tmp_path_factory.mktemp("home")
    for name, text in (("digits.yaml", SWEEP), ("hostile.yaml", HOSTILE), ("hostile.py", CODE)):
        (folder / name).write_text(text)
    hostile, digits = said(folder, "run", "hostile.yaml"), said(folder, "run", "digits.yaml")
    with served(folder) as url:
        yield Home(url.partition("/#/")[0], url, digits, hostile, said(folder, "show", "digits")["trials"])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with started(tmp_path_factory.mktemp("profile")) as browser:
        browser.before_each_page(NO_ASSISTANT)
        browser.before_each_page(COUNT_LINES)
        yield browser


@pytest.fixture(autouse=True)
def silence(browser: Browser, home: Home) -> Iterator[None]:
    """No test ends with an error in the console, with code of a user's name run, or having asked another machine."""
    browser.look(width=1600)
    browser.forget()
    yield
    assert browser.run("return window.pwned ?? null") is None
    assert [error for error in browser.hear() if not any(known in error for known in MLFLOWS_OWN)] == []
    assert [url for url in browser.asked if not url.startswith((home.base, "about:", "blob:", "data:", "chrome:"))] == []


def go(browser: Browser, url: str) -> None:
    """Load it anew: else only the part after # would change."""
    browser.open("about:blank")
    browser.open(url)


def run_ids(browser: Browser) -> list[str]:
    """Of the rows that are drawn, from the top; the table draws no more than can be seen, and a few."""
    return browser.run(ROWS + "return rows.map(row => row.getAttribute('row-id'))")


def accuracies(browser: Browser, home: Home) -> list[float]:
    """What the ledger says of the trials in the rows, from the top; the sweep's own run has none."""
    known = {t["mlflow_run_id"]: t["values"]["val_accuracy"] for t in home.trials}
    return [known[run] for run in run_ids(browser) if run != home.digits["mlflow"]["run_id"]]


def test_the_printed_link_opens_the_sweeps_trials_with_the_ledgers_best_on_top(browser: Browser, home: Home) -> None:
    go(browser, home.here(home.digits["mlflow"]["link"]))
    browser.wait(f"return document.querySelectorAll('.ag-row').length && {IS_SORTED}")
    (best,) = home.digits["best"]
    shown, ranked = run_ids(browser), accuracies(browser, home)
    assert shown[0] in {t["mlflow_run_id"] for t in home.trials if t["values"] == best["values"]}
    assert ranked == sorted(ranked, reverse=True)
    searched = {t["mlflow_run_id"] for t in home.trials if t["kind"] != "retest"}
    assert set(shown) <= searched | {home.digits["mlflow"]["run_id"]}
    assert len(shown) > 10
    told = browser.run("return document.body.textContent")
    assert f"{len(searched) + 1} matching runs" in told
    names = ["metrics.`val_accuracy`", "params.`learning_rate`", "params.`hidden_units`", "params.`optimizer`", "params.`momentum`"]
    browser.wait(COLUMNS + "return columns.join() === arguments[0].join()", names)
    assert browser.run("return document.querySelector('.ag-header .is-ordered-by').textContent") == "val_accuracy"
    browser.keep("mlflow-table")


def test_the_registered_model_shows_its_alias_and_whose_it_is(browser: Browser, home: Home) -> None:
    name = home.digits["model"]["name"]
    assert home.digits["model"]["champion"]
    go(browser, f"{home.base}/#/models/{quote(name, safe='')}")
    rows = browser.wait("""
        const rows = [...document.querySelectorAll('[role=row]')].map(row => row.innerText.split(/\\s+/).join(' '));
        return rows.length === 2 && rows""")
    assert "Version 1 " in rows[1]
    assert "@ champion" in rows[1]
    assert f"hpsearch.value: {home.digits['winner']['mean']} " in rows[1]
    assert name in browser.run("return document.body.textContent")
    browser.keep("mlflow-model")
    go(browser, f"{home.base}/#/models/{quote(name, safe='')}/versions/1")
    browser.wait(
        "return document.body.textContent.includes('This network is that of re-test') && document.body.textContent.includes('Schema')"
    )
    browser.keep("mlflow-model-version")


def test_the_command_that_serves_it_opens_the_sweep_that_was_begun_last(home: Home) -> None:
    assert home.printed == home.here(home.digits["mlflow"]["link"])


def test_a_click_on_the_objective_turns_the_order_round(browser: Browser, home: Home) -> None:
    go(browser, home.here(home.digits["mlflow"]["link"]))
    browser.wait(f"return document.querySelectorAll('.ag-row').length && {IS_SORTED}")
    best = run_ids(browser)[0]
    first = ROWS + "return rows[0] && (rows[0].getAttribute('row-id') === arguments[0]) === arguments[1]"
    for is_best in (False, True):
        browser.press(".ag-header [data-testid='sort-header-val_accuracy']")
        browser.wait(first, best, is_best)
        ranked = accuracies(browser, home)
        assert ranked == sorted(ranked, reverse=is_best)


def test_the_parent_unfolds_to_its_trials_and_a_trial_to_its_re_tests(browser: Browser, home: Home) -> None:
    """In MLflow's usual view, by time, both sweeps of the experiment are folded."""
    go(browser, f"{home.base}/#/experiments/{home.digits['mlflow']['experiment_id']}/runs?workflowType=machine_learning")
    browser.wait("return document.querySelectorAll('.ag-pinned-left-cols-container .ag-row').length === 2")
    parent = home.digits["mlflow"]["run_id"]
    assert run_ids(browser) == [parent, home.hostile["mlflow"]["run_id"]]
    unfold = "[row-id='{}'] [data-component-id*='runnamecellrenderer'].du-bois-light-btn-icon-only"
    browser.press(unfold.format(parent))
    browser.wait("return document.querySelectorAll('.ag-pinned-left-cols-container .ag-row').length > 10")
    trials = [t["mlflow_run_id"] for t in home.trials if t["kind"] != "retest"]
    shown = run_ids(browser)
    assert shown == [parent, *reversed(trials), home.hostile["mlflow"]["run_id"]][: len(shown)]
    origin = next(t["parent"] for t in home.trials if t["kind"] == "retest")
    retests = {t["mlflow_run_id"] for t in home.trials if t["parent"] == origin}
    browser.press(unfold.format(home.run_of(origin)))
    browser.wait("return arguments[0].every(id => document.querySelector(`[row-id='${id}']`))", list(retests))
    browser.keep("mlflow-unfolded")


def test_the_charts_draw_parallel_coordinates_of_all_trials_and_the_curves_of_the_best(browser: Browser, home: Home) -> None:
    go(browser, home.here(home.digits["mlflow"]["link"]) + "&compareRunsMode=CHART")
    measured = [t for t in home.trials if t["kind"] != "retest" and t["steps"]]
    browser.wait(f"return window.lines === {len(measured)}")
    axes = browser.run("return [...document.querySelectorAll('.parcoords .dimension .label')].map(label => label.textContent)")
    assert axes == ["learning_rate", "hidden_units", "optimizer", "val_accuracy"]
    pixels = browser.run("""
        const canvas = document.querySelector('.parcoords canvas.foreground');
        return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.filter((v, i) => i % 4 === 3 && v).length""")
    assert pixels > 1_000
    browser.wait("return document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length >= 10")
    browser.wait(f"return window.lines === {len(measured)}")
    browser.keep("mlflow-charts")


def test_the_note_leads_to_the_report_and_back_to_all_trials(browser: Browser, home: Home) -> None:
    where = home.digits["mlflow"]
    go(browser, f"{home.base}/#/experiments/{where['experiment_id']}/runs/{where['run_id']}?workflowType=machine_learning")
    links = browser.wait("""
        const found = [...document.querySelectorAll('a')].map(a => [a.textContent, a.href]);
        return found.some(([text]) => text === 'Open the report') && Object.fromEntries(found)""")
    assert links["All trials, the best first"] == home.here(where["link"])
    assert links["as charts"] == home.here(where["link"]) + "&compareRunsMode=CHART"
    browser.press("[data-testid='show-comment-toggle']")
    browser.keep("mlflow-note")


def test_what_users_write_is_text(browser: Browser, home: Home) -> None:
    """A name, a value, a metric and a tag that are HTML and Markdown: in the table, on the charts, on both run pages."""
    link = home.here(home.hostile["mlflow"]["link"])
    go(browser, link)
    browser.wait(f"return document.querySelectorAll('.ag-row').length >= 7 && {IS_SORTED}")
    text = browser.run("return document.body.textContent")
    assert VALUE in text
    assert NAME in text
    browser.keep("mlflow-hostile-table")
    go(browser, f"{link}&compareRunsMode=CHART")
    browser.wait("return window.lines === 6")
    browser.keep("mlflow-hostile-charts")
    where = home.hostile["mlflow"]
    go(browser, f"{home.base}/#/experiments/{where['experiment_id']}/runs/{where['run_id']}?workflowType=machine_learning")
    note = browser.wait("return document.querySelector('.note-editor-preview-content')?.textContent")
    assert note.startswith(f"{NAME} is completed.")
    assert f"{METRIC} (minimize)" in note
    assert home.hostile["best"][0]["params"]["choice"] in note
    assert browser.run("return document.querySelector('[data-testid=runs-header]').textContent") == NAME
    assert browser.run("return document.querySelectorAll(\"a[href^='javascript:'], img[src='x']\").length") == 0
    browser.press("[data-testid='show-comment-toggle']")
    browser.keep("mlflow-hostile-note")
