"""Sweeps on a real cluster whose workers keep their checkpoints in S3, and a node that cannot."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from raylets import Cluster
from s3_server import InBucket, S3Server
from test_ray import command, finished

from hpsearch import ledger as ledgers
from hpsearch.events import Begun

pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(300)]

SWEEP = """
name: on-ray
task: {{kind: function, target: "mine:train"}}
objective: {{metric: total, goal: maximize}}
space: {{x: {{min: 1.0, max: 2.0}}}}
training: {{epochs: 20, checkpoint_every: 0s}}
search: {{sampler: random, scheduler: none}}
budget: {{trials: 4}}
resources: {{executor: ray, retries: 0}}
storage: {storage}
"""

FUNCTION = """
import time

def train(trial):
    total = (trial.load_checkpoint() or {"total": 0})["total"]
    for step in trial.steps():
        time.sleep(0.2)
        total += step
        trial.report(step, {"total": total}, checkpoint=lambda: {"total": total})
"""


def test_trials_go_on_from_s3_and_a_node_without_its_keys_is_named(s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    place = InBucket(s3_server)
    (tmp_path / "mine.py").write_text(FUNCTION)
    (tmp_path / "on-ray.yaml").write_text(SWEEP.format(storage=place.location))
    with Cluster(tmp_path) as cluster:
        cluster.start()
        driver = command(tmp_path, cluster, "run", "on-ray.yaml", "--address", cluster.address)
        deadline = time.monotonic() + 100
        while len([path for path in place.paths() if path.endswith(".json")]) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        driver.kill()
        driver.communicate()
        result = finished(command(tmp_path, cluster, "resume", "on-ray", "--address", cluster.address, "--json"))
        assert result["trials"] == {"completed": 4}
        assert {best["values"]["total"] for best in result["best"]} == {210}
        with contextlib.closing(ledgers.open(f"sqlite:///{tmp_path}/.hpsearch/ledger.db")) as ledger:
            bodies = [event.body for event in ledger.events(ledger.find("on-ray").id)]
        again = [body.from_step for body in bodies if isinstance(body, Begun) and body.attempt == 2]
        assert again
        assert all(step > 0 for step in again)
        assert [path for path in (tmp_path / ".hpsearch" / "checkpoints").rglob("*") if path.is_file()] == []
        assert {f"on-ray/trial-0000{trial}/step-00020.json" for trial in range(4)} <= place.paths()
        assert not [path for path in place.paths() if ".probe" in path]
        with monkeypatch.context() as patch:
            patch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(s3_server.keys("stranger", "AKIASTRANGER00000000", "a-secret-of-nobody")))
            cluster.start()
        cluster.wait_for_cpus(4)
        refused = command(tmp_path, cluster, "run", "on-ray.yaml", "--name", "other", "--address", cluster.address)
        out, err = refused.communicate(timeout=100)
    assert refused.returncode == 3, err
    assert f"cannot read and write {place.location}/other, where checkpoints go: " in err
    assert "its s3fs, credentials and endpoint must be as here" in err
    assert "Traceback" not in out + err
    assert "a-secret-of-nobody" not in out + err
