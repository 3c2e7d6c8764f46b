"""What a ledger says when it refuses: the same words whichever keeps it."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable

from hpsearch.errors import InputError, LeaseHeld, LeaseLost, NameTaken, unknown
from hpsearch.ledger.face import Lease, Role
from hpsearch.ledger.process import describe

_SHOWN = 20


def name_taken(name: str) -> NameTaken:
    return NameTaken(f"a sweep named {name!r} exists already; choose another name, or go on with it: hpsearch resume {name}")


def no_such_sweep(name: str, names: Iterable[str]) -> InputError:
    names = list(names)
    if not names:
        return InputError(f"unknown sweep {name!r}: the ledger holds none yet; start one with: hpsearch run FILE")
    return InputError(unknown("sweep", name, difflib.get_close_matches(name, names, n=_SHOWN, cutoff=0.0)))


def no_such_id(sweep: int) -> InputError:
    return InputError(f"the ledger holds no sweep with the number {sweep} (any more); see: hpsearch list")


def held(name: str, role: Role, holder: str, left_ms: int) -> LeaseHeld:
    cure = f"stop it (hpsearch stop {name})" if role == "controller" else "wait for its end"
    left = f"should it hang, its lease runs out in {math.ceil(left_ms / 1000)} s"
    return LeaseHeld(f"sweep {name!r} has a {role} already: {describe(holder)}; {cure}; {left}")


def lost(lease: Lease, holder: str | None) -> LeaseLost:
    now = "nobody" if holder is None else describe(holder)
    return LeaseLost(f"the lease of sweep {lease.sweep} as its {lease.role} is lost: {now} holds it now; nothing was changed")
