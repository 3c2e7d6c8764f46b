"""The best of a sweep as a sweep file of its own, in which nothing varies; its trials as a table, or as a study of Optuna's own."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Literal

from hpsearch.config.home import Home, mask
from hpsearch.config.sections import OWN_CODE, DataConfig
from hpsearch.config.writing import write_document
from hpsearch.errors import InputError
from hpsearch.ledger.face import Ledger
from hpsearch.overview import Overview, overview
from hpsearch.result import table
from hpsearch.search.history import TrialRecord
from hpsearch.search.study import write_study
from hpsearch.tracking.keys import EXPORT_FILE
from hpsearch.training.s3 import is_url
from hpsearch.trial import Json
from hpsearch.winner import contenders

_LONGEST = 190
"""Of a sweep's name, with room for what is added to it."""


_PLAIN: tuple[set[type], ...] = ({int}, {float}, {int, float}, {str}, {bool}, set())
"""Kinds of values that a column may have as they are."""


def chosen(seen: Overview) -> TrialRecord:
    """The winner, else the best by the first objective. Raises `InputError` where no trial has completed."""
    if (winner := seen.winner) is not None:
        return winner.trial
    for best in contenders(seen.history, 1):
        return best
    raise InputError(f"no trial of sweep {seen.sweep.name!r} has completed, so there is nothing to export; run it first")


def export(seen: Overview, file: Path | None = None) -> Path:
    """Write the file, and give back where it is.

    Args:
        file: by default `NAME-winner.yaml` (`NAME-best.yaml` without re-tests) in the present folder.

    Raises:
        InputError: no trial has completed, or the file is there already or cannot be written.
    """
    file = Path(f"{_name(seen)}.yaml") if file is None else file
    _refuse_another_folder(seen, file)
    text = _text(seen, file)
    try:
        with file.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise InputError(f"{file} exists already and is not overwritten; name another file with --output") from None
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; name a file in a folder that exists and is yours") from None
    return file.absolute()


def keep_export(ledger: Ledger, home: Home, name: str) -> Path | None:
    """Write the file into the home, in place of an earlier one; None where no trial has completed. It belongs beside the sweep's own file,
    from where its paths begin.

    Raises:
        InputError: there is no such sweep.
        OSError: it cannot be written.
    """
    seen = overview(ledger, ledger.find(name))
    if not contenders(seen.history, 1):
        return None
    path = home.export_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(seen, seen.config.directory / EXPORT_FILE), "utf-8")
    return path


def export_table(seen: Overview, file: Path, kind: Literal["csv", "parquet"]) -> Path:
    """Write a row for each trial; give back where it is.

    The columns are those of `SweepResult.to_pandas`. What is neither number nor text, and columns of both, are JSON.

    Raises:
        InputError: there is no trial yet, or the file is there already or cannot be written.
    """
    rows = table(seen.history)
    if rows.empty:
        raise InputError(f"sweep {seen.sweep.name!r} has no trial yet, so there is nothing to export; run it first")
    for name in rows.columns:
        if {type(value) for value in rows[name].dropna()} not in _PLAIN:
            rows[name] = rows[name].map(json.dumps, na_action="ignore")
    try:
        with file.open("xb") as stream:
            if kind == "parquet":
                rows.to_parquet(stream, index=False)
            else:
                rows.to_csv(stream, index=False)
    except FileExistsError:
        raise InputError(f"{file} exists already and is not overwritten; name another file") from None
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}; name a file in a folder that exists and is yours") from None
    return file.absolute()


def export_study(seen: Overview, home: Home, url: str) -> int:
    """Make a study of the sweep's name in Optuna's store at `url`; how many trials it has.

    Raises:
        InputError: it is the ledger's or MLflow's store, or cannot be used, or has a study of this name.
    """
    if "://" not in url:
        raise InputError(f"--optuna {url}: must be a SQLAlchemy URL, such as sqlite:///study.db")
    if url in (home.ledger_url, home.tracking_uri):
        raise InputError(
            f"--optuna {mask(url)}: is the store of hpsearch or MLflow; Optuna needs one of its own, such as sqlite:///study.db"
        )
    return write_study(url, seen.sweep.name, seen.config.space, seen.history)


def _refuse_another_folder(seen: Overview, file: Path) -> None:
    """Code of the user's own is looked for beside the sweep file."""
    folder = seen.config.directory
    if seen.config.task.kind in OWN_CODE and file.absolute().parent.resolve() != folder.resolve():
        raise InputError(
            f"the code of this sweep is looked for beside its file; write the new one there too: --output {folder / file.name}"
        )


def _name(seen: Overview) -> str:
    return f"{seen.sweep.name[:_LONGEST].rstrip()}-{'winner' if seen.winner else 'best'}"


def _text(seen: Overview, file: Path) -> str:
    """Raises `InputError` where no trial has completed."""
    trial = chosen(seen)
    return write_document(_contents(seen, trial, _name(seen), file), _comments(seen, trial, file))


def _contents(seen: Overview, trial: TrialRecord, name: str, file: Path) -> dict[str, Json]:
    """What differs from the defaults. Constraints and conditions are met, and there is nothing left to compare with, or to register."""
    config = seen.config
    said = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    resources = {key: value for key, value in said.get("resources", {}).items() if key != "workers"}
    contents = {
        "name": name,
        "task": _task(seen, said["task"], file),
        "objective": said["objective"][0] if len(said["objective"]) == 1 else said["objective"],
        "space": dict(trial.parameters),
        "training": said.get("training"),
        "search": {"scheduler": "none", "seed": config.search.seed},
        "budget": {"trials": 1},
        "resources": resources,
        "tracking": {key: value for key, value in said.get("tracking", {}).items() if key != "register"},
        "storage": config.storage and _seen_from(seen, config.storage, file),
    }
    return {key: value for key, value in contents.items() if value}


def _task(seen: Overview, task: dict[str, Json], file: Path) -> dict[str, Json]:
    """With the path of its data from where the new file lies."""
    data = seen.config.task.data
    if not isinstance(data, DataConfig):
        return task
    return {**task, "data": {**task["data"], data.format: _seen_from(seen, data.path, file)}}


def _seen_from(seen: Overview, path: str, file: Path) -> str:
    """A path of the sweep file, from where the new one lies."""
    if is_url(path) or Path(path).expanduser().is_absolute():
        return path
    return os.path.relpath(seen.config.directory / path, file.absolute().parent)


def _comments(seen: Overview, trial: TrialRecord, file: Path) -> list[str]:
    winner, values = seen.winner, seen.values(trial) or {}
    reached = ", ".join(f"{metric} {value:.6g}" for metric, value in values.items())
    found = [f"Fixed values: trial {trial.number} of the sweep {seen.sweep.name}, which reached {reached}."]
    if winner is not None:
        found = [f"Fixed values: the winner of the sweep {seen.sweep.name}.", *winner.in_words()]
    return [*found, "Train it with:", "", f"    hpsearch run {shlex.quote(file.name)}"]
