"""Sweeps as jobs of a Ray cluster, by its Jobs API: they go on when whoever has submitted them is gone.

A sweep's job has an id of its name and configuration, so that it is submitted once however often that is asked for.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
import os
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hpsearch.config import SweepConfig
from hpsearch.config.home import Home, mask
from hpsearch.errors import ClusterError, InputError, LeaseHeld
from hpsearch.executors import ray_local
from hpsearch.executors.ray_local import LocalCluster
from hpsearch.executors.ray_reach import carried, check_reachable, kept_back
from hpsearch.ledger import user

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

ANSWER_S = 10.0
"""How long a dashboard may take to answer at all."""

WORK_S = 60.0
"""How long it may take for more than that: one that has just started, or is given a large package."""

READY_S = 30.0
"""How long a head that has just started may take until it takes jobs."""

BEGIN_S = 20.0
"""For how long to watch whether a job begins: its environment is made for some seconds first."""

_LIVE = ("PENDING", "RUNNING")
_SWEEP = "hpsearch.sweep"
"""The key of a job's metadata that holds its sweep's name."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a cluster, by its dashboard's URL. `own`: the home's cluster, where it is that one."""

    address: str
    own: LocalCluster | None


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A sweep's job, as the cluster has it. `state`: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED. Times in ms since 1970."""

    id: str
    sweep: str
    state: str
    message: str | None
    started_ms: int | None
    ended_ms: int | None

    @property
    def is_live(self) -> bool:
        return self.state in _LIVE


def find_head(home: Home, address: str | None) -> Head:
    """The cluster at `address`, else the home's own.

    Raises:
        InputError: the address is none of a dashboard.
        ClusterError: there is none of the home.
    """
    own = ray_local.find(home)
    if address is None and own is None:
        raise ClusterError(
            f"no cluster of {home.root} is up; start one with `hpsearch cluster up`, or name another's dashboard with --address http://HEAD:8265"
        )
    if own is not None and (address is None or address.rstrip("/") == own.dashboard):
        return Head(own.dashboard, own)
    assert address is not None
    return Head(_checked(address), None)


def _checked(address: str) -> str:
    try:
        parts = urlsplit(address)
        is_right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and parts.path in ("", "/")
        is_open = parts.username or parts.password or parts.query or parts.fragment
    except ValueError:
        is_right, is_open = False, None
    if not is_right or is_open:
        raise InputError(f"--address {address}: must be the URL of the dashboard of the cluster's head, such as http://HEAD:8265")
    return address.rstrip("/")


