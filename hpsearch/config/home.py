"""Where a sweep's files and stores are: from the command line, else from the environment, else `./.hpsearch`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from hpsearch.config.environment import secret
from hpsearch.errors import InputError

_CREDENTIALS = re.compile(r"(\w[\w+.-]{0,60}://[^:/@\s]{0,200}):\S{0,4000}@")  # bounded: a text of 100,000 letters must not take a minute
_SECRET_OPTIONS = re.compile(r"([?&][^=&\s]{0,60}(?:password|passwd|pwd|secret|token)[^=&\s]{0,60}=)[^&\s]*", re.IGNORECASE)


def mask(text: str) -> str:
    """`text` with the passwords of all URLs in it hidden: `postgresql://ada:***@host/db`."""
    return _SECRET_OPTIONS.sub(r"\1***", _CREDENTIALS.sub(r"\1:***@", text))


def names_store() -> bool:
    """Whether the environment says where the ledger is."""
    return bool(os.environ.get("HPSEARCH_STORE") or os.environ.get("HPSEARCH_STORE_FILE"))


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of all that hpsearch writes, and the URLs of its two stores, which may lie elsewhere.

    Nothing is made before `create`.
    """

    root: Path
    ledger_url: str
    tracking_uri: str

    @classmethod
    def find(cls, home: str | Path | None = None, store: str | None = None) -> Home:
        """The home that the arguments and the environment name.

        Args:
            home: in place of `$HPSEARCH_HOME`.
            store: the ledger's SQLAlchemy URL, in place of `$HPSEARCH_STORE` and of what `$HPSEARCH_STORE_FILE` holds.

        Raises:
            InputError: one of them cannot be used.
        """
        root = _absolute(_folder(str(home or os.environ.get("HPSEARCH_HOME") or ".hpsearch")))
        if "?" in str(root):
            raise InputError(f"the home {root} has a '?' in its path, which SQLite URLs cannot hold; choose another with --home")
        ledger_url = _checked(store, "--store") if store is not None else _store_from_environment()
        tracking_uri = os.environ.get("MLFLOW_TRACKING_URI")
        return cls(root, ledger_url or f"sqlite:///{root / 'ledger.db'}", tracking_uri or f"sqlite:///{root / 'mlflow.db'}")

    @property
    def artifacts(self) -> Path:
        """Of MLflow, where its own store is the home's."""
        return self.root / "artifacts"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def outputs(self) -> Path:
        """Artifacts of trials, by sweep and trial, whatever store MLflow has."""
        return self.root / "outputs"

    @property
    def reports(self) -> Path:
        """Pages about sweeps, and their winners as sweep files; the folder is made with the first."""
        return self.root / "reports"

    def report_of(self, sweep: str) -> Path:
        """The page of the sweep of that name."""
        return self.reports / f"{sweep}.html"

    def export_of(self, sweep: str) -> Path:
        """The winner of the sweep of that name as a sweep file; it is copied to MLflow from there."""
        return self.reports / f"{sweep}.yaml"

    @property
    def data(self) -> Path:
        """Data sets as they were prepared for training."""
        return self.root / "data"

    def create(self) -> None:
        """Make the folders. Raises `InputError` where that is not allowed."""
        for folder in (self.root, self.artifacts, self.checkpoints, self.logs, self.outputs, self.data):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(f"cannot make the folder {folder}: {error.strerror}; choose another home with --home DIR") from error


def _folder(path: str) -> Path:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", path):
        raise InputError(f"the home {path} is a URL; name a folder on a local disk with --home, and a ledger elsewhere with --store")
    if not path.isprintable():
        raise InputError(f"the home {path!a} has control characters or is no text in UTF-8; choose another with --home")
    return Path(path)


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError as error:
        raise InputError(f"cannot tell whose home {path} is: {error}; give the path in full") from error


def _store_from_environment() -> str | None:
    told = secret("HPSEARCH_STORE", "the ledger's URL")
    return None if told is None else _checked(told.value, told.origin, is_hidden=told.origin != "HPSEARCH_STORE")


def _checked(url: str, origin: str, *, is_hidden: bool = False) -> str:
    if "://" not in url:
        got = "something else" if is_hidden or "@" in url else repr(url)  # what precedes an @ may be a password
        example = "sqlite:////data/ledger.db or postgresql+psycopg://user:password@host/database"
        raise InputError(f"{origin}: must be a SQLAlchemy URL, got {got}; for example {example}")
    return url
