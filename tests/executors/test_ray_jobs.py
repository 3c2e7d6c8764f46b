"""A sweep's job by its name and configuration."""

from __future__ import annotations

import re
from pathlib import Path

from hpsearch.config import load
from hpsearch.executors.ray_jobs import _number, job_name, last_line

SWEEP = """\
task: {kind: classification, data: iris}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {min: 0.01, max: 0.1}}
budget: {trials: 1}
"""


def name_of(folder: Path, *overrides: str) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "one.yaml").write_text(SWEEP)
    return job_name(load(folder / "one.yaml", overrides))


def test_the_same_sweep_has_the_same_job(tmp_path):
    name = name_of(tmp_path / "a")
    assert re.fullmatch(r"hpsearch-one-[0-9a-f]{12}", name)
    assert name_of(tmp_path / "b") == name, "wherever its file is"
    assert name_of(tmp_path / "a", "budget.trials=1") == name, "however it is written"
    others = {name_of(tmp_path / "a", change) for change in ("budget.trials=2", "name=two", "search.seed=1")}
    assert len(others | {name}) == 4


def test_a_name_is_fit_for_files_and_urls(tmp_path):
    assert re.fullmatch(r"hpsearch-a-b-c-[0-9a-f]{12}", name_of(tmp_path, "name=a b+ü&c"))


def test_jobs_of_a_sweep_are_numbered():
    assert [_number(name, "hpsearch-x-12") for name in ("hpsearch-x-12", "hpsearch-x-12-7", "hpsearch-x-123", "hpsearch-x-12-y")] == [
        1,
        7,
        0,
        0,
    ]


def test_the_last_word_of_a_job():
    assert last_line("one\nerror: two\n\n") == "error: two"
    assert last_line("error: two\nRunning entrypoint for job x: python\n") == "error: two", "Ray's own first line, written late"
