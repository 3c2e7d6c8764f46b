"""The one place where errors become messages and exit codes."""

from __future__ import annotations

import errno
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from hpsearch.cli.session import Session, Settings, print_json, silence, unread
from hpsearch.cli.words import clean
from hpsearch.errors import HpsearchError

INTERRUPTED = 130
LONGEST_LINE = 2000
DEFECT = 70
"""EX_SOFTWARE of sysexits.h: none of the codes that mean something to scripts."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def guard(session: Session, command: Callable[[], int | None]) -> int:
    """Run a command to its exit code; every way that it can end is said in words."""
    _hear_the_library(session)
    try:
        code = command() or 0
        with unread(sys.stdout):
            sys.stdout.flush()
        return code
    except HpsearchError as error:
        return fail(session.settings, str(error), error.exit_code)
    except KeyboardInterrupt:
        return fail(session.settings, session.if_interrupted, INTERRUPTED)
    except BrokenPipeError:
        silence(sys.stdout)
        return 0
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            return fail(session.settings, f"{error.strerror}; free some space and try again: what was committed is safe", 1)
        return _defect(session, error)
    finally:
        session.settle()


def fail(settings: Settings, message: str, code: int) -> int:
    """Say what is wrong on standard error; with --json also as the last line of standard output."""
    text = "\n".join(_clipped(line) for line in _masked(clean(message)).splitlines())
    _complain(f"error: {text}" if code != INTERRUPTED else text)
    if settings.json:
        print_json({"error": text, "exit_code": code})
    return code


def _clipped(line: str) -> str:
    """A message is to be read, however long a name it quotes."""
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE // 2]} [...] {line[-LONGEST_LINE // 2 :]}"


def _masked(text: str) -> str:
    from hpsearch.config.home import mask

    return mask(text)


def _complain(text: str) -> None:
    with unread(sys.stderr):
        print(text, file=sys.stderr, flush=True)


def _defect(session: Session, error: Exception) -> int:
    """What should not happen has happened: the traceback is for whoever mends it."""
    told = _masked("".join(traceback.format_exception(error)))
    if session.settings.verbose:
        _complain(told)
        return fail(session.settings, f"a defect of hpsearch: {_one_line(error)}", DEFECT)
    file = _write_traceback(session, told)
    where = f"its traceback is in {file}" if file else "run it again with --verbose to see the traceback"
    return fail(session.settings, f"a defect of hpsearch: {_one_line(error)}; {where}", DEFECT)


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _write_traceback(session: Session, told: str) -> Path | None:
    try:
        folder = session.home.logs
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"defect-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        file.write_text(f"{' '.join(sys.argv[1:2])}\n{told}")
    except Exception:
        return None
    return file


class _ToStandardError(logging.Handler):
    def __init__(self, session: Session) -> None:
        super().__init__(logging.DEBUG if session.settings.verbose else logging.WARNING)
        self._session = session

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._session.err.print(f"{record.levelname.lower()}: {_masked(clean(record.getMessage()))}", style="dim")
        except Exception:
            self.handleError(record)


def _hear_the_library(session: Session) -> None:
    """What the rooms log is shown as lines; the last session's handler goes."""
    log = logging.getLogger("hpsearch")
    for handler in [h for h in log.handlers if isinstance(h, _ToStandardError)]:
        log.removeHandler(handler)
    log.addHandler(_ToStandardError(session))
    log.setLevel(logging.DEBUG if session.settings.verbose else logging.WARNING)
    log.propagate = False
