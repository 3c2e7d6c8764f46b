"""The handle on the process that registers a network. MLflow is not imported here; see `registration`."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO

from hpsearch.errors import TrackerError
from hpsearch.tracking.model import Registered
from hpsearch.trial import Json

_COMMAND = (sys.executable, "-P", "-W", "ignore", "-m", "hpsearch.tracking.registration")
_TICK_S = 1.0
_SILENT_S = 300.0
"""After so long without a word it is given up: no single step takes that long, and MLflow's own waits are shorter."""


def register(order: Mapping[str, Json], tick: Callable[[str], None]) -> Registered:
    """Have a network registered by a process of its own, which has all of MLflow and torch.

    Args:
        order: a `registration.Order`; the process reads it from its input, as addresses may hold passwords.
        tick: called about once a second with what is being done, and for how long.

    Raises:
        TrackerError: MLflow failed, or the process ended without a word. It may be tried again.
    """
    with subprocess.Popen(
        _COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8", start_new_session=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            return _result(_last_said(process.stdout, tick))
        except OSError as error:
            raise TrackerError(f"the process that registers the model cannot be spoken to: {error}") from None
        finally:
            process.kill()


def _last_said(lines: IO[str], tick: Callable[[str], None]) -> Mapping[str, Json]:
    said: queue.Queue[Mapping[str, Json] | None] = queue.Queue()

    def listen() -> None:
        for line in lines:
            said.put(json.loads(line))
        said.put(None)

    threading.Thread(target=listen, daemon=True).start()
    heard: Mapping[str, Json] = {}
    at, since = "starting", time.monotonic()
    while (silent := time.monotonic() - since) < _SILENT_S:
        tick(f"{at} ({silent:.0f} s)")
        try:
            message = said.get(timeout=_TICK_S)
        except queue.Empty:
            continue
        if message is None:
            return heard
        heard, at, since = message, message.get("at", at), time.monotonic()
    return {"error": f"nothing was heard for {_SILENT_S:.0f} s while {at}"}


def _result(said: Mapping[str, Json]) -> Registered:
    if "registered" in said:
        return Registered(**said["registered"])
    raise TrackerError(f"the model cannot be registered: {said.get('error', 'the process that does it ended without a word')}")
