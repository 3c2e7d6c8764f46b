"""docs/from-*.md: what one has and what it becomes both run, and come to the same."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import ROOT, Reader
from ruamel.yaml import YAML

from hpsearch.config import load

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(600)]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def best(printed: str) -> float:
    (value,) = re.findall(r"^best: \w+ ([\d.]+)", printed, re.MULTILINE)
    return float(value)


def check_comparable(reader: Reader, searches: int = 3) -> None:
    """All commands of a page are searches, and their bests differ by no more than what random numbers make of them."""
    values = [best(printed) for printed in reader.printed]
    assert len(values) == searches
    assert min(values) > 0.93
    assert max(values) - min(values) < 0.05


def test_from_optuna(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.follow(page("from-optuna.md"))
    check_comparable(reader)


@pytest.fixture
def no_other_ray() -> Iterator[Path]:
    """A folder of Ray's own, in which no note leads to another cluster; its sockets must have short names."""
    folder = Path(tempfile.mkdtemp(prefix="ray-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.cluster
def test_from_ray_tune(tmp_path: Path, no_other_ray: Path) -> None:
    reader = Reader(tmp_path, variables={"RAY_TMPDIR": str(no_other_ray), "RAY_USAGE_STATS_ENABLED": "0"})
    reader.follow(page("from-ray-tune.md"))
    check_comparable(reader)


def test_from_wandb(tmp_path: Path) -> None:
    """W&B's own side is shown and not run: its package is no dependency. What can be checked is that it reads, and searches the same."""
    reader = Reader(tmp_path)
    reader.follow(page("from-wandb-sweeps.md"))
    check_comparable(reader, 1)
    compile((tmp_path / "train_wandb.py").read_text(), "train_wandb.py", "exec")
    theirs = YAML(typ="safe").load((tmp_path / "sweep.yaml").read_text())
    ours = load(tmp_path / "digits.yaml")
    assert {*theirs["parameters"]} - {"epochs"} == {*ours.space.parameters}
    assert theirs["parameters"]["epochs"]["value"] == ours.training.epochs
    assert theirs["run_cap"] == ours.budget.trials
    assert theirs["metric"] == {"name": ours.objectives[0].metric, "goal": ours.objectives[0].goal}
