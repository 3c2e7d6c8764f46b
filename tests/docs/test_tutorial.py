"""docs/tutorial.md, from its first file to its last command."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import APART, ROOT, Reader


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    Reader(tmp_path, skipped=("make", "source"), apart=APART[1:]).follow((ROOT / "docs" / "tutorial.md").read_text())
