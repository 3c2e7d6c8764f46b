"""docs/from-*.md: what one has and what it becomes both run, and come to the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import ROOT, Reader

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def best(printed: str) -> float:
    (value,) = re.findall(r"^best: \w+ ([\d.]+)", printed, re.MULTILINE)
    return float(value)


def test_from_optuna(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    reader.follow(page("from-optuna.md"))
    values = [best(printed) for printed in reader.printed]
    assert len(values) == 3
    assert min(values) > 0.95
    assert max(values) - min(values) < 0.03
