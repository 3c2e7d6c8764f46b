"""What the ledger knows of sweeps, put together for reading: nothing here changes or makes anything."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from hpsearch import ledger as ledgers
from hpsearch.config import SweepConfig
from hpsearch.config.home import Home, mask
from hpsearch.errors import InputError
from hpsearch.events import Assigned, Begun, Ended, Event
from hpsearch.ledger.face import Ledger, Projection, Sweep
from hpsearch.result import values_by_metric
from hpsearch.search.history import History, TrialRecord
from hpsearch.tracking.model import Registered
from hpsearch.trial import Json, TrialKind, TrialState
from hpsearch.winner import Winner, choose


@dataclass(frozen=True, slots=True)
class Overview:
    """One sweep. `holder` is the live controller, if there is one; `projection` says where it is in MLflow."""

    sweep: Sweep
    holder: str | None
    config: SweepConfig
    history: History
    projection: Projection

    @property
    def model(self) -> Registered | None:
        """Where the winner's network is in MLflow's model registry, as far as the ledger has heard."""
        return Registered(**self.projection.model) if self.projection.model else None

    @property
    def state(self) -> str:
        """As the ledger has it, but `running` only while somebody runs it; else `interrupted`: its controller was killed."""
        if self.holder is not None:
            return "running"
        return "interrupted" if self.sweep.state in ("running", "created") else self.sweep.state

    @property
    def age_s(self) -> float:
        """How long ago the sweep was begun, in seconds."""
        return max(0.0, time.time() - self.sweep.created_ms / 1000)

    @property
    def trials_wanted(self) -> int | None:
        """The budget's trials, as extended."""
        return _larger(self.config.budget.trials, self.history.extended_to.trials)

    @property
    def epochs_wanted(self) -> int | None:
        """The budget's epochs, as extended."""
        return _larger(self.config.budget.total_epochs, self.history.extended_to.total_epochs)

    @property
    def seconds_wanted(self) -> float | None:
        """The budget's time, as extended, in seconds."""
        longer = self.history.extended_to.time_s
        return None if self.config.budget.time is None else max(self.config.budget.time, longer or 0.0)

    def trial(self, number: int) -> TrialRecord:
        """Raises `InputError` where there is no such trial."""
        if number not in self.history.trials:
            known = f"it has trials 0 to {len(self.history) - 1}" if len(self.history) else "it has no trial yet"
            raise InputError(f"sweep {self.sweep.name!r} has no trial {number}; {known}")
        return self.history.trials[number]

    @property
    def winner(self) -> Winner | None:
        """What the re-tests on fresh seeds say is best; None where there were none, or they have not all ended."""
        return choose(self.history)

    def counts(self) -> dict[str, int]:
        """Trials by state, those that are."""
        return {str(state): self.sweep.trials[state] for state in TrialState if self.sweep.trials.get(state)}

    def ended(self) -> list[TrialRecord]:
        """The trials that have ended, in that order; without re-tests, and those that were never begun, as a constraint forbade them."""
        tried = (t for t in self.history if t.kind is not TrialKind.RETEST and t.state is not TrialState.INFEASIBLE)
        return sorted((t for t in tried if t.ended_ms is not None), key=lambda t: (t.ended_ms, t.number))

    def improvements(self, objective: int = 0) -> Iterator[tuple[int, TrialRecord, float]]:
        """Each completed trial that was better than all before it: which of the ended trials it was (from 1), and its value."""
        best, wanted = math.nan, self.history.objectives[objective]
        for place, trial in enumerate(self.ended(), 1):
            values = self.history.values(trial)
            if trial.state is not TrialState.COMPLETED or not values or math.isnan(values[objective]):
                continue
            if math.isnan(best) or wanted.better(values[objective], best):
                best = values[objective]
                yield place, trial, best

    def best_so_far(self, objective: int = 0) -> list[float]:
        """The best value after each trial that has ended; NaN before the first that completed."""
        curve = [math.nan] * len(self.ended())
        for place, _, value in self.improvements(objective):
            curve[place - 1 :] = [value] * (len(curve) - place + 1)
        return curve

    def values(self, trial: TrialRecord) -> dict[str, float] | None:
        """A trial's objectives by metric; None before its first report."""
        return values_by_metric(self.history, trial)


