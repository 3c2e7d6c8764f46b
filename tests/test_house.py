"""The house is as docs/structure.md draws it: the rooms' order, the heavy libraries' homes, what an import costs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hpsearch"
STRUCTURE = (ROOT / "docs" / "structure.md").read_text()
ROOMS = re.findall(r"^  (\w+)(?:\.py|/) ", STRUCTURE.partition("```")[2].partition("```")[0], re.MULTILINE)
"""In their order, bottom to top."""

HOMES = {
    "optuna": {"space", "search"},
    "sqlalchemy": {"ledger"},
    "alembic": {"ledger"},
    "psycopg": {"ledger"},
    "mlflow": {"tracking"},
    "ray": {"executors", "cli"},
    "torch": {"models", "training", "tasks"},
    "fsspec": {"training"},
    "s3fs": {"training"},
    "pydantic": {"config"},
    "ruamel": {"config"},
    "plotly": {"report"},
    "jinja2": {"report"},
    "typer": {"cli"},
    "rich": {"cli"},
}


def imports(file: Path) -> Iterator[str]:
    """Every module that a file imports anywhere in it, in full."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{name.name}" for name in node.names)


def room_of(file: Path) -> str:
    return file.relative_to(PACKAGE).with_suffix("").parts[0]


FILES = sorted(file for file in PACKAGE.rglob("*.py") if room_of(file) not in ("__init__", "__main__"))


def test_structure_names_every_room() -> None:
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert sorted(ROOMS) == sorted(there - {"__init__", "__main__"})


def test_structure_names_no_file_that_is_not_there() -> None:
    named = re.findall(r"`([a-z_]+/[a-z_]+\.py)`", STRUCTURE)
    assert named
    assert [file for file in named if not (PACKAGE / file).exists() and not (ROOT / file).exists()] == []


def test_a_room_imports_only_rooms_above_it() -> None:
    for file in FILES:
        own = ROOMS.index(room_of(file))
        used = {module.split(".")[1] for module in imports(file) if module.startswith("hpsearch.")} & set(ROOMS)
        assert [room for room in used if ROOMS.index(room) > own] == [], file


def test_heavy_libraries_stay_at_home() -> None:
    for file in FILES:
        used = {module.partition(".")[0] for module in imports(file)} & set(HOMES)
        assert [library for library in used if room_of(file) not in HOMES[library]] == [], file


def loaded_after(code: str) -> set[str]:
    """The heavy libraries that a fresh interpreter has imported after `code`."""
    tail = f"\nimport json, sys; print(json.dumps(sorted(set(sys.modules) & set({sorted(HOMES)!r}))))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_import_hpsearch_imports_nothing_heavy() -> None:
    assert loaded_after("import hpsearch") == set()


def test_every_room_can_be_imported_without_what_is_slow() -> None:
    rooms = "\n".join(f"import hpsearch.{room}" for room in ROOMS)
    assert loaded_after(rooms) & {"torch", "mlflow", "ray", "optuna"} == set()


def test_a_sweep_file_is_checked_without_torch() -> None:
    code = """
from hpsearch.config import load
from hpsearch.plan import make_plan
from pathlib import Path
for file in Path("search_spaces").glob("*.yaml"):
    make_plan(load(file))
"""
    assert loaded_after(code) & {"torch", "mlflow", "ray", "optuna", "sqlalchemy"} == set()


def test_public_names_are_there() -> None:
    import hpsearch

    assert sorted(hpsearch.__all__) == sorted(set(hpsearch.__all__))
    assert all(getattr(hpsearch, name) is not None for name in hpsearch.__all__)
