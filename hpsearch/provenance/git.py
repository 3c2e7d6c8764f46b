"""The commit of a folder, asked of git, quickly, and without running anything that the repository's own configuration names.

A folder may come from anywhere, its `.git` with it, and git would run what that says: a file monitor, hooks, filters, a way to fetch
what is missing. So those are switched off; where filters are in the way, nobody can tell whether files have changed without running them.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 3.0
"""For all that git is asked; a very large repository, or one on a slow disk, is left alone then."""

_MOST_BYTES = 1 << 20
_SAFE = ("--no-optional-locks", "-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
_CHANGED = ("diff", "--quiet", "--no-ext-diff", "--no-textconv", "--no-relative", "--ignore-submodules=dirty", "HEAD", "--")
_OWN_SCOPES = ("local", "worktree")


@dataclass(frozen=True, slots=True)
class Commit:
    """`sha` in hex. `dirty`: a file that git follows is not as it was committed; None: nobody can tell. Files that it does not follow,
    such as results, do not count.
    """

    sha: str
    dirty: bool | None


def commit_of(folder: Path, patience_s: float = PATIENCE_S) -> Commit | None:
    """The commit that is checked out where `folder` is; None where there is none, or no git, or it does not answer. Never raises."""
    deadline = time.monotonic() + patience_s
    status, sha = _git(folder, deadline, "rev-parse", "--verify", "--quiet", "HEAD")
    if status != 0 or not re.fullmatch(r"[0-9a-f]{40,64}", sha.strip()):
        return None
    return Commit(sha.strip(), _is_dirty(folder, deadline))


def _is_dirty(folder: Path, deadline: float) -> bool | None:
    status, settings = _git(folder, deadline, "config", "--list", "--show-scope", "--name-only", "-z")
    if status != 0 or _has_own_filters(settings):
        return None
    status, _ = _git(folder, deadline, *_CHANGED)
    return {0: False, 1: True}.get(status)


def _has_own_filters(settings: str) -> bool:
    """Whether the repository itself names programs that turn files into what is committed; those of the person's own are trusted."""
    parts = settings.split("\0")
    return any(scope in _OWN_SCOPES and name.lower().startswith("filter.") for scope, name in zip(parts[::2], parts[1::2], strict=False))


def _git(folder: Path, deadline: float, *arguments: str) -> tuple[int, str]:
    """Its exit status and what it printed; a negative one where it could not be started, said too much, or was not done in time."""
    try:
        process = subprocess.Popen(
            ["git", *_SAFE, *arguments], cwd=folder, env=_environment(), start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, ValueError):
        return -1, ""
    with process:
        assert process.stdout is not None
        late = threading.Timer(deadline - time.monotonic(), _end, [process])
        late.start()
        output = process.stdout.read(_MOST_BYTES)
        if len(output) == _MOST_BYTES:
            _end(process)
        status = process.wait()
        late.cancel()
    return status, output.decode("utf-8", "replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """With all that it has started."""
    if process.returncode is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


def _environment() -> dict[str, str]:
    """Ours without what points git elsewhere, as within a hook; it may ask nobody, and fetch nothing."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return ours | {"GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none"}
