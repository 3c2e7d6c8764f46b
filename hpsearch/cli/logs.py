"""What `logs` shows: the files that workers write, as they are, but for what would steer the terminal."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from hpsearch.cli.session import Session
from hpsearch.cli.words import clean
from hpsearch.errors import InputError
from hpsearch.overview import Overview

_POLL_S = 0.3
_CHUNK = 1 << 16


def show_logs(session: Session, seen: Overview, trial: int | None, follow: bool) -> int:
    """Print the logs of a sweep, or of one trial; with `follow` go on until Ctrl-C, which is how it ends."""
    folder = session.home.logs / seen.sweep.name
    pattern = "*.log" if trial is None else f"trial-{trial:05d}.log"
    files = sorted(folder.glob(pattern))
    if session.settings.json:
        session.result({"sweep": seen.sweep.name, "logs": [{"file": str(file), "text": _text(file)} for file in files]})
        return 0
    if not files and not follow:
        raise InputError(f"no log in {folder} yet: nothing was printed")
    printer = _Printer(folder, pattern, with_names=trial is None)
    try:
        printer.print_new()
        while follow:
            time.sleep(_POLL_S)
            printer.print_new()
    except KeyboardInterrupt:
        return 0
    return 0


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


class _Printer:
    """Remembers how far each file was printed."""

    def __init__(self, folder: Path, pattern: str, with_names: bool) -> None:
        self._folder = folder
        self._pattern = pattern
        self._with_names = with_names
        self._offsets: dict[Path, int] = {}
        self._last: Path | None = None

    def print_new(self) -> None:
        for file in sorted(self._folder.glob(self._pattern)):
            self._print_rest(file)
        sys.stdout.flush()

    def _print_rest(self, file: Path) -> None:
        with file.open("rb") as stream:
            stream.seek(self._offsets.get(file, 0))
            while chunk := stream.read(_CHUNK):
                if self._with_names and self._last != file:
                    print(f"==> {clean(file.name)} <==")
                    self._last = file
                sys.stdout.write(clean(chunk.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")))
            self._offsets[file] = stream.tell()
