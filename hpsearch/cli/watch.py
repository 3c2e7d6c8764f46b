"""Looks at a running sweep four times a second, from a thread of its own, and has it shown."""

from __future__ import annotations

import logging
import threading
import time
from abc import abstractmethod
from typing import Self

from hpsearch.cli.progress import Progress
from hpsearch.cli.session import Session
from hpsearch.controller import Controller
from hpsearch.search.history import TrialRecord

log = logging.getLogger(__name__)

PERIOD_S = 0.25


class Watcher:
    """What is entered around a sweep's work. Whatever goes wrong in showing it, the work goes on."""

    def __init__(self, session: Session, controller: Controller, name: str) -> None:
        self.session = session
        self.name = name
        self.controller = controller
        self.progress = Progress(controller)
        self._told_of_stopping = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="hpsearch-display", daemon=True)

    def __enter__(self) -> Self:
        self.progress.update(time.monotonic())
        self.begin()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._look()
        self.end()
        if kind is not None:
            return
        resume = self.session.command("resume", self.name)
        self.session.if_interrupted = f"interrupted while MLflow was brought up to date; nothing is lost, and `{resume}` goes on"
        self.session.announce("bringing MLflow up to date…")

    def begin(self) -> None:
        """Before the work."""

    def end(self) -> None:
        """After it."""

    @abstractmethod
    def look(self, ended: list[TrialRecord], now: float) -> None:
        """Show how things stand; `ended` have ended since the last look."""

    def tell(self, text: str) -> None:
        """Say something beside the display."""
        self.session.stage.print(text)

    def _follow(self) -> None:
        while not self._ended.wait(PERIOD_S):
            self._look()

    def _look(self) -> None:
        try:
            now = time.monotonic()
            self.look(self.progress.update(now), now)
            if self.controller.stopping and not self._told_of_stopping:
                self._told_of_stopping = True
                self.tell(_stopping(self.controller.stopping))
        except Exception:
            log.debug("the display failed", exc_info=True)


def _stopping(reason: str) -> str:
    if reason == "interrupted":
        return "stopping in order: trials pause after their epoch; Ctrl-C again ends at once"
    return f"{reason}: trials pause after their epoch"


class Quiet(Watcher):
    """Shows nothing but that it is stopping."""

    def look(self, ended: list[TrialRecord], now: float) -> None:
        """Nothing to show."""
