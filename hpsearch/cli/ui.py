"""Serves the MLflow UI of a home."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

from hpsearch.cli.session import Session
from hpsearch.cli.words import clean
from hpsearch.config.home import Home
from hpsearch.errors import HpsearchError
from hpsearch.tracking.links import HOST, experiment_link, free_port, server_url, ui_command, ui_environment
from hpsearch.tracking.view import view_key

_PATIENCE_S = 120.0
_POLL_S = 0.2


def serve(session: Session, port: int) -> int:
    """Start the server, say where it is once it answers, and wait; where MLflow is a server already, only say where that is."""
    home = session.home
    if there := server_url(home.tracking_uri):
        link = _link(home, there)
        session.show("the MLflow UI is served there already:")
        session.show_line(clean(link))
        session.result({"url": link, "pid": None})
        return 0
    home.create()
    for number in (signal.SIGTERM, signal.SIGHUP):  # they would leave the server behind
        signal.signal(number, signal.default_int_handler)
    port = free_port(port)
    base = f"http://{HOST}:{port}"
    log = home.logs / "mlflow-ui.log"
    with log.open("ab") as output:
        environment = {**os.environ, **ui_environment(home.tracking_uri, home.artifacts)}
        server = subprocess.Popen(
            ui_command(port), env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        session.note("starting the MLflow UI…")
        _wait_until_it_answers(server, base, str(log))
        link = _link(home, base)
        session.show("the MLflow UI runs until Ctrl-C:")
        session.show_line(clean(link))
        session.result({"url": link, "pid": server.pid})
        server.wait()
        raise HpsearchError(f"the MLflow UI ended with status {server.returncode}; see {log}")
    except KeyboardInterrupt:
        session.note("the MLflow UI has ended")
        return 0
    finally:
        _end(server)


def _link(home: Home, base: str) -> str:
    """To the trials of the sweep that was begun last; where MLflow has none yet, to the list of experiments."""
    from hpsearch.overview import is_missing, reading

    if is_missing(home):
        return base
    with reading(home) as ledger:
        known = [(ledger.projection(sweep.id).experiment_id, view_key(sweep)) for sweep in reversed(ledger.sweeps())]
    return next((experiment_link(base, experiment, view) for experiment, view in known if experiment), base)


def _wait_until_it_answers(server: subprocess.Popen[bytes], base: str, log: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise HpsearchError(f"the MLflow UI did not start (status {server.returncode}); see {log}")
        try:
            with urllib.request.urlopen(f"{base}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    raise HpsearchError(f"the MLflow UI does not answer on {base} after {_PATIENCE_S:.0f} s; see {log}")


def _end(server: subprocess.Popen[bytes]) -> None:
    """The server and the workers that it started: its whole session."""
    if server.poll() is None:
        os.killpg(server.pid, 15)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)
            server.wait()
