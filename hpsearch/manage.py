"""Changes to a sweep from outside: by a request to the controller that runs it, or directly where none does."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hpsearch import ledger as ledgers
from hpsearch.config import SweepConfig
from hpsearch.config.home import Home
from hpsearch.errors import InputError, LeaseHeld, StorageError
from hpsearch.events import Body, Ended, SweepExtended
from hpsearch.executors.job import checkpoints_of, forget_checkpoints
from hpsearch.ledger.face import Lease, Ledger, RequestKind, Sweep
from hpsearch.overview import config_of
from hpsearch.search.history import History, TrialRecord
from hpsearch.training.storage import reason
from hpsearch.trial import Json, TrialState

LEASE_TTL_S = 15.0
_POLL_S = 0.1


def stop(ledger: Ledger, name: str) -> str | None:
    """Ask the sweep's controller to end in order; who that is, or None where nobody runs it."""
    return _ask(ledger, ledger.find(name), "stop", {})


def wait_until_let_go(ledger: Ledger, name: str, patience_s: float = float("inf")) -> bool:
    """Wait until no controller holds the sweep; False where one still does."""
    sweep, deadline = ledger.find(name), time.monotonic() + patience_s
    while ledger.holder(sweep.id, "controller") is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def extend(ledger: Ledger, name: str, trials: int) -> str | None:
    """Raise the sweep's total of trials; who was asked to, or None where it is done.

    Raises:
        InputError: the total would not rise, or the sweep has no such limit.
    """
    sweep = ledger.find(name)
    config, history = _read(ledger, sweep)
    if config.budget.trials is None:
        raise InputError(f"sweep {name!r} has no limit of trials to raise; its budget is in time or epochs")
    present = max(config.budget.trials, history.extended_to.trials or 0)
    if trials <= present:
        raise InputError(
            f"--trials {trials}: sweep {name!r} has a total of {present} trials already; give the new total, such as {present * 2}"
        )
    return _change(ledger, sweep, "extend", {"trials": trials}, lambda: SweepExtended(trials=trials))


def cancel(ledger: Ledger, name: str, trial: int) -> str | None:
    """End one trial; who was asked to, or None where it is done.

    Raises:
        InputError: there is no such trial, or it has ended.
    """
    sweep = ledger.find(name)

    def ended() -> Ended:
        record = _open(_read(ledger, sweep)[1], name, trial)
        return Ended(trial, record.attempt, TrialState.CANCELLED, "cancelled on request")

    ended()  # may be refused before anybody is asked
    return _change(ledger, sweep, "cancel", {"trial": trial}, ended)


def delete(ledger: Ledger, home: Home, name: str) -> None:
    """Forget a sweep: its rows, checkpoints, logs, artifacts, prepared data and report. What MLflow has of it stays.

    Raises:
        LeaseHeld: a controller runs it.
        StorageError: its checkpoints lie where they cannot be removed now; all else is gone.
    """
    sweep = ledger.find(name)
    elsewhere = checkpoints_of(config_of(sweep), home) if sweep.config.get("storage") else None
    ledger.delete(sweep.id)
    for folder in (home.checkpoints, home.logs, home.outputs, home.data):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in (home.report_of(name), home.export_of(name)):
        file.unlink(missing_ok=True)
    if elsewhere is not None:
        _forget_checkpoints(name, elsewhere)


def _forget_checkpoints(name: str, location: Path | str) -> None:
    try:
        forget_checkpoints(location)
    except OSError as error:
        raise StorageError(
            f"{name!r} is deleted, but for its checkpoints in {location}: they cannot be removed: {reason(error)}; remove them yourself"
        ) from None


def free_name(ledger: Ledger, name: str) -> str:
    """`name`, or the first of `name-2`, `name-3`, … that no sweep has."""
    taken = {sweep.name for sweep in ledger.sweeps()}
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _change(ledger: Ledger, sweep: Sweep, kind: RequestKind, payload: dict[str, Json], event: Callable[[], Body]) -> str | None:
    """Ask the sweep's controller, or commit `event()` where there is none; who was asked."""
    while (holder := _ask(ledger, sweep, kind, payload)) is None:
        with contextlib.suppress(LeaseHeld), _held(ledger, sweep) as lease:  # held since we looked: then they are asked
            ledger.commit(lease, [event()])
            return None
    return holder


def _ask(ledger: Ledger, sweep: Sweep, kind: RequestKind, payload: dict[str, Json]) -> str | None:
    holder = ledger.holder(sweep.id, "controller")
    if holder is not None:
        ledger.request(sweep.id, kind, payload)
    return holder


def _read(ledger: Ledger, sweep: Sweep) -> tuple[SweepConfig, History]:
    config = config_of(sweep)
    return config, ledgers.fold(ledger, sweep.id, config.objectives)


def _open(history: History, name: str, trial: int) -> TrialRecord:
    record = history.trials.get(trial)
    if record is None:
        known = f"it has trials 0 to {len(history) - 1}" if len(history) else "it has no trial yet"
        raise InputError(f"sweep {name!r} has no trial {trial}; {known}")
    if record.state.is_terminal:
        raise InputError(f"trial {trial} of sweep {name!r} has ended already ({record.state}); only an open one can be cancelled")
    return record


@contextlib.contextmanager
def _held(ledger: Ledger, sweep: Sweep) -> Iterator[Lease]:
    lease = ledger.acquire(sweep.id, "controller", ledgers.holder(), LEASE_TTL_S)
    try:
        yield lease
    finally:
        ledger.release(lease)
