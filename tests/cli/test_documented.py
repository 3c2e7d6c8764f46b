"""Every command, and every option of it, is in docs/commands.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from hpsearch.cli.app import app

PAGE = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
GROUPS = {"cluster"}
COMMANDS = {
    f"{name} {below}".strip(): command
    for name, one in get_command(app).commands.items()  # type: ignore[attr-defined]
    for below, command in (one.commands.items() if name in GROUPS else [("", one)])
}
ROWS = {match[1]: match[0] for match in re.finditer(r"^\| `hpsearch ((?:cluster )?\w+).*$", PAGE, re.MULTILINE)}
SHARED = {"--json", "--home", "--store", "--quiet", "--verbose", "--help"}


def test_the_page_has_these_commands_and_no_others():
    assert list(ROWS) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_options_and_help(name: str):
    command = COMMANDS[name]
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts) if option.startswith("--")}
    assert options >= SHARED - {"--help"}
    assert command.help
    for option in options - SHARED - {"--wait"}:  # the default; --no-wait is told
        assert option in ROWS[name], option


def test_shared_options_are_explained():
    for option in SHARED:
        assert f"`{option}" in PAGE or f" {option}`" in PAGE
