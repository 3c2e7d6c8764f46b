"""What one command is given: where the stores are, and how it may speak."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shlex
import shutil
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TextIO

from hpsearch.cli.words import clean
from hpsearch.trial import Json

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from hpsearch.config.home import Home

_UNBOUNDED_COLUMNS = 10_000
"""Lines that no terminal shows are for `grep`: they are not wrapped."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that all commands share."""

    json: bool = False
    home: Path | None = None
    store: str | None = None
    quiet: bool = False
    verbose: bool = False

    def merged(self, later: Settings) -> Settings:
        """What was given before the command's name, and what after it, which wins."""
        return Settings(
            self.json or later.json,
            later.home or self.home,
            later.store or self.store,
            self.quiet or later.quiet,
            self.verbose or later.verbose,
        )


class Session:
    """One command's settings and its two streams: results to standard output, all else to standard error where that must be kept clean."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.if_interrupted = "interrupted"
        """What to say when Ctrl-C ends the command."""
        self._announced: threading.Timer | None = None

    @cached_property
    def out(self) -> Console:
        """Where people read results."""
        return make_console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        """Where messages go."""
        return make_console(sys.stderr)

    @property
    def stage(self) -> Console:
        """Where a command shows its progress."""
        return self.err if self.settings.json else self.out

    @cached_property
    def home(self) -> Home:
        """The home that was named, by option or environment."""
        from hpsearch.config.home import Home

        return Home.find(self.settings.home, self.settings.store)

    def show(self, *things: RenderableType) -> None:
        """Print a result for people; with --json there is only the JSON."""
        if not self.settings.json:
            for thing in things:
                self.out.print(thing)

    def show_line(self, line: str) -> None:
        """Print a line for copying: no width breaks it."""
        if not self.settings.json:
            self.out.print(line, soft_wrap=True)

    def note(self, *things: RenderableType) -> None:
        """Print what happens, unless it is to be quiet."""
        if not self.settings.quiet:
            for thing in things:
                self.stage.print(thing)

    def announce(self, text: str, after_s: float = 1.0) -> None:
        """Print a note if what follows takes longer than that; until `settle`."""
        self._announced = threading.Timer(after_s, self.note, [text])
        self._announced.daemon = True
        self._announced.start()

    def settle(self) -> None:
        """What was announced has happened."""
        if self._announced is not None:
            self._announced.cancel()
            self._announced.join()

    def warn(self, text: str) -> None:
        """Print a line to standard error."""
        self.err.print(f"warning: {clean(text)}", style="yellow")

    def caution(self, text: str) -> None:
        """Print such a line, unless it is to be quiet."""
        if not self.settings.quiet:
            self.warn(text)

    def result(self, value: Json) -> None:
        """With --json: the one object on the last line of standard output."""
        if self.settings.json:
            print_json(value)

    def command(self, *words: str) -> str:
        """A command to type next, with this session's home; a store is left out, since it may hold a password."""
        home = ["--home", str(self.settings.home)] if self.settings.home else []
        return clean(shlex.join([_program(), *words, *home]))


def _program() -> str:
    """What a shell finds: `hpsearch`, or the path that was typed, such as `.venv/bin/hpsearch`, where that would be nothing or another."""
    typed, found = Path(sys.argv[0]), shutil.which("hpsearch")
    if typed.name != "hpsearch" or not typed.is_file() or (found and typed.samefile(found)):
        return "hpsearch"
    return str(typed)


def print_json(value: Json) -> None:
    """One line, at once; NaN and infinities, which JSON has not, as null."""
    is_ascii = not (sys.stdout.encoding or "").lower().startswith("utf")
    with unread(sys.stdout):
        print(json.dumps(_finite(value), ensure_ascii=is_ascii, allow_nan=False, default=str), flush=True)


def tolerate_any_text(*streams: TextIO) -> None:
    """What a stream's encoding has no letter for is shown as `?`."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    return [_finite(v) for v in value] if isinstance(value, list | tuple) else value


def make_console(stream: IO[str]) -> Console:
    """A console that takes text as it is: no markup, no emoji, no highlighting of what users chose."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """Nobody reads any more: go on in silence."""
            self.quiet = True
            silence(stream)

        def _check_buffer(self) -> None:
            with unread(stream):
                super()._check_buffer()

    width = None if stream.isatty() or "COLUMNS" in os.environ else _UNBOUNDED_COLUMNS
    return Plain(file=stream, markup=False, emoji=False, highlight=False, width=width, soft_wrap=False)


@contextlib.contextmanager
def unread(stream: IO[str]) -> Iterator[None]:
    """Around writing to a stream whose reader may have gone: a pipe's, or a terminal that was closed. What they miss vanishes."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EIO):
            raise
        silence(stream)


def silence(stream: IO[str]) -> None:
    """Let what is still to be written to a stream whose reader has gone vanish."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