class Jobs:
    """The sweeps that a cluster has as jobs."""

    def __init__(self, head: Head) -> None:
        """Raises `ClusterError` where there is none, or it does not let us in."""
        self.head = head
        self._client = _client(head)

    def seen(self) -> list[JobSeen]:
        """The jobs that are sweeps, oldest first."""
        with _told(self.head):
            jobs = self._client.list_jobs()
        ours = [job for job in jobs if job.submission_id and _SWEEP in (job.metadata or {})]
        seen = [JobSeen(j.submission_id, j.metadata[_SWEEP], j.status.value, j.message, j.start_time, j.end_time) for j in ours]
        return sorted(seen, key=lambda job: job.started_ms or 0)

    def get(self, path: str) -> Any:
        """What the dashboard says at this path, as JSON."""
        with _told(self.head):
            answer = self._client._do_request("GET", path)
            answer.raise_for_status()
            return answer.json()

    def submit(self, config: SweepConfig, parcel: Parcel) -> tuple[JobSeen, bool]:
        """Have the cluster run a sweep, unless it does; its job, and whether it is a new one.

        Raises:
            InputError: what travels is too large.
            LeaseHeld: the cluster runs the sweep with another configuration.
            ClusterError: the job could not begin.
        """
        stem, jobs = job_name(config), self.seen()
        mine = [job for job in jobs if _number(job.id, stem)]
        live = next((job for job in jobs if job.is_live and job.sweep == config.name), None)
        if live is not None and live not in mine:
            raise LeaseHeld(
                f"the cluster runs sweep {config.name!r} with another configuration, as job {live.id}; `hpsearch stop` it first, or submit "
                "this one under a name of its own with name=NAME"
            )
        if live is not None:
            return live, False
        number = max((_number(job.id, stem) for job in mine), default=0) + 1
        name = stem if number == 1 else f"{stem}-{number}"
        is_new = self._begin(name, config.name, parcel)
        return self._wait_until_it_begins(name), is_new

    def _begin(self, name: str, sweep: str, parcel: Parcel) -> bool:
        """False where somebody else was faster."""
        deadline = time.monotonic() + READY_S
        with tempfile.TemporaryDirectory(prefix="hpsearch-") as scratch, _told(self.head):
            job = {"entrypoint": parcel.entrypoint, "runtime_env": parcel.environment(Path(scratch)), "metadata": {_SWEEP: sweep}}
            while True:
                try:
                    self._client.submit_job(submission_id=name, **job)
                except RuntimeError as error:
                    if "already exists" in str(error):
                        return False
                    if "No available agent" not in str(error) or time.monotonic() > deadline:
                        raise
                    time.sleep(1)
                else:
                    return True

    def _wait_until_it_begins(self, name: str) -> JobSeen:
        deadline = time.monotonic() + BEGIN_S
        while True:
            job = next((job for job in self.seen() if job.id == name), None)
            if job is None:
                raise ClusterError(f"the cluster at {self.head.address} has no job {name} any more; submit the sweep again")
            if job.state == "FAILED":
                raise ClusterError(f"job {name} has failed: {last_line(job.message or '').removeprefix('error: ')}")
            if job.state != "PENDING" or time.monotonic() > deadline:
                return job
            time.sleep(0.3)


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a job runs, and what travels for it: files of `folder`, and settings by variable."""

    entrypoint: str
    folder: Path | None = None
    files: Mapping[str, int] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def environment(self, scratch: Path) -> dict[str, Any]:
        """Ray's runtime environment, with the files packed in `scratch`. Raises `InputError` where they are too large."""
        if self.folder is None:
            return {}
        from hpsearch.executors.ray_package import pack

        archive = scratch / "sweep.zip"
        pack(self.folder, self.files, archive)
        return {"working_dir": str(archive), "env_vars": dict(self.settings)}


def parcel_for(head: Head, config: SweepConfig, file: Path, overrides: Sequence[str], home: Home) -> Parcel:
    """What is to be submitted for a sweep file.

    Raises:
        InputError: the cluster could not reach what the sweep needs.
    """
    more = shlex.join([*overrides, "--executor", "ray"])
    if head.own is not None:
        return Parcel(f"{_here(head.own, file, home)} {more}")
    return _there(head, config, file, home, more)


def job_name(config: SweepConfig) -> str:
    """`hpsearch-digits-mlp-1f3a…`: the same for the same name and configuration, wherever its file is."""
    said = {key: value for key, value in config.to_json().items() if key != "directory"}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
    return f"hpsearch-{re.sub(r'[^A-Za-z0-9]+', '-', config.name)[:60].strip('-')}-{digest}"


def _number(name: str, stem: str) -> int:
    """1 for the first job of this name, 2 for `…-2`; 0 for another's."""
    found = re.fullmatch(rf"{re.escape(stem)}(?:-(\d+))?", name)
    return 0 if found is None else int(found[1] or 1)


def last_line(message: str) -> str:
    """The last line that a job has printed, or Ray has said of it; not the one that Ray begins a job's log with, which may come late."""
    lines = [line.strip() for line in message.splitlines() if line.strip() and not line.startswith("Running entrypoint for job")]
    return lines[-1] if lines else "it does not say why"


