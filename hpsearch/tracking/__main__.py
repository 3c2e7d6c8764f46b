"""The process beside a sweep that writes it into MLflow: `python -m hpsearch.tracking`, started by `ProjectorProcess`.

In, one JSON object a line:
    {"store": {"tracking_uri": …, "artifacts": … or null}}    first of all: MLflow's store, which is made if there is none
    {"open": {"ledger_url": …, "sweep": …, "files": {"outputs": …, "logs": …, …} or null}}
                                                              then: the sweep to follow, and where its trials leave files
    {"finish": true}                                          write what the ledger has, and end; the end of the input says the same
Out:
    {"experiment_id": …, "run_id": …, "seq": …, "up_to_date": …, "error": null, "registering": null, "model": …}    after each round
    {"registering": …}                                                              what is done for the model, about once a second
    {"error": …, "up_to_date": false}                                               what fails; it is tried again
    {"done": true, …}                                                               the last line
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from hpsearch import ledger as ledgers
from hpsearch.errors import HpsearchError, InputError, LeaseHeld, TrackerError
from hpsearch.ledger.face import Lease, Ledger
from hpsearch.tracking import quiet
from hpsearch.tracking.files import TrialFiles
from hpsearch.tracking.picture import experiment_name
from hpsearch.tracking.projector import Projector
from hpsearch.tracking.runs import Runs
from hpsearch.tracking.schema import create_store
from hpsearch.trial import Json

_NICENESS = 10
_ROUND_S = 1.0
_SHARE = 0.5
"""At most this share of one core goes into rounds while workers train."""
_LEASE_TTL_S = 30.0
_LONGEST_WAIT_S = 10.0
_TRIES_AT_THE_END = 3
_TRIES_FOR_LEASE = 20
"""A second apart: the projector of a controller that died may still be writing what there was."""

Say = Callable[[dict[str, Json]], None]


class Inbox:
    """What the controller said, by its first word."""

    def __init__(self, lines: IO[str]) -> None:
        self.finish = threading.Event()
        self._lines = lines
        self._heard: dict[str, Json] = {}
        self._news = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def wait_for(self, word: str) -> Json | None:
        """What followed `word`; None if the input ended before it was said."""
        with self._news:
            self._news.wait_for(lambda: word in self._heard or "end" in self._heard)
            return self._heard.get(word)

    def _listen(self) -> None:
        for line in self._lines:
            self._note(json.loads(line))
        self._note({"end": True})

    def _note(self, message: dict[str, Json]) -> None:
        with self._news:
            self._heard |= message
            self._news.notify_all()
        if "finish" in message or "end" in message:
            self.finish.set()


class Follower:
    """Keeps MLflow up to one sweep until it is told to finish."""

    def __init__(
        self, inbox: Inbox, say: Say, runs_of: Callable[[str], Runs], ledger_url: str, sweep: str, files: TrialFiles | None
    ) -> None:
        self._inbox = inbox
        self._say = say
        self._runs_of = runs_of
        self._ledger_url = ledger_url
        self._sweep = sweep
        self._files = files
        self._ledger: Ledger | None = None
        self._lease: Lease | None = None
        self._projector: Projector | None = None

    def run(self) -> None:
        """Rounds, a second apart or more; after a failure ever longer. Nothing is lost by waiting: the ledger has it all."""
        failures = 0
        while True:
            is_last = self._inbox.finish.is_set()
            began = time.process_time()
            try:
                is_more = self._round()
                failures = 0
                pause = 0.0 if is_last else max(_ROUND_S, (time.process_time() - began) / _SHARE)
            except InputError as error:  # the sweep was deleted, or its model cannot be registered
                self._say({"error": str(error), "up_to_date": False})
                break
            except HpsearchError as error:
                self._recover(error)
                failures += 1
                longest, tries = (1.0, _TRIES_FOR_LEASE) if isinstance(error, LeaseHeld) else (_LONGEST_WAIT_S, _TRIES_AT_THE_END)
                is_more, pause = True, min(0.25 * 2 ** min(failures, 10), 1.0 if is_last else longest)
                if is_last and failures >= tries:
                    break
            if is_last and not is_more:
                break
            self._wait(pause)
        self._end()

    def _round(self) -> bool:
        projector = self._projector or self._begin()
        is_more = projector.catch_up() or (self._inbox.finish.is_set() and self._register(projector))
        where = {"experiment_id": projector.runs.experiment_id, "run_id": projector.run_id, "seq": projector.picture.seq}
        model = projector.picture.model
        self._say({**where, "up_to_date": not is_more, "error": None, "registering": None, "model": model and model.to_json()})
        return is_more

    def _register(self, projector: Projector) -> bool:
        """The winner's model, once all else is written; False if there was nothing to register."""
        if (wanted := projector.unregistered()) is None:
            return False
        projector.register(wanted, lambda at: self._say({"registering": at}))
        return True

    def _begin(self) -> Projector:
        self._ledger = self._ledger or ledgers.open(self._ledger_url)
        sweep = self._ledger.find(self._sweep)
        self._lease = self._ledger.acquire(sweep.id, "projector", ledgers.holder(), _LEASE_TTL_S)
        self._projector = Projector(self._ledger, self._lease, sweep, self._runs_of(experiment_name(sweep)), self._files)
        return self._projector

    def _recover(self, error: HpsearchError) -> None:
        """MLflow's failures the projector gets over; after the ledger's, or when another projector was quicker, begin anew."""
        self._say({"error": str(error), "up_to_date": False})
        if not isinstance(error, TrackerError):
            self._release()

    def _release(self) -> None:
        if self._ledger is not None and self._lease is not None:
            with contextlib.suppress(HpsearchError):
                self._ledger.release(self._lease)
        self._lease = self._projector = None

    def _end(self) -> None:
        if self._projector is not None:
            self._projector.runs.close()
        self._release()
        if self._ledger is not None:
            self._ledger.close()

    def _wait(self, seconds: float) -> None:
        """As long, or until it is told to finish; once it has been told, in full."""
        if self._inbox.finish.is_set():
            time.sleep(seconds)
        else:
            self._inbox.finish.wait(seconds)


def main() -> None:
    """Runs until its input ends or says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else prints is no message of ours

    def say(message: dict[str, Json]) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more; there is still work to finish
            print(json.dumps(message), file=out, flush=True)

    _work(Inbox(sys.stdin), say)
    say({"done": True})
    os._exit(0)  # all is written and closed; taking a thousand modules apart is not worth a tenth of a second


def _work(inbox: Inbox, say: Say) -> None:
    quiet.import_mlflow()
    if (store := inbox.wait_for("store")) is None:
        return
    uri, artifacts = store["tracking_uri"], Path(store["artifacts"]) if store["artifacts"] else None
    with contextlib.suppress(Exception):  # it is tried again, and then told
        create_store(uri, artifacts)
    if (opened := inbox.wait_for("open")) is not None:
        files = TrialFiles.from_json(opened["files"]) if opened["files"] else None
        Follower(inbox, say, lambda experiment: Runs(uri, experiment, artifacts), opened["ledger_url"], opened["sweep"], files).run()


if __name__ == "__main__":
    main()
