"""What the README and the guides say is so: their commands parse, their files load, their links lead somewhere, their example runs."""

from __future__ import annotations

import importlib.util
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from pages import PAGES, blocks, commands
from sklearn.datasets import make_classification

from hpsearch.cli.app import app
from hpsearch.config import load
from hpsearch.plan import make_plan
from hpsearch.report import page

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
TARGETS = re.findall(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[0].split()


def page_id(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_exist(page: Path) -> None:
    for words in commands(page.read_text()):
        match words:
            case ["make", *rest]:
                assert set(rest) <= set(TARGETS), words
            case ["python", "-m", module, *_]:
                assert importlib.util.find_spec(module), words
            case ["hpsearch", command, *arguments]:
                check_hpsearch(command, arguments)


def check_hpsearch(command: str, arguments: list[str]) -> None:
    """Parses it as the command line would. In `NAME`, `[FILE]`, `N` and the like the reader puts something of their own."""
    if command == "COMMAND" or command.startswith("-"):
        return
    assert command in COMMANDS, f"hpsearch {command}"
    commands = COMMANDS
    if command == "cluster" and arguments:
        commands, (command, *arguments) = COMMANDS["cluster"].commands, arguments
        assert command in commands, f"hpsearch cluster {command}"
    if arguments and "--help" not in arguments:
        own = {"N": "3", "TRIAL": "3", "[TRIAL]": "3", "[KEY=VALUE…]": "budget.trials=3"}
        commands[command].make_context(command, [own.get(argument, argument.strip("[]")) for argument in arguments])


def test_the_readme_names_every_command() -> None:
    named = {words[1] for words in commands(README) if words[0] == "hpsearch"}
    assert set(COMMANDS) <= named


def test_the_readme_names_every_make_target() -> None:
    row = next(line for line in README.splitlines() if line.startswith("| `Makefile`"))
    assert re.findall(r"`([\w-]+)`", row)[1:] == TARGETS


def test_the_index_has_every_guide() -> None:
    guides = {file.name for file in (ROOT / "docs").glob("*.md")} - {"README.md"}
    named = re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "README.md").read_text())
    assert sorted(guides) == sorted(named)


def test_the_readme_names_what_is_at_the_top() -> None:
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    top = {line.partition("/")[0] for line in listed.stdout.splitlines()}
    named = {name.partition("/")[0] for name in re.findall(r"^\| `([\w./]+)` \|", README, re.MULTILINE)}
    assert top - {".gitignore", "README.md"} <= named
    assert named <= top | {"Makefile"}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def anchors(text: str) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE)}


def test_each_section_of_the_report_is_explained() -> None:
    text = (ROOT / "docs" / "report.md").read_text().partition("## Section by section\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", text, re.MULTILINE) == ["The head", *page._SECTIONS.values()]


def test_pages_that_the_code_names_are_there() -> None:
    files = [*ROOT.glob("hpsearch/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*")]
    named = {name for file in files if file.is_file() for name in re.findall(r"docs/[\w/-]+\.md", file.read_text())}
    assert {name for name in named if not (ROOT / name).exists()} == set()


@pytest.mark.parametrize("file", sorted([*ROOT.glob("search_spaces/*.yaml"), *ROOT.glob("benchmarks/*.yaml")]), ids=lambda file: file.name)
def test_sweep_files_that_ship_can_be_run(file: Path) -> None:
    make_plan(load(file))


@pytest.mark.slow
def test_the_readmes_example_runs(tmp_path: Path) -> None:
    """Its file, its commands and its Python, in their order, on data of that form."""
    sweep = blocks(README, "yaml")[0]
    (tmp_path / "churn.yaml").write_text(sweep)
    write_churn(tmp_path / "churn.csv")
    steps = [words for words in commands(README.partition("## Your own data")[2].partition("(The command is")[0]) if words[0] == "hpsearch"]
    assert [words[1] for words in steps] == ["validate", "run", "best", "extend", "resume", "show"]
    for words in steps:
        run([sys.executable, "-m", *words], tmp_path)
    (script,) = blocks(README, "python")
    (tmp_path / "script.py").write_text(script)
    assert "hidden_units" in run([sys.executable, "script.py"], tmp_path)


OWN_CODE = {"function": "my_training.py", "command": "my_script.py"}


@pytest.mark.slow
@pytest.mark.parametrize(("index", "script"), list(enumerate(OWN_CODE.values())), ids=list(OWN_CODE))
def test_the_examples_of_code_of_ones_own_run(index: int, script: str, tmp_path: Path) -> None:
    text = (ROOT / "docs" / "own-code.md").read_text()
    check_example(tmp_path, blocks(text, "yaml")[index], script, blocks(text, "python")[index])


@pytest.mark.slow
def test_the_example_with_lightning_runs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "lightning.md").read_text()
    (sweep,), (script,) = blocks(text, "yaml"), blocks(text, "python")
    check_example(tmp_path, sweep, "lightning_training.py", script)


def check_example(folder: Path, sweep: str, script: str, code: str) -> None:
    """It trains to its last epoch."""
    (folder / "example.yaml").write_text(sweep)
    (folder / script).write_text(code)
    few = ["budget.trials=2", "search.scheduler=none", "resources.retries=0", "--json"]
    result = json.loads(run([sys.executable, "-m", "hpsearch", "run", "example.yaml", *few], folder).splitlines()[-1])
    assert result["trials"] == {"completed": 2}
    epochs = load(folder / "example.yaml").training.epochs
    shown = json.loads(run([sys.executable, "-m", "hpsearch", "show", "example", "--json"], folder).splitlines()[-1])
    assert [trial["steps"] for trial in shown["trials"]] == [epochs, epochs]


def write_churn(file: Path) -> None:
    inputs, churned = make_classification(n_samples=300, n_features=6, random_state=0)
    rows = [",".join([*(f"{value:.4f}" for value in row), str(label)]) for row, label in zip(inputs, churned, strict=True)]
    file.write_text("\n".join(["a,b,c,d,e,f,churned", *rows]) + "\n")


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_reference_is_what_the_tables_say() -> None:
    said = runpy.run_path(str(ROOT / "docs" / "reference.py"))
    assert said["PAGE"].read_text("utf-8") == said["page"](), "run: python docs/reference.py"
