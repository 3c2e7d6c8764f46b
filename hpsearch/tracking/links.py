"""Where a sweep is seen: links into MLflow's UI, and the command that serves it from the home's own store."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from hpsearch.ledger.face import Sweep
from hpsearch.tracking.view import view_key

HOST = "127.0.0.1"
DEFAULT_PORT = 5000
REPORT_FILE = "report.html"
"""What the sweep's page is called among the artifacts of its run."""


def experiment_link(base: str, experiment_id: str, view: str | None = None) -> str:
    """The experiment's runs, in the view of that key. Without the query MLflow opens its view of traces, where no run is to be seen."""
    return f"{base.rstrip('/')}/{runs_link(experiment_id, view)}"


def sweep_link(tracking_uri: str, experiment_id: str | None, sweep: Sweep) -> str | None:
    """Where a sweep is seen: on its server, or by `hpsearch ui` on its usual port; None before MLflow has its experiment."""
    base = server_url(tracking_uri) or f"http://{HOST}:{DEFAULT_PORT}"
    return None if experiment_id is None else experiment_link(base, experiment_id, view_key(sweep))


def server_link(tracking_uri: str, experiment_id: str | None, sweep: Sweep) -> str | None:
    """Where others see a sweep too; None where MLflow is no server: what `hpsearch ui` serves is for nobody else, and not for long."""
    return sweep_link(tracking_uri, experiment_id, sweep) if server_url(tracking_uri) else None


def runs_link(experiment_id: str, view: str | None = None, *, charts: bool = False) -> str:
    """The experiment's runs, as a table or as charts, from another place in the same UI."""
    chosen = {"workflowType": "machine_learning", "viewStateShareKey": view, "compareRunsMode": "CHART" if charts else None}
    query = urlencode({name: value for name, value in chosen.items() if value})
    return f"#/experiments/{quote(experiment_id)}/runs?{query}"


def report_link(experiment_id: str, run_id: str) -> str:
    """The sweep's page among the artifacts of its run, from another place in the same UI."""
    return f"#/experiments/{quote(experiment_id)}/runs/{quote(run_id)}/artifacts/{REPORT_FILE}?workflowType=machine_learning"


def server_url(tracking_uri: str) -> str | None:
    """The UI's address where `tracking_uri` is a server's, without user name and password; None for a database."""
    parts = urlsplit(tracking_uri)
    if parts.scheme not in ("http", "https"):
        return None
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def ui_command(port: int) -> list[str]:
    """The command that serves the UI on this machine alone; it needs `ui_environment`."""
    return [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"]


def ui_environment(tracking_uri: str, artifacts: Path) -> Mapping[str, str]:
    """What `ui_command` needs in its environment; the store's address may hold a password, so it is no argument."""
    return {
        "MLFLOW_BACKEND_STORE_URI": tracking_uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifacts.absolute().as_uri(),
        "MLFLOW_ARTIFACTS_DESTINATION": artifacts.absolute().as_uri(),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def free_port(preferred: int = DEFAULT_PORT) -> int:
    """`preferred` if nobody listens there, else any that is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no port is free on 127.0.0.1")