def _larger(budget: int | None, extended: int | None) -> int | None:
    return None if budget is None else max(budget, extended or 0)


@contextlib.contextmanager
def reading(home: Home) -> Iterator[Ledger]:
    """The home's ledger, to read from.

    Raises:
        InputError: there is none yet; reading does not make one.
        StoreError: it cannot be reached.
    """
    if is_missing(home):
        raise InputError(f"there is no ledger at {mask(home.ledger_url)} yet; run a sweep first, or name its home with --home")
    with contextlib.closing(ledgers.open(home.ledger_url)) as ledger:
        yield ledger


def is_missing(home: Home) -> bool:
    """Whether the ledger is a file that is not there."""
    scheme, _, path = home.ledger_url.partition(":///")
    return scheme.startswith("sqlite") and not Path(path).exists()


def config_of(sweep: Sweep) -> SweepConfig:
    """The sweep file that it was begun with."""
    return SweepConfig.from_json(dict(sweep.config))


def overview(ledger: Ledger, sweep: Sweep) -> Overview:
    """Everything about one sweep, as committed now."""
    config = config_of(sweep)
    history = ledgers.fold(ledger, sweep.id, config.objectives)
    return Overview(sweep, ledger.holder(sweep.id, "controller"), config, history, ledger.projection(sweep.id))


def trial_json(seen: Overview, trial: TrialRecord, run_id: str | None) -> dict[str, Json]:
    """DESIGN §5, one of `show NAME --json`."""
    return {
        "number": trial.number,
        "kind": str(trial.kind),
        "state": str(trial.state),
        "attempts": trial.attempt,
        "values": seen.values(trial) or {},
        "steps": trial.step,
        "params": dict(trial.parameters),
        "mlflow_run_id": run_id,
        "reason": trial.reason,
        "parent": trial.parent,
    }


@dataclass(slots=True)
class Attempt:
    """One execution of a trial. Times in ms since 1970 UTC; `state` is how it ended, RUNNING while it has not."""

    number: int
    place: str
    worker: str | None = None
    from_step: int | None = None
    state: TrialState = TrialState.RUNNING
    reason: str | None = None
    begun_ms: int | None = None
    ended_ms: int | None = None

    def to_json(self) -> dict[str, Json]:
        return {**asdict(self), "state": str(self.state)}


def attempts_of(ledger: Ledger, sweep: Sweep, trial: int) -> list[Attempt]:
    """A trial's attempts, in order, from the sweep's events."""
    return attempts_by_trial(ledger.events(sweep.id)).get(trial, [])


def attempts_by_trial(events: Iterable[Event]) -> dict[int, list[Attempt]]:
    """The attempts of all trials that ever had one, each trial's in order."""
    attempts: dict[int, dict[int, Attempt]] = {}
    for event in events:
        match event.body:
            case Assigned() as body:
                attempts.setdefault(body.trial, {})[body.attempt] = Attempt(body.attempt, body.place)
            case Begun() as body:
                now = attempts[body.trial][body.attempt]
                now.worker, now.from_step, now.begun_ms = body.worker, body.from_step, event.at_ms
            case Ended() as body if (last := attempts.get(body.trial, {}).get(body.attempt)) is not None and last.ended_ms is None:
                last.state, last.reason, last.ended_ms = body.state, body.reason, event.at_ms  # else what waited is cancelled
    return {trial: list(tries.values()) for trial, tries in attempts.items()}


@dataclass(frozen=True, slots=True)
class RunningNow:
    """A trial in training, on `worker` (host:pid)."""

    sweep: str
    trial: int
    worker: str


def running_now(ledger: Ledger) -> list[RunningNow]:
    """The trials in training of the sweeps that somebody runs."""
    held = [sweep for sweep in ledger.sweeps() if sweep.state == "running" and ledger.holder(sweep.id, "controller") is not None]
    return [RunningNow(sweep.name, trial, worker) for sweep in held for trial, worker in sorted(_workers(ledger, sweep).items())]


def _workers(ledger: Ledger, sweep: Sweep) -> dict[int, str]:
    at_work: dict[int, str] = {}
    for event in ledger.events(sweep.id):
        match event.body:
            case Begun() as body:
                at_work[body.trial] = body.worker
            case Ended() as body:
                at_work.pop(body.trial, None)
    return at_work
