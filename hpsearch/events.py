"""What happened in a sweep, in order: the controller commits these, and everything else (history, MLflow, report) is folded from them.

Each event of a sweep has a `seq` (1, 2, 3, … without gaps) and the time `at_ms` (the ledger's clock, milliseconds since 1970 UTC).
Decisions of the search are TrialCreated(proposed=True), Assigned(decided=True) and Answered(by="search"): each is a pure function of
the events before it, so folding a ledger and asking the search again must give them again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hpsearch.provenance import Provenance
from hpsearch.trial import NOTHING_TO_REMEMBER, Checkpoint, Json, SearchState, TrialKind, TrialState

SweepState: TypeAlias = Literal["created", "running", "stopped", "completed", "failed"]


@dataclass(frozen=True, slots=True)
class SweepOpened:
    """A controller took the sweep and runs it (again), on the data of this digest (SHA-256; None: the task has none).

    `user`: for whom, as the controller's machine names them; None where it has no name for them.
    `provenance`: what this run came from; None in sweeps of old, and where nobody said.
    """

    holder: str
    data_digest: str | None = None
    user: str | None = None
    provenance: Provenance | None = None


@dataclass(frozen=True, slots=True)
class SweepClosed:
    """The controller let go of the sweep. `stopped` can be resumed; `completed` and `failed` can be extended."""

    state: Literal["stopped", "completed", "failed"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SweepExtended:
    """The budget was raised, to these totals; None leaves one as it is."""

    trials: int | None = None
    total_epochs: int | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class TrialCreated:
    """A trial exists: WAITING, or INFEASIBLE at once (a constraint on its parameters fails; `reason` says which)."""

    trial: int
    kind: TrialKind
    parameters: Mapping[str, Json]
    seed: int
    until_step: int
    state: TrialState = TrialState.WAITING
    reason: str | None = None
    parent: int | None = None
    proposed: bool = False
    search_state: SearchState = NOTHING_TO_REMEMBER


@dataclass(frozen=True, slots=True)
class Assigned:
    """An attempt was given to a place, to train until `until_step`: the trial is RUNNING. `decided`: the search resumed a paused trial.

    `gpus`: the part of a GPU that the controller chose for it; 0 where the sweep file says how much all get.
    """

    trial: int
    attempt: int
    place: str
    until_step: int
    decided: bool = False
    search_state: SearchState = NOTHING_TO_REMEMBER
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Begun:
    """The attempt really trains, on `worker`, going on after `from_step` (0: fresh)."""

    trial: int
    attempt: int
    worker: str
    from_step: int


@dataclass(frozen=True, slots=True)
class Reported:
    """A step was completed. The first report of (trial, step) stands; there is never a second."""

    trial: int
    attempt: int
    step: int
    metrics: Mapping[str, float]
    duration_s: float
    checkpoint: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """The most that the trial has taken of a GPU so far, and what that GPU has (see Memory). Grants are chosen by it (see packing)."""

    trial: int
    attempt: int
    peak_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Sampled:
    """What the attempt used of its machine at a moment (see Sample). It is for people to look at: no decision reads it."""

    trial: int
    attempt: int
    taken_ms: int
    used: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to the report of `step`, when it was anything but a plain `Continue` to where the trial was going already."""

    trial: int
    step: int
    answer: Literal["continue", "pause", "stop"]
    by: Literal["search", "controller"]
    until_step: int | None = None
    reason: str | None = None
    search_state: SearchState = NOTHING_TO_REMEMBER


@dataclass(frozen=True, slots=True)
class Ended:
    """The attempt ended and the trial is now in `state`: terminal, PAUSED, or WAITING for another attempt.

    `retry`: this end used up one of the trial's retries (an error or a crash of its worker; not a stop, nor the controller's own death).
    `starved`: its part of a GPU was too small for it; the next attempt gets more, and it is nobody's failure.
    A trial that waits or is paused is cancelled by an Ended too (with its latest attempt, 0 if it never had one).
    """

    trial: int
    attempt: int
    state: TrialState
    reason: str | None = None
    checkpoint: Checkpoint | None = None
    retry: bool = False
    starved: bool = False


Body: TypeAlias = (
    SweepOpened | SweepClosed | SweepExtended | TrialCreated | Assigned | Begun | Reported | Measured | Sampled | Answered | Ended
)


@dataclass(frozen=True, slots=True)
class Event:
    """A body with its place in the sweep's sequence."""

    seq: int
    at_ms: int
    body: Body


def may_be_from_outside(body: Body) -> bool:
    """What other commands commit themselves where no controller runs: it says nothing of how long one did."""
    return isinstance(body, SweepExtended) or (isinstance(body, Ended) and body.state is TrialState.CANCELLED)
