"""docs/tasks/*.md: each kind of task has a page, which is gone through as its reader does, with fewer and shorter trainings."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import ROOT, Block, Reader, walk
from ruamel.yaml import YAML

from hpsearch.config import load
from hpsearch.config.sections import OWN_CODE
from hpsearch.models import MODELS
from hpsearch.plan import make_plan
from hpsearch.tasks import TASKS

FOLDER = ROOT / "docs" / "tasks"
KINDS = [kind for kind in TASKS if kind not in OWN_CODE]
SHORT = "budget.trials=3 training.epochs=2 winner.top=1 winner.seeds=2 resources.executor=inline"

of_each = pytest.mark.parametrize("kind", KINDS)


def page(kind: str) -> str:
    return (FOLDER / f"{kind.replace('_', '-')}.md").read_text()


def test_there_are_no_other_pages() -> None:
    assert {file.stem.replace("-", "_") for file in FOLDER.iterdir()} == set(KINDS)


@of_each
def test_it_names_all_metrics_models_and_formats_and_no_others(kind: str) -> None:
    text, entry = page(kind), TASKS[kind]
    for name in (*entry.formats, *entry.columns, *entry.data, *entry.models):
        assert name in text, name
    known = {metric for entry in TASKS.values() for metric in entry.metrics}
    table = text.partition("## Metrics")[2].partition("## ")[0]
    assert {metric for metric in known if f"`{metric}`" in table} == set(entry.metrics) - {"train_loss"}
    models = text.partition("## Models")[2].partition("## ")[0]
    assert {model for model in MODELS if f"`{model}`" in models} == set(entry.models)


@of_each
def test_its_sweeps_can_be_run(kind: str, tmp_path: Path) -> None:
    """Those that are shown in part too, in place of what the whole one has."""
    yaml = YAML(typ="safe")
    shown = [block for block in walk(page(kind)) if block.language == "yaml"]
    whole = next(block for block in shown if block.file)
    for block in shown:
        file = tmp_path / "shown.yaml"
        yaml.dump(completed(yaml, block, whole), file)
        assert make_plan(load(file)).config.task.kind == kind


def completed(yaml: YAML, block: Block, whole: Block) -> dict[str, object]:
    return {**yaml.load(whole.text), **yaml.load(block.text)}


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
@of_each
def test_it_does_what_it_says(kind: str, tmp_path: Path) -> None:
    reader = Reader(tmp_path, more={"hpsearch run": SHORT}, apart=())
    reader.follow(page(kind))
    assert any("completed after" in printed for printed in reader.printed)
