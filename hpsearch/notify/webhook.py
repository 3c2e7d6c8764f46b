"""Sends messages to a webhook from a thread of its own: nobody waits for it, and of its URL nothing is told but the host."""

from __future__ import annotations

import contextlib
import email.utils
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hpsearch.notify.address import VARIABLE, host_of
from hpsearch.notify.messages import Event, Message
from hpsearch.trial import Json

log = logging.getLogger(__name__)

TRY_S = 5.0
"""How long one try may take, all in all."""

AGAIN_AFTER_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""Before each further try, in seconds; after the last one a message is given up."""

LONGEST_WAIT_S = 60.0
"""Where the webhook asks for a longer one (Retry-After), the message is given up."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a try came to nothing, and in how many seconds to try again at the earliest; None: it would come to nothing again."""

    why: str
    again_s: float | None = 0.0


@dataclass(slots=True)
class _Waiting:
    message: Message
    tries: int = 0


class Webhook:
    """Of each kind of event one message waits, the newest. `post` returns at once; `close` waits for a few seconds at most."""

    def __init__(self, url: str, link: Callable[[], str | None] = lambda: None) -> None:
        """`link`: asked, for each message, where the sweep is seen in MLflow."""
        self._url = url
        self._link = link
        self._waiting: dict[Event, _Waiting] = {}
        self._changed = threading.Condition()
        self._is_news = False
        self._is_closing = False
        self._is_failing = False
        self._last_refusal = "it has not answered yet"
        self._thread = threading.Thread(target=self._work, name="hpsearch-webhook", daemon=True)

    def post(self, message: Message) -> None:
        """Have it sent, in place of one of its kind that still waits."""
        with self._changed:
            self._waiting.pop(message.event, None)
            self._waiting[message.event] = _Waiting(message)
            self._is_news = True
            self._changed.notify_all()
            if self._thread.ident is None:
                self._thread.start()

    def close(self, patience_s: float) -> None:
        """Wait until all is sent or given up, for `patience_s` at most; what is not is warned of."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting, patience_s)
            left, self._waiting = self._waiting, {}
            if left:
                self._warn("end" if "end" in left else next(iter(left)), self._last_refusal)

    def _work(self) -> None:
        while (waiting := self._next()) is not None:
            refused = self._try(waiting.message)
            waiting.tries += 1
            self._settle(waiting, refused)
            if refused is not None and refused.again_s is not None:
                self._rest(AGAIN_AFTER_S[min(waiting.tries, len(AGAIN_AFTER_S)) - 1], refused.again_s)

    def _rest(self, usual_s: float, least_s: float) -> None:
        """What is posted meanwhile need not wait for the usual time, which is longest where there was no answer for long."""
        began = time.monotonic()
        with self._changed:
            self._changed.wait_for(lambda: self._is_news, usual_s)
        time.sleep(max(0.0, began + least_s - time.monotonic()))

    def _next(self) -> _Waiting | None:
        """What to send now: the end before all else. None when there will be nothing any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            self._is_news = False
            return self._waiting.get("end") or next(iter(self._waiting.values()), None)

    def _settle(self, waiting: _Waiting, refused: Refused | None) -> None:
        """Sent, given up, or to be tried again."""
        event = waiting.message.event
        is_over = refused is None or refused.again_s is None or waiting.tries > len(AGAIN_AFTER_S)
        with self._changed:
            is_wanted = self._waiting.get(event) is waiting
            if refused is None:
                self._is_failing = False
            else:
                self._last_refusal = refused.why
                if is_over and is_wanted:
                    self._warn(event, refused.why)
            if is_over and is_wanted:
                del self._waiting[event]
                self._changed.notify_all()

    def _warn(self, event: Event, why: str) -> None:
        """Once, until something is sent again."""
        if not self._is_failing:
            log.warning(
                "the webhook at %s was not told of %s: %s; see whether %s is right", host_of(self._url), _NAMES[event], why, VARIABLE
            )
        self._is_failing = True

    def _try(self, message: Message) -> Refused | None:
        """One try, in a thread that is left to itself when its time is over: a name that is looked up knows no time limit."""
        answers: list[Refused | None] = []
        body = message.to_json(self._link())
        once = threading.Thread(target=lambda: answers.append(send(self._url, body)), name="hpsearch-webhook-try", daemon=True)
        once.start()
        once.join(TRY_S)
        return answers[0] if answers else Refused(f"no answer within {TRY_S:g} s")


_NAMES: Mapping[Event, str] = {"end": "the end of the sweep", "failure": "a failure", "best": "a new best trial"}


class _NotFollowed(urllib.request.HTTPRedirectHandler):
    """The secret is for the host that was named, and nobody else."""

    def redirect_request(self, *_: object) -> None:
        return None


def send(url: str, body: Mapping[str, Json]) -> Refused | None:
    """Post `body` as JSON once; None where it was taken. Words of ours alone say why not: those of others may hold the URL."""
    data = json.dumps(body, allow_nan=False, default=str).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "hpsearch"}
    request = urllib.request.Request(url, data, headers, method="POST")
    try:
        with urllib.request.build_opener(_NotFollowed).open(request, timeout=TRY_S):
            return None
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            return _answered(error.code, error.headers.get("Retry-After"))
    except Exception as error:  # whatever it is, a traceback would show the URL
        return Refused(_in_words(getattr(error, "reason", error)))


def _answered(status: int, retry_after: str | None) -> Refused:
    why = f"it answers with HTTP status {status}"
    if status == 429 or status >= 500:
        wait_s = _seconds(retry_after)
        return Refused(why, wait_s if wait_s <= LONGEST_WAIT_S else None)
    return Refused(f"{why}, and redirections are not followed" if 300 <= status < 400 else why, None)


def _seconds(retry_after: str | None) -> float:
    """The header's number of seconds, or those until its date; 0 where it says nothing that can be read."""
    if retry_after is None:
        return 0.0
    if retry_after.strip().isdecimal():
        return float(retry_after)
    with contextlib.suppress(ValueError, OverflowError):
        return max(0.0, email.utils.parsedate_to_datetime(retry_after).timestamp() - time.time())
    return 0.0


def _in_words(error: object) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {TRY_S:g} s"
    return str(getattr(error, "verify_message", None) or getattr(error, "strerror", None) or type(error).__name__)
