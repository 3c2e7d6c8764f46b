"""A lease that is kept."""

from __future__ import annotations

import logging
import threading

from hpsearch.errors import LeaseLost, StoreError
from hpsearch.ledger.face import Lease, Ledger

log = logging.getLogger(__name__)


class Renewal(threading.Thread):
    """Keeps the lease alive from a thread of its own, whatever the executor's loop is busy with."""

    def __init__(self, ledger: Ledger, lease: Lease) -> None:
        super().__init__(name="hpsearch-lease", daemon=True)
        self._ledger = ledger
        self._lease = lease
        self._stopped = threading.Event()
        self._lost: LeaseLost | None = None

    def run(self) -> None:
        while not self._stopped.wait(self._lease.ttl_s / 3):
            try:
                self._ledger.renew(self._lease)
            except LeaseLost as lost:
                self._lost = lost
                return
            except StoreError as error:
                log.warning("the lease could not be renewed: %s", error)  # commits are fenced: we may go on until one fails

    def check(self) -> None:
        if self._lost is not None:
            raise self._lost

    def stop(self) -> None:
        self._stopped.set()
        if self.is_alive():
            self.join()
