"""Everything that hpsearch raises on purpose.

    HpsearchError                 exit code
    ├── InputError                    2      a file, option, name or data set is wrong; the message says what and how to mend it
    │   ├── ConfigError               2      the sweep file: file, line, key, value, cure
    │   ├── DataError                 2      the data that the sweep file names
    │   └── NameTaken                 2      the ledger holds a sweep of this name already
    ├── StoreError                    3      the ledger cannot be opened or reached
    │   └── TrackerError              3      MLflow cannot be reached, where a command is about MLflow (`sync`, `ui`)
    ├── ClusterError                  3      the Ray cluster cannot be reached, or cannot run the sweep's trials
    ├── StorageError                  3      the folder or the bucket where checkpoints go cannot be reached, or not be written
    ├── LeaseHeld                     4      another controller holds the sweep
    │   └── LeaseLost                 4      it took the sweep over while we ran
    ├── StaleAttempt                  1      a worker that was given up for dead speaks; nothing is changed
    └── CheckpointError               1      a checkpoint is missing, damaged or of another trial

The command line prints the message alone and leaves with `exit_code`; a traceback shown to a user is a defect.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class HpsearchError(Exception):
    """The root of the tree."""

    exit_code: ClassVar[int] = 1


class InputError(HpsearchError):
    """What the user gave cannot be used."""

    exit_code = 2


class ConfigError(InputError):
    """The sweep file is wrong."""


class DataError(InputError):
    """The data that a sweep file names cannot be used."""


class NameTaken(InputError):
    """The ledger holds a sweep of this name already."""


class StoreError(HpsearchError):
    """The ledger cannot be opened or reached."""

    exit_code = 3


class TrackerError(StoreError):
    """MLflow cannot be reached, or refused. What was to be written may have been written all the same."""


class ClusterError(HpsearchError):
    """The Ray cluster cannot be reached, or has not what the trials need."""

    exit_code = 3


class StorageError(HpsearchError):
    """Where checkpoints go cannot be reached, or not be written."""

    exit_code = 3


class LeaseHeld(HpsearchError):
    """Another process holds the sweep."""

    exit_code = 4


class LeaseLost(LeaseHeld):
    """Another process took the sweep over; what we tried to commit was refused."""


class StaleAttempt(HpsearchError):
    """A report or an end of an attempt that is no longer the trial's current one."""


class CheckpointError(HpsearchError):
    """A checkpoint cannot be loaded."""


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """`unknown sampler 'tpee'; did you mean 'tpe'? Known: grid, random, tpe`."""
    names = sorted(known)
    alike = {known.casefold(): known for known in names}
    given = str(name).casefold()
    near = [alike[k] for k in alike if given and k.startswith(given)] or [alike[k] for k in difflib.get_close_matches(given, alike, n=1)]
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {kind} {name!r}{hint} Known: {', '.join(names) or 'none at all'}"
