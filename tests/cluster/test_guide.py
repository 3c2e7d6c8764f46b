"""docs/cluster.md, as far as it can be checked without Docker, Kubernetes and Slurm."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
from compose_file import ROOT, read
from ruamel.yaml import YAML

from hpsearch.cli.app import app
from hpsearch.config import load

PAGE = (ROOT / "docs" / "cluster.md").read_text()
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE))

RAY_JOB = {"entrypoint", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "backoffLimit", "rayClusterSpec"}
RAY_CLUSTER = {"rayVersion", "authOptions", "headGroupSpec", "workerGroupSpecs"}
WORKER_GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
"""Fields of ray.io/v1 by their names in KubeRay's API reference, those that the manifest has."""


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def console() -> list[list[str]]:
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = [line[2:] for each in blocks for line in each.splitlines() if line.startswith("$ ")]
    lines += re.findall(r"`((?:\w+=\S+ )*(?:docker|ray) [^`]+)`", re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL))
    return [[word for word in shlex.split(line) if not re.match(r"[A-Z_]+=", word)] for line in lines]


def ray_command(name: str) -> click.Command:
    from ray.scripts.scripts import cli

    command = cli.get_command(click.Context(cli), name)
    assert command is not None, f"ray {name}"
    return command


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(block("yaml"))
    return found


def containers(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = manifest["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [container for group in groups for container in group["template"]["spec"]["containers"]]


def test_rays_commands_parse() -> None:
    words = [line for line in console() if line[0] == "ray"]
    assert {line[1] for line in words} == {"drain-node", "get-auth-token", "start", "status", "stop", "symmetric-run"}
    for _, name, *arguments in words:
        command = ray_command(name)
        if arguments:
            command.make_context(name, arguments)


def test_docker_commands_name_what_compose_has() -> None:
    compose = read("compose.yaml")
    profiles = {profile for each in compose["services"].values() for profile in each.get("profiles", [])}
    lines = [line[2:] for line in console() if line[:2] == ["docker", "compose"]]
    assert len(lines) > 8
    for words in lines:
        for before, word in pairwise(words):
            match before:
                case "-f":
                    assert (ROOT / word).exists()
                case "--profile":
                    assert word in profiles
                case "--scale":
                    assert word.partition("=")[0] in compose["services"]
                case "exec" | "--rm":
                    assert word in compose["services"]


def test_variables_of_compose_are_there() -> None:
    said = set(re.findall(r"\b([A-Z_]+)=\S+ (?=.*docker compose)", PAGE))
    assert said == set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))


def test_secrets_and_ports_are_those_of_compose() -> None:
    compose = read("compose.yaml")
    assert set(re.findall(r"`secrets/(\w+)`", PAGE)) <= set(compose["secrets"])
    ports = {port.split(":")[1] for each in compose["services"].values() for port in each.get("ports", [])}
    assert set(re.findall(r"http://127\.0\.0\.1:(\d+)", PAGE)) == ports


def test_the_manifest_has_the_fields_of_a_ray_job(manifest: dict[str, Any]) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    assert set(manifest["spec"]) == RAY_JOB
    cluster = manifest["spec"]["rayClusterSpec"]
    assert set(cluster) == RAY_CLUSTER
    assert set(cluster["headGroupSpec"]) == {"rayStartParams", "template"}
    assert [set(group) for group in cluster["workerGroupSpecs"]] == [WORKER_GROUP]
    options = {option.lstrip("-") for parameter in ray_command("start").params for option in parameter.opts}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        assert set(group["rayStartParams"]) <= options


def test_the_manifests_versions_are_the_pinned_ones(manifest: dict[str, Any]) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert manifest["spec"]["rayClusterSpec"]["rayVersion"] == PINNED["ray"]
    assert {container["image"] for container in containers(manifest)} == {f"hpsearch:{version}-cpu"}
    assert set(re.findall(r"hpsearch:(\d[\w.]*)-c", PAGE)) == {version}


def test_the_manifest_asks_for_a_token_and_no_privileges(manifest: dict[str, Any]) -> None:
    cluster = manifest["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]["securityContext"]
        assert pod["runAsNonRoot"] is True
        assert f"USER {pod['runAsUser']}:{pod['runAsGroup']}\n" in (ROOT / "Dockerfile").read_text()
    for container in containers(manifest):
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        assert set(container["resources"]) == {"requests", "limits"}


def test_the_manifests_volumes_are_mounted_where_they_are_used(manifest: dict[str, Any]) -> None:
    cluster = manifest["spec"]["rayClusterSpec"]
    homes = []
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        homes += [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "home"]
    environment = {each["name"]: each.get("value") for each in containers(manifest)[0]["env"]}
    assert homes == [environment["HPSEARCH_HOME"]] * 2
    assert environment["HPSEARCH_STORE_FILE"] == "/etc/hpsearch/hpsearch_store"
    assert environment["MLFLOW_TRACKING_PASSWORD"] is None, "it comes from a Secret"


def check_run(words: list[str]) -> None:
    """A command `hpsearch run`: it parses, and its changes suit the file that it names."""
    import typer

    assert words[:2] == ["hpsearch", "run"]
    command = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    context = command.make_context("run", words[2:])
    assert context.params["executor"] == "ray"
    assert context.params["address"]
    name = context.params["file"].name
    load(ROOT / "search_spaces" / name, context.params["overrides"])


def test_the_manifests_entrypoint_runs_a_sweep(manifest: dict[str, Any]) -> None:
    words = shlex.split(manifest["spec"]["entrypoint"])
    check_run(words)
    assert f"search_spaces/{words[2].rpartition('/')[2]}" in PAGE.partition("## Kubernetes")[2].partition("```yaml")[0]


def test_the_batch_script_is_bash() -> None:
    done = subprocess.run(["bash", "-n"], input=block("bash"), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_batch_script_starts_ray_with_options_that_it_has() -> None:
    from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

    script = block("bash").replace("\\\n", " ").replace('"$SLURM_JOB_NUM_NODES"', "4").replace('"$SLURM_CPUS_PER_TASK"', "16")
    (line,) = (line for line in script.splitlines() if line.startswith("srun"))
    words = shlex.split(line)
    start, separator = words.index("symmetric-run"), words.index("--")
    arguments = curate_and_validate_ray_start_args(words[start + 1 : separator])
    assert "--address" not in arguments
    started = ray_command("start").make_context("start", ["--head", *arguments]).params
    assert (started["num_cpus"], started["disable_usage_stats"]) == (16, True)
    check_run(words[separator + 1 :])


def test_the_batch_script_runs_one_ray_a_node_by_token() -> None:
    script = block("bash")
    assert "#SBATCH --ntasks-per-node=1\n" in script
    assert "#SBATCH --exclusive\n" in script
    assert "export RAY_AUTH_MODE=token\n" in script


def test_the_timeout_that_is_named_is_rays() -> None:
    from ray.scripts import symmetric_run

    assert "RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT" in Path(symmetric_run.__file__).read_text()
    assert symmetric_run.CLUSTER_WAIT_TIMEOUT == 30