def _here(own: LocalCluster, file: Path, home: Home) -> str:
    """Of this machine's own cluster: file, code, data and stores are used where they are."""
    for what, its, given in (("ledger", own.ledger, home.ledger_url), ("MLflow", own.tracking, home.tracking_uri)):
        if its != mask(given):
            raise InputError(
                f"the cluster of {home.root} was started with the {what} {its}, and here it is {mask(given)}; start it anew "
                "(`hpsearch cluster down`, `hpsearch cluster up`) to use that"
            )
    return shlex.join([sys.executable, "-m", "hpsearch", "run", str(file.absolute()), "--home", str(home.root)])


def _there(head: Head, config: SweepConfig, file: Path, home: Home, more: str) -> Parcel:
    """Of another machine's cluster: the folder of the file travels; stores are the head's, or servers that both reach."""
    from hpsearch.executors.ray_package import check_travels, travelling

    check_reachable(config, home, head.address)
    folder = file.absolute().parent
    files = travelling(folder, home)
    check_travels(config, file.name, files)
    demands = "".join(f"{_demand(name)}; " for name in kept_back(home))
    settings = carried(home) | _submitter()
    return Parcel(f"{demands}python -m hpsearch run {shlex.quote(file.name)} {more}", folder, files, settings)


def _submitter() -> dict[str, str]:
    """The variable that names a user on every system: the job's own would be that of the head."""
    name = user()
    return {} if name is None else {"LOGNAME": name}


def _demand(name: str) -> str:
    """A shell's words: end the job where the head has no such setting, rather than write to a file on it."""
    told = f"error: the head has no {name}, and that of the submitter holds a password, which does not travel; give it to the head"
    return f'[ -n "${name}${{{name}_FILE:-}}" ] || {{ echo {shlex.quote(told)}; exit 3; }}'


def _client(head: Head) -> JobSubmissionClient:
    if head.own is not None:
        head.own.enter()
    os.environ["RAY_API_SERVER_ADDRESS"] = head.address  # it goes before the argument, and so does RAY_ADDRESS
    _knock(head)
    from ray.job_submission import JobSubmissionClient

    for name in ("dashboard.modules.dashboard_sdk", "dashboard.modules.job.sdk", "_private.runtime_env.packaging"):
        logging.getLogger(f"ray.{name}").setLevel(logging.ERROR)  # by default they tell of each upload

    class Patient(JobSubmissionClient):  # type: ignore[misc]
        """Ray's own would wait for ever."""

        def _do_request(self, method: str, endpoint: str, **options: Any) -> Any:
            patience = ANSWER_S if endpoint == "/api/version" else WORK_S
            return super()._do_request(method, endpoint, timeout=patience, **options)

    with _told(head):
        return Patient(head.address)


def _knock(head: Head) -> None:
    """A head that is not there is told before Ray is imported."""
    parts = urlsplit(head.address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    assert parts.hostname is not None
    connection = kind(parts.hostname, parts.port, timeout=ANSWER_S)
    try:
        connection.connect()
    except OSError as error:
        cure = "mend --address" if head.own is None else "start the cluster anew with `hpsearch cluster down` and `hpsearch cluster up`"
        raise ClusterError(f"no dashboard of a Ray cluster answers at {head.address} ({error}); {cure}") from None
    finally:
        connection.close()


@contextmanager
def _told(head: Head) -> Iterator[None]:
    """Everything that Ray's client raises, in our words."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError:
        raise ClusterError(
            f"the cluster at {head.address} does not let us in; its token must be in the file that RAY_AUTH_TOKEN_PATH names "
            "(with RAY_AUTH_MODE=token)"
        ) from None
    except requests.exceptions.Timeout:
        raise ClusterError(f"the dashboard at {head.address} does not answer in time; see whether the cluster is overloaded") from None
    except (requests.exceptions.RequestException, ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError(f"the Ray cluster at {head.address} refuses: {' '.join(str(error).split())[:500]}") from None
