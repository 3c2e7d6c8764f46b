"""The report inside MLflow's UI: its link is in the note of the sweep's run, and it is drawn in the artifacts tab."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, started
from selenium.common.exceptions import WebDriverException
from serving import NO_ASSISTANT, said, served

pytestmark = [pytest.mark.slow, pytest.mark.ui, pytest.mark.timeout(400)]

SWEEP = """\
name: small
task: {kind: classification, data: iris, model: mlp}
objective: {metric: val_accuracy, goal: maximize}
space:
  learning_rate: {min: 1.0e-4, max: 0.1, log: true}
  hidden_units: {min: 4, max: 16}
training: {epochs: 2}
search: {sampler: random, scheduler: none, seed: 1}
budget: {trials: 12}
resources: {executor: inline}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Any]]]:
    """Where the UI is, and what the run said."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "small.yaml").write_text(SWEEP)
    result = said(folder, "run", "small.yaml")
    with served(folder) as url:
        yield url, result


def is_ready(browser: Browser) -> bool:
    """Whether the frame that is there now, which MLflow replaces when it has loaded the page, shows the report."""
    browser.driver.switch_to.default_content()
    browser.wait("return document.querySelector('iframe')")
    try:
        browser.driver.switch_to.frame(0)
        return bool(browser.run("return document.documentElement.dataset.ready === 'yes'"))
    except WebDriverException:
        return False


def test_the_note_links_to_it_and_its_plots_are_drawn(home: tuple[str, dict[str, Any]], tmp_path: Path) -> None:
    url, result = home
    base, run = url.partition("/#/")[0], result["mlflow"]
    with started(tmp_path / "profile") as browser:
        browser.before_each_page(NO_ASSISTANT)
        browser.look(width=1600)
        browser.forget()
        browser.open(f"{base}/#/experiments/{run['experiment_id']}/runs/{run['run_id']}?workflowType=machine_learning")
        link = browser.wait("return [...document.querySelectorAll('a')].find(a => a.textContent === 'Open the report')?.href")
        browser.open("about:blank")  # else only the part after # would change, and nothing be loaded
        browser.open(link)
        deadline = time.monotonic() + 60
        while not is_ready(browser):
            assert time.monotonic() < deadline, browser.hear()
        assert browser.run("return document.title") == "small"
        drawn = browser.run("return [...document.querySelectorAll('.plot')].map(p => [p.id, p.querySelectorAll('.main-svg').length])")
        assert len(drawn) >= 8
        assert [name for name, drawings in drawn if not drawings] == []
        browser.driver.switch_to.default_content()
        browser.keep("mlflow-report")
        errors = [error for error in browser.hear() if "/ajax-api/" not in error]  # MLflow asks for a user, and has none
        assert errors == []
        assert [asked for asked in browser.asked if not asked.startswith((base, "about:", "blob:", "data:", "chrome:"))] == []
