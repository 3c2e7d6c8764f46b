"""The words that all rooms share.

A *trial* is one configuration; an *attempt* is one execution of it; an *assignment* is a stretch of an attempt.
A *step* is a completed epoch, counted from 1; `until_step` is inclusive.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Json: TypeAlias = Any
"""What `json.dumps` takes and `json.loads` gives back unchanged."""


class TrialState(enum.StrEnum):
    """Where a trial stands; all but the first three are terminal."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    PRUNED = "pruned"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    TIMED_OUT = "timed_out"
    FAILED = "failed"
    INFEASIBLE = "infeasible"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return not TRANSITIONS[self]


_S = TrialState
_ENDS = frozenset({_S.COMPLETED, _S.PRUNED, _S.DIVERGED, _S.OUT_OF_MEMORY, _S.TIMED_OUT, _S.FAILED, _S.CANCELLED})

TRANSITIONS: Mapping[TrialState, frozenset[TrialState]] = {
    _S.WAITING: frozenset({_S.RUNNING, _S.INFEASIBLE, _S.CANCELLED}),
    _S.RUNNING: _ENDS | {_S.WAITING, _S.PAUSED},  # waiting: the attempt was lost or is retried
    _S.PAUSED: frozenset({_S.RUNNING, _S.PRUNED, _S.CANCELLED, _S.COMPLETED}),
    **{end: frozenset() for end in (*_ENDS, _S.INFEASIBLE)},
}

MLFLOW_STATUS: Mapping[TrialState, str] = {
    _S.WAITING: "SCHEDULED",
    _S.RUNNING: "RUNNING",
    _S.PAUSED: "SCHEDULED",
    _S.COMPLETED: "FINISHED",
    _S.PRUNED: "KILLED",  # MLflow has no PRUNED; the tag hpsearch.state tells it from cancelled
    _S.DIVERGED: "FAILED",
    _S.OUT_OF_MEMORY: "FAILED",
    _S.TIMED_OUT: "KILLED",
    _S.FAILED: "FAILED",
    _S.INFEASIBLE: "KILLED",
    _S.CANCELLED: "KILLED",
}


class TrialKind(enum.StrEnum):
    """Why a trial exists."""

    SEARCH = "search"
    BASELINE = "baseline"
    RETEST = "retest"


@dataclass(frozen=True, slots=True)
class Objective:
    """What is optimised: a metric, which way, and whether a trial's value is its last step's or its best step's."""

    metric: str
    goal: Literal["maximize", "minimize"]
    at: Literal["last", "best"] = "last"

    def better(self, a: float, b: float) -> bool:
        return a > b if self.goal == "maximize" else a < b


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A manifest that was written after its data: where the data is, its SHA-256 (hex), and the step that it holds."""

    uri: str
    sha256: str
    step: int


@dataclass(frozen=True, slots=True)
class Resources:
    """What one assignment needs. `cpus` is also its number of torch threads.

    `packed`: its part of a GPU was chosen from what is measured; it tells what it takes of it, and takes no more than its part.
    """

    cpus: int = 1
    gpus: float = 0.0
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """A stretch of an attempt: train `trial` from `checkpoint` (or from nothing) until `until_step`, inclusive."""

    trial: int
    attempt: int
    kind: TrialKind
    parameters: Mapping[str, Json]
    seed: int
    until_step: int
    checkpoint: Checkpoint | None = None
    checkpoint_steps: tuple[int, ...] = ()
    resources: Resources = Resources()

    @property
    def key(self) -> tuple[int, int]:
        return (self.trial, self.attempt)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a trial used of its machine, at `taken_ms` (the worker's clock, ms since 1970 UTC): numbers by MLflow's names."""

    taken_ms: int
    used: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Memory:
    """The most that a trial has taken of its GPU, and all that the GPU has."""

    peak_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """One completed step. `duration_s` is the step's own time, in seconds; `samples` are those since the report before.

    `memory`: of a packed trial, where there is news of it.
    """

    step: int
    metrics: Mapping[str, float]
    duration_s: float
    checkpoint: Checkpoint | None = None
    samples: tuple[Sample, ...] = field(default=(), compare=False)
    memory: Memory | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an assignment ended: a terminal state, PAUSED, or WAITING (given back: to be begun again from `checkpoint`)."""

    state: TrialState
    reason: str | None = None
    checkpoint: Checkpoint | None = None
    samples: tuple[Sample, ...] = field(default=(), compare=False)


# Answers to a report. `search_state` is what the search wants remembered with its decision; workers never look at it.


@dataclass(frozen=True, slots=True)
class SearchState:
    """What an Optuna sampler or pruner keeps for itself, as JSON: for the whole sweep, and for the trial of the decision."""

    sweep: Mapping[str, Json] = field(default_factory=dict)
    trial: Mapping[str, Json] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.sweep or self.trial)


NOTHING_TO_REMEMBER = SearchState()


@dataclass(frozen=True, slots=True)
class Continue:
    """Go on until `until_step`."""

    until_step: int
    search_state: SearchState = NOTHING_TO_REMEMBER


@dataclass(frozen=True, slots=True)
class Pause:
    """Save a checkpoint at the present step and end; the trial may be resumed."""

    search_state: SearchState = NOTHING_TO_REMEMBER


@dataclass(frozen=True, slots=True)
class Stop:
    """End now: the trial is pruned."""

    reason: str
    search_state: SearchState = NOTHING_TO_REMEMBER


Answer: TypeAlias = Continue | Pause | Stop


# Proposals of the search.


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a new trial."""

    parameters: Mapping[str, Json]
    until_step: int
    search_state: SearchState = NOTHING_TO_REMEMBER


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on with a paused trial."""

    trial: int
    until_step: int
    search_state: SearchState = NOTHING_TO_REMEMBER


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now; ask again after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing to do any more."""


Proposal: TypeAlias = Start | Resume | Wait | Done


@dataclass(frozen=True, slots=True)
class Place:
    """Room for one assignment: a worker slot, by name (as people see it in `status`)."""

    name: str


class Control(Protocol):
    """What an executor asks of the controller; DESIGN's five calls. All are made from the executor's own thread."""

    def next(self, place: Place) -> Assignment | Wait | Done: ...

    def begin(self, assignment: Assignment, worker: str, from_step: int) -> None:
        """Training really starts, after `from_step` (0 when fresh); the time-out counts from here."""

    def report(self, reports: Sequence[tuple[Assignment, Report]]) -> list[Answer]: ...

    def end(self, assignment: Assignment, outcome: Outcome) -> None: ...

    def tick(self) -> list[Assignment]:
        """Do what is due; the assignments to abort now. Each aborted one is still ended by `end`."""


class Executor(AbstractContextManager["Executor"], Protocol):
    """Runs assignments. It drives, the controller answers; it returns when `next` says Done and nothing runs any more.

    Entered some time before `run`, so that what is slow to start starts meanwhile; left after it, whatever happened.
    """

    def run(self, controller: Control) -> None: ...


def derive_seed(*parts: int | str) -> int:
    """A seed in [0, 2**31) from the given parts; the same in every process and on every machine."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
