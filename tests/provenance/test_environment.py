"""What a run is run with: as each package itself says, and nothing of the environment's variables."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys

import pytest

from hpsearch.provenance import Provenance, environment_now
from hpsearch.provenance.environment import PACKAGES


def test_versions_are_those_that_the_packages_say() -> None:
    import optuna

    found = environment_now()
    assert found.versions["optuna"] == optuna.__version__
    assert set(found.versions) == set(PACKAGES)
    assert (found.python, found.cpus) == (".".join(map(str, sys.version_info[:3])), os.cpu_count())
    assert found.host == platform.node()


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpsearch.provenance.environment.PACKAGES", ("optuna", "no-such-package"))
    assert set(environment_now().versions) == {"optuna"}


def test_nothing_is_imported_for_it_and_no_variable_is_told() -> None:
    code = """
import json, sys
from hpsearch.provenance import Provenance, environment_now
told = json.dumps(Provenance(environment=environment_now()).to_json())
print(json.dumps([told, sorted({"torch", "mlflow", "ray", "optuna"} & set(sys.modules))]))
"""
    secret = {**os.environ, "AWS_SECRET_ACCESS_KEY": "hush-hush", "HPSEARCH_STORE": "postgresql://u:hush-hush@h/d"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=secret)
    told, imported = json.loads(done.stdout)
    assert imported == []
    assert "hush" not in told


def test_it_comes_back_as_it_went() -> None:
    said = Provenance(environment=environment_now(), file="/a/b.yaml")
    assert Provenance.from_json(json.loads(json.dumps(said.to_json()))) == said
