"""docs/tutorial.md, from its first file to its last command."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import APART, ROOT, Reader, Step


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    """And so do the commands of the guide to the report, which go on from there."""
    reader = Reader(tmp_path, skipped=("make", "source"), apart=("python use_model.py", *APART[1:]))
    reader.follow((ROOT / "docs" / "tutorial.md").read_text())
    reader.take(Step("hpsearch run churn.yaml budget.trials=1 winner.top=0 tracking.register=null --name churn-2", ()))
    reader.follow((ROOT / "docs" / "report.md").read_text())
    assert (tmp_path / "churn.html").stat().st_size > 1_000_000
