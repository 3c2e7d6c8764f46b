"""Guides as the reader goes through them: the files that they say to write, the commands that they say to run, and what these print."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hpsearch.cli import main

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

SUFFIXES = {"python": ".py", "yaml": ".yaml", "csv": ".csv"}
"""By language, of the files that a reader writes."""

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w-]+\.\w+)`")
_NUMBER = re.compile(r"(?:\d+[hm])*\d[\d,]*(?:\.\d+)?(?:e[+-]\d+)?")
_FIRST_NUMBER = re.compile(r"\d|…")

APART = ("python", "hpsearch run", "hpsearch resume", "hpsearch ui")
"""Commands that get a process of their own; the others are called in this one, which has imported all of it already."""


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `file`: the name that the sentence before it gives it, as in "Write `churn.yaml`:"; None where it gives none."""

    language: str
    text: str
    file: str | None = None


def walk(text: str) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    end = 0
    for match in _BLOCK.finditer(text):
        before = text[end : match.start()].rstrip().rpartition("\n\n")[2]
        named = [name for name in _FILE.findall(before) if name.endswith(SUFFIXES.get(match[1], "\n"))]
        yield Block(match[1], match[2], named[0] if named and before.endswith(":") else None)
        end = match.end()


def blocks(text: str, language: str) -> list[str]:
    return [block.text for block in walk(text) if block.language == language]


def commands(text: str) -> list[list[str]]:
    """The lines after a `$` in blocks of console, and commands in backticks in the running text, as words."""
    lines = [line[2:] for block in blocks(text, "console") for line in block.splitlines() if line.startswith("$ ")]
    lines += re.findall(r"`((?:hpsearch|make|python -m) [^`]+)`", _BLOCK.sub("", text))
    return [shlex.split(line.split(" > ")[0]) for line in lines]


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and the lines that the page shows of what it prints."""

    command: str
    shown: tuple[str, ...]

    @property
    def fails(self) -> bool:
        """A page shows an error only where there is one."""
        return bool(self.shown) and self.shown[0].startswith("error: ")


def steps(console: str) -> Iterator[Step]:
    """The commands of a block of console."""
    for part in re.split(r"^\$ ", console, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        yield Step(command, tuple(line for line in shown if line.strip()))


@dataclass
class Reader:
    """Does in a folder what a page says, in its order.

    Args:
        skipped: first words of commands that are not run here, such as those that install.
        more: by a command's beginning, words that are added to it, so that it is sooner done.
        variables: of the environment, besides what is there.
        apart: beginnings of commands that get a process of their own.
    """

    folder: Path
    skipped: tuple[str, ...] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    apart: tuple[str, ...] = APART
    printed: list[str] = field(default_factory=list)

    def follow(self, page: str) -> None:
        for block in walk(page):
            if block.file is not None:
                (self.folder / block.file).write_text(block.text)
            elif block.language == "console":
                for step in steps(block.text):
                    self.take(step)

    def take(self, step: Step) -> None:
        """Runs it, and holds what it prints, and how it ends, against the page.

        Of a search only how lines begin counts, up to the first number: each comes out otherwise.
        """
        words = shlex.split(step.command)
        if words[0] in self.skipped:
            return
        added = [word for start, more in self.more.items() if step.command.startswith(start) for word in more.split()]
        is_search = words[:2] in (["hpsearch", "run"], ["hpsearch", "resume"])
        code, printed = self._run([*words, *added])
        self.printed.append(printed)
        assert (code == 0) is not step.fails, f"$ {step.command}\nexit code {code}\n{printed}"
        assert "Traceback" not in printed
        place = 0
        for line in step.shown:
            match = pattern(_FIRST_NUMBER.split(line)[0] if is_search else line).search(printed, place)
            assert match, f"$ {step.command}\nshows no\n{line}\nbut\n{printed}"
            place = match.end()

    def _run(self, words: list[str]) -> tuple[int, str]:
        if not " ".join(words).startswith(self.apart):
            return self._call(words)
        program = {"hpsearch": [sys.executable, "-m", "hpsearch"], "python": [sys.executable]}[words[0]]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        with subprocess.Popen([*program, *words[1:]], cwd=self.folder, env=self._environment(), **pipes) as process:
            try:
                printed = _until_link(process) if words[1] == "ui" else process.communicate()[0]
            except BaseException:  # the test's time is over
                process.kill()
                raise
            process.wait()
        return process.returncode, printed

    def _call(self, words: list[str]) -> tuple[int, str]:
        printed = io.StringIO()
        with (
            patch.dict(os.environ, self._environment(), clear=True),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            if words[0] == "hpsearch":
                return main(words[1:]), printed.getvalue()
            runpy.run_path(words[1], run_name="__main__")
            return 0, printed.getvalue()

    def _environment(self) -> dict[str, str]:
        """Without what would lead elsewhere than to the folder."""
        own = ("HPSEARCH_", "MLFLOW_", "RAY_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "1000", **self.variables}


def _until_link(process: subprocess.Popen[str]) -> str:
    """What a server prints until it answers; the reader has seen enough then, and presses Ctrl-C."""
    assert process.stdout is not None
    printed = ""
    for line in process.stdout:
        printed += line
        if line.startswith("http"):
            break
    process.send_signal(signal.SIGINT)
    return printed


def pattern(line: str) -> re.Pattern[str]:
    """What a shown line stands for: `…` is any text, a number any number, a space any space."""
    parts = (re.escape(_NUMBER.sub("\0", re.sub(r"\s+", " ", part))) for part in line.strip().split("…"))
    return re.compile(".*".join(parts).replace(re.escape("\0"), _NUMBER.pattern).replace(r"\ ", r"\s+"))
