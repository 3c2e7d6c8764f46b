"""What compose.yaml and its GPU override promise: who may reach what, as whom, and where secrets are."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from compose_file import ROOT, read
from ruamel.yaml import YAML

PLAIN, GPU = ("compose.yaml",), ("compose.yaml", "compose.gpu.yaml")
FILES = pytest.mark.parametrize("files", [PLAIN, GPU], ids=["plain", "gpu"])
SERVICES = [pytest.param(files, name, id=f"{name}-{len(files)}") for files in (PLAIN, GPU) for name in read(*files)["services"]]
EACH_SERVICE = pytest.mark.parametrize(("files", "name"), SERVICES)
OWN = ("mlflow", "head", "worker", "job")
"""Services of hpsearch's own image."""

SECRET = re.compile(r"passw|secret|token|credential|key|store_uri|hpsearch_store|dsn", re.IGNORECASE)


def service(files: tuple[str, ...], name: str) -> dict[str, Any]:
    found: dict[str, Any] = read(*files)["services"][name]
    return found


def test_the_services_are_there() -> None:
    services = read(*PLAIN)["services"]
    always = {name for name, each in services.items() if "profiles" not in each}
    assert always == {"postgres", "mlflow", "head", "worker"}
    profiles = {
        profile: {name for name, each in services.items() if profile in each.get("profiles", [])} for profile in ("run", "monitoring", "s3")
    }
    assert profiles == {"run": {"job"}, "monitoring": {"prometheus", "grafana"}, "s3": {"s3"}}


@EACH_SERVICE
def test_no_port_is_published_off_loopback(files: tuple[str, ...], name: str) -> None:
    for port in service(files, name).get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port
    assert service(files, name).get("network_mode") is None


@FILES
def test_networks_are_internal_except_where_ports_are_published(files: tuple[str, ...]) -> None:
    compose = read(*files)
    open_networks = {name for name, network in compose["networks"].items() if not network.get("internal")}
    assert open_networks == {"front"}
    for name, each in compose["services"].items():
        assert each["networks"], f"{name} would be in the default network, which is open"
        assert ("front" in each["networks"]) == ("ports" in each), name


def test_workers_see_no_database() -> None:
    assert "database" not in service(PLAIN, "worker")["networks"]
    assert service(PLAIN, "postgres")["networks"] == ["database"]


@EACH_SERVICE
def test_environments_hold_no_secret(files: tuple[str, ...], name: str) -> None:
    """A name that sounds like a secret's must end in the word for a file, and its value be a secret file of this service."""
    each = service(files, name)
    for variable, value in each.get("environment", {}).items():
        assert "://" not in str(value) or "@" not in str(value), variable
        if SECRET.search(variable) and variable not in ("RAY_AUTH_MODE",):
            assert re.search(r"_(FILE|PATH)$", variable), variable
            assert str(value).startswith("/run/secrets/"), variable
        if str(value).startswith("/run/secrets/"):
            assert Path(value).name in each["secrets"], variable


@EACH_SERVICE
def test_commands_hold_no_secret(files: tuple[str, ...], name: str) -> None:
    each = service(files, name)
    words = [str(word) for key in ("entrypoint", "command") for word in each.get(key, [])] + each.get("healthcheck", {}).get("test", [])
    for word in words:
        assert not SECRET.search(word.replace("/run/secrets/", "")) or word.startswith("/opt/compose/"), word
        assert not re.search(r"://[^/]*@", word), word


@EACH_SERVICE
def test_privileges_are_dropped(files: tuple[str, ...], name: str) -> None:
    each = service(files, name)
    assert each["security_opt"] == ["no-new-privileges:true"]
    assert each["cap_drop"] == ["ALL"]
    assert each["read_only"] is True
    assert not {"cap_add", "privileged", "devices", "pid", "ipc", "userns_mode"} & set(each)
    assert "docker.sock" not in str(each.get("volumes"))


@EACH_SERVICE
def test_nobody_is_root(files: tuple[str, ...], name: str) -> None:
    user, _, _ = service(files, name)["user"].partition(":")
    assert int(user) > 0


