"""Tells a webhook of a sweep, beside it: it looks at what has been committed once a second, and never waits for an answer."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from hpsearch.events import SweepClosed
from hpsearch.notify.messages import Event, Message, News
from hpsearch.search.history import History

if TYPE_CHECKING:
    from hpsearch.notify.webhook import Webhook

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
PATIENCE_S = 6.0
"""How long the end of a run waits for the last message to be taken: for one try, and a second one of a webhook that answers."""


class Notifier:
    """Entered around a run of a sweep; left, it waits a few seconds for its last message to arrive."""

    def __init__(self, on: Sequence[Event], sweep: str, webhook: Webhook | None) -> None:
        """`webhook`: None where nobody is to be told."""
        self._on = on if webhook else ()
        self._sweep = sweep
        self._webhook = webhook
        self._news = News((), sweep, History(()))

    @contextlib.contextmanager
    def following(self, history: Callable[[], History]) -> Iterator[None]:
        """Tell of what happens from now on. `history`: gives what has been committed; called in another thread."""
        if not self._on:
            yield
            return
        self._news = News(self._on, self._sweep, history())
        over = threading.Event()
        thread = threading.Thread(target=self._follow, args=(history, over), name="hpsearch-notifier", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def end(self, history: History, closed: SweepClosed) -> None:
        """The sweep has ended like this."""
        self._tell(lambda: self._news.end(history, closed))

    def broken(self, history: History, error: Exception) -> None:
        """The run has ended with an error."""
        self._tell(lambda: self._news.broken(history, error))

    def _follow(self, history: Callable[[], History], over: threading.Event) -> None:
        while not over.wait(LOOK_EVERY_S):
            self._tell(lambda: self._news.look(history(), time.monotonic()))

    def _tell(self, messages: Callable[[], Iterable[Message]]) -> None:
        """Whatever goes wrong in it, the sweep and its result stand."""
        try:
            for message in messages():
                assert self._webhook is not None
                self._webhook.post(message)
        except Exception as error:
            log.warning("the webhook could not be told of the sweep: %s: %s", type(error).__name__, error)

    def __enter__(self) -> Notifier:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._webhook is not None:
            self._webhook.close(PATIENCE_S)
