"""Facts of sweeps that happened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sweeps

from hpsearch.events import Body
from hpsearch.report.facts import Facts


@pytest.fixture(scope="session")
def sixty() -> Facts:
    """Sixty trials, some of each kind of end."""
    ledger, clock = sweeps.a_ledger()
    sweeps.fill(ledger, clock, 60)
    return Facts.read(ledger, "digits")


@pytest.fixture
def after() -> Callable[..., Facts]:
    """The facts of a sweep after `bodies`, a second apart; `changes` are to its file."""

    def facts(*bodies: Body, **changes: Any) -> Facts:
        ledger, clock = sweeps.a_ledger()
        sweep = ledger.create("one", sweeps.config("one", **changes), [])
        lease = ledger.acquire(sweep.id, "controller", "somebody", 3600)
        for body in bodies:
            ledger.commit(lease, [body])
            clock.now_ms += 1_000
        ledger.release(lease)
        return Facts.read(ledger, "one")

    return facts
