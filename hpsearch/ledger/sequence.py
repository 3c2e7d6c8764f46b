"""Appending to a sweep's sequence."""

from __future__ import annotations

from collections.abc import Sequence as Bodies
from dataclasses import dataclass, field

from sqlalchemy import Connection

from hpsearch.events import Body, Event
from hpsearch.ledger.fence import Standing, advance
from hpsearch.ledger.reading import read_standing
from hpsearch.ledger.rows import Rows


@dataclass
class Sequence:
    """Where a sweep's sequence ends and where its live trials stand, as of the last commit under `token`.

    While that token stands nobody else appends, so neither need be read again. Throw it away when its transaction fails.
    """

    sweep: int
    token: int
    seq: int = 0
    standings: dict[int, Standing] = field(default_factory=dict)

    def append(self, connection: Connection, bodies: Bodies[Body], at_ms: int) -> list[Event]:
        rows = Rows(self.sweep, at_ms)
        ended = {trial for body in bodies if (trial := self._advance(connection, body)) is not None}
        for body in bodies:
            self.seq += 1
            rows.add(self.seq, body)
        rows.write(connection)
        for trial in ended:
            self.standings.pop(trial)  # lest memory grows with the sweep; should anybody ask, it is read again
        return rows.events

    def _advance(self, connection: Connection, body: Body) -> int | None:
        """Check the body against the rules; its trial, where that has come to its end."""
        trial: int | None = getattr(body, "trial", None)
        if trial is None:
            return None
        standing = self.standings.get(trial) or read_standing(connection, self.sweep, trial)
        moved = advance(body, standing)
        assert moved is not None, body
        self.standings[trial] = moved
        return trial if moved.state.is_terminal else None
