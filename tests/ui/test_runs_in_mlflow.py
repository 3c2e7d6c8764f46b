"""A sweep's runs inside MLflow's UI: where they came from is in sight, and what users choose is text, whatever it looks like."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, started
from serving import NO_ASSISTANT, said, served

pytestmark = [pytest.mark.slow, pytest.mark.ui, pytest.mark.timeout(400)]

EVIL = "<img src=x onerror=alert(1)>"
MARKED = "**bold** [link](javascript:alert(2)) `code`"

SWEEP = {
    "name": f"evil {EVIL}",
    "task": {"kind": "classification", "data": {"csv": f"{EVIL}.csv", "target": "<u>kind</u>"}},
    "objective": {"metric": "val_accuracy", "goal": "maximize"},
    "space": {"learning_rate": {"min": 0.001, "max": 0.1}, "optimizer": {"values": ["adamw", "sgd"]}},
    "training": {"epochs": 2},
    "budget": {"trials": 3},
    "resources": {"executor": "inline", "workers": 1},
    "winner": {"top": 0},
    "tracking": {"tags": {"team": EVIL, "note": MARKED}, "experiment": f"experiment {EVIL}"},
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where the UI is, and where the sweep is in it."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "evil.yaml").write_text(json.dumps(SWEEP))
    rows = [f"{i % 7},{(i * i) % 5},{'ab'[i % 2]}" for i in range(80)]
    (folder / f"{EVIL}.csv").write_text("\n".join([f"{EVIL},`y`,<u>kind</u>", *rows]) + "\n")
    there = said(folder, "run", "evil.yaml")["mlflow"]
    with served(folder) as url:
        yield url.partition("/#/")[0], there


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with started(tmp_path / "profile") as browser:
        browser.before_each_page(NO_ASSISTANT)
        yield browser


def shows(browser: Browser, *texts: str) -> None:
    """All of them are to be read on the page, letter by letter. (An alert would end any script with an exception.)"""
    for text in texts:
        browser.wait(f"return document.body.innerText.includes({json.dumps(text)})")
    assert browser.run('return document.querySelectorAll(\'img[src="x"], a[href^="javascript:"]\').length') == 0


def test_on_the_page_of_the_sweeps_run(home: tuple[str, dict[str, Any]], browser: Browser) -> None:
    base, there = home
    browser.open(f"{base}/#/experiments/{there['experiment_id']}/runs/{there['run_id']}?workflowType=machine_learning")
    shows(browser, f"evil {EVIL} is completed.", EVIL, MARKED, f"{EVIL}.csv/training", "evil.yaml", "epochs", "trials_completed")


def test_in_the_table_of_runs(home: tuple[str, dict[str, Any]], browser: Browser) -> None:
    base, there = home
    browser.open(f"{base}/#/experiments/{there['experiment_id']}/runs?workflowType=machine_learning")
    shows(browser, f"experiment {EVIL}", f"evil {EVIL}", f"{EVIL}.csv/training")


def test_the_exported_sweep_file_opens_in_the_artifacts(home: tuple[str, dict[str, Any]], browser: Browser) -> None:
    base, there = home
    browser.open(
        f"{base}/#/experiments/{there['experiment_id']}/runs/{there['run_id']}/artifacts/winner.yaml?workflowType=machine_learning"
    )
    shows(browser, "learning_rate:", f"csv: {EVIL}.csv")
