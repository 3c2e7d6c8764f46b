"""What every ledger does: SQL (SQLite, PostgreSQL) and the in-memory twin that tests and simulations use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from hpsearch.events import Body, Event, SweepState
from hpsearch.trial import Json, TrialState

Role: TypeAlias = Literal["controller", "projector"]
RequestKind: TypeAlias = Literal["stop", "extend", "enqueue", "cancel"]


@dataclass(frozen=True, slots=True)
class Sweep:
    """One row of `list`. `config` is the sweep file as resolved JSON; times in ms since 1970 UTC.

    `trials` counts the trials in each state that any of them is in.
    """

    id: int
    name: str
    config: Mapping[str, Json]
    state: SweepState
    reason: str | None
    created_ms: int
    ended_ms: int | None
    trials: Mapping[TrialState, int]
    last_seq: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to act for a sweep in a role, until it expires. A larger `token` fences off every smaller one."""

    sweep: int
    role: Role
    holder: str
    token: int
    ttl_s: float


@dataclass(frozen=True, slots=True)
class Request:
    """What another command asks of the controller."""

    id: int
    kind: RequestKind
    payload: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Projection:
    """How far a sweep has been projected into MLflow, and what it is called there.

    `model`: where its winner's network is in MLflow's registry, and what is said of it; None: it is not there.
    """

    seq: int
    experiment_id: str | None
    run_id: str | None
    model: Mapping[str, Json] | None = None


class Ledger(Protocol):
    """The one truth. Every method is one transaction; a failure raises `StoreError` and changes nothing."""

    def create(self, name: str, config: Mapping[str, Json], first: Sequence[Body]) -> Sweep:
        """A new sweep with its first events (the baseline's trials), all or nothing. Raises `NameTaken` where there is one."""

    def find(self, name: str) -> Sweep:
        """Raises `InputError`, naming the nearest, where there is none."""

    def sweeps(self) -> list[Sweep]:
        """All, oldest first."""

    def delete(self, sweep: int) -> None:
        """Forget all of it. Raises `LeaseHeld` while a live controller holds it."""

    def acquire(self, sweep: int, role: Role, holder: str, ttl_s: float) -> Lease:
        """Take the lease if it is free, expired, or its holder is known to be dead. Raises `LeaseHeld`, naming the holder."""

    def renew(self, lease: Lease) -> None:
        """Raises `LeaseLost` if another token has been given out since."""

    def release(self, lease: Lease) -> None:
        """Give it back; nothing happens if it is lost already."""

    def holder(self, sweep: int, role: Role) -> str | None:
        """Who holds a live lease now."""

    def commit(self, lease: Lease, bodies: Sequence[Body]) -> list[Event]:
        """Append `bodies` to the sweep's sequence, tables included; raises `LeaseLost` or `StaleAttempt`, changing nothing."""

    def events(self, sweep: int, after: int = 0, limit: int | None = None) -> list[Event]:
        """The sequence after `after`, in order, without gaps."""

    def request(self, sweep: int, kind: RequestKind, payload: Mapping[str, Json]) -> int:
        """Leave a request for the controller; its id."""

    def take_requests(self, lease: Lease) -> list[Request]:
        """The requests that nobody has taken, in order; they are now taken."""

    def waiting_requests(self, sweep: int) -> list[Request]:
        """Those that nobody has taken, in order; they stay."""

    def projection(self, sweep: int) -> Projection: ...

    def project(self, lease: Lease, projection: Projection, runs: Mapping[int, str]) -> None:
        """Note how far the projection has come, and the MLflow run ids of trials by number (added to those noted before)."""

    def runs(self, sweep: int) -> Mapping[int, str]:
        """MLflow run ids by trial number."""

    def close(self) -> None: ...