@EACH_SERVICE
def test_each_has_a_health_check_and_limits(files: tuple[str, ...], name: str) -> None:
    each = service(files, name)
    assert each["healthcheck"]["test"][0] == "CMD"
    assert {"interval", "timeout", "retries"} <= set(each["healthcheck"])
    assert set(each["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}


@EACH_SERVICE
def test_images_are_pinned(files: tuple[str, ...], name: str) -> None:
    image = service(files, name)["image"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-\w+)?", image), image


def test_the_own_image_has_the_packages_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for files, device in ((PLAIN, "cpu"), (GPU, "cuda")):
        assert service(files, "worker")["image"] == f"hpsearch:{version}-{device}"
        assert service(files, "worker")["build"] == {"context": ".", "args": {"DEVICE": device}}
    assert {service(PLAIN, name)["image"] for name in OWN} == {f"hpsearch:{version}-cpu"}


def test_ray_asks_for_its_token_everywhere() -> None:
    for name in ("head", "worker", "job"):
        environment = service(PLAIN, name)["environment"]
        assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN_PATH"]) == ("token", "/run/secrets/ray_token")


def test_mlflow_is_closed_and_keeps_to_itself() -> None:
    each = service(PLAIN, "mlflow")
    words = each["command"]
    assert words[words.index("--app-name") + 1] == "basic-auth"
    assert "--serve-artifacts" in words
    assert set(words[words.index("--allowed-hosts") + 1].split(",")) == {"mlflow:5000", "localhost:5000", "127.0.0.1:5000"}
    said = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    assert said.items() <= each["environment"].items()


def test_the_override_reserves_gpus_for_workers_alone() -> None:
    (device,) = service(GPU, "worker")["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert "gpu" in device["capabilities"]
    assert list(YAML(typ="safe").load((ROOT / "compose.gpu.yaml").read_text())["services"]) == ["worker"]


@FILES
def test_what_a_service_names_is_there(files: tuple[str, ...]) -> None:
    compose = read(*files)
    for name, each in compose["services"].items():
        assert set(each.get("secrets", [])) <= set(compose["secrets"]), name
        assert set(each["networks"]) <= set(compose["networks"]), name
        assert set(each.get("depends_on", {})) <= set(compose["services"]), name
        for volume in each.get("volumes", []):
            source, _, options = volume.partition(":")
            if source.startswith("./"):
                assert (ROOT / source).exists(), volume
                assert options.endswith(":ro"), volume
            else:
                assert source in compose["volumes"], volume
    used = {secret for each in compose["services"].values() for secret in each.get("secrets", [])}
    assert used == set(compose["secrets"])


def test_every_script_that_is_run_is_in_the_image() -> None:
    assert "COPY compose/*.sh /opt/compose/" in (ROOT / "Dockerfile").read_text()
    for name in OWN:
        for word in service(PLAIN, name).get("entrypoint", []):
            if word.startswith("/opt/compose/"):
                script = ROOT / "compose" / Path(word).name
                assert script.stat().st_mode & 0o111 == 0o111, script
                subprocess.run(["sh", "-n", script], check=True)


def make_secrets(folder: Path) -> str:
    command = ["make", "--silent", "-f", ROOT / "Makefile", "secrets", f"PYTHON={sys.executable}"]
    (folder / "compose").mkdir(exist_ok=True)
    (folder / "compose" / "make_secrets.py").write_bytes((ROOT / "compose" / "make_secrets.py").read_bytes())
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_make_secrets_makes_each_once(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    wanted = {tmp_path / secret["file"] for secret in read(*PLAIN)["secrets"].values()}
    assert {file for file in wanted if file.is_file()} == wanted == set((tmp_path / "secrets").iterdir())
    texts = {file: file.read_text() for file in wanted}
    assert len(set(texts.values())) == len(texts)
    assert min(map(len, texts.values())) >= 32
    make_secrets(tmp_path)
    assert texts == {file: file.read_text() for file in wanted}


def test_secrets_are_read_by_containers_and_by_nobody_else(tmp_path: Path) -> None:
    make_secrets(tmp_path)
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == {0o444}


def test_a_password_of_ones_own_is_kept_and_quoted_in_the_address(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "database_hpsearch_password").write_text("p@ss/word\n")
    make_secrets(tmp_path)
    assert (tmp_path / "secrets" / "database_hpsearch_password").read_text() == "p@ss/word\n"
    assert (tmp_path / "secrets" / "hpsearch_store").read_text() == "postgresql+psycopg://hpsearch:p%40ss%2Fword@postgres:5432/hpsearch"


def test_secrets_stay_out_of_git_and_of_images() -> None:
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "secrets/ray_token"], cwd=ROOT, check=False)
    if ignored.returncode == 128:
        pytest.skip("not a git checkout")
    assert ignored.returncode == 0
    lines = (ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in lines
    assert not [line for line in lines if line.startswith("!sec")]


def test_the_image_is_built_from_what_is_pinned() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:${PYTHON}-slim-trixie"}
    for install in re.findall(r"pip install [^&\n]+", text):
        assert "--constraint constraints.txt" in install
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    assert {service(PLAIN, name)["user"] for name in OWN} == {"10001:10001"}
    copied = {source.strip("/") for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE) for source in line.split()[:-1]}
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line.startswith("!")}
    assert {source.partition("/")[0] for source in copied} == allowed


def test_mlflows_secrets_come_from_their_files(tmp_path: Path) -> None:
    """Whatever characters they have; other variables are left alone."""
    text = "a b'c\"d$HOME`e\\f"
    (tmp_path / "file").write_text(text + "\n")
    named = {"MLFLOW_TRACKING_PASSWORD_FILE": tmp_path / "file", "HPSEARCH_STORE_FILE": tmp_path / "file"}
    command = [ROOT / "compose" / "with-secrets.sh", sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    done = subprocess.run(command, env={**os.environ, **named}, capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout)
    assert seen["MLFLOW_TRACKING_PASSWORD"] == text
    assert "HPSEARCH_STORE" not in seen


def test_a_secret_file_that_is_missing_ends_the_service(tmp_path: Path) -> None:
    environment = {**os.environ, "MLFLOW_TRACKING_PASSWORD_FILE": str(tmp_path / "nowhere")}
    done = subprocess.run([ROOT / "compose" / "with-secrets.sh", "true"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "nowhere" in done.stderr


@pytest.mark.slow
def test_an_image_with_the_wrong_build_of_torch_is_not_made() -> None:
    import torch

    found = "cpu" if torch.version.cuda is None else "cuda"
    for device in ("cpu", "cuda"):
        command = [sys.executable, ROOT / "compose" / "check_device.py", device]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, "PIP_EXTRA_INDEX_URL" in done.stderr) == ((0, False) if device == found else (1, True))
