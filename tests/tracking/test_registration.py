"""Registering a network in a real registry, ended at every step of it and begun again: one model, one version, one verdict."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hpsearch
from hpsearch.errors import TrackerError
from hpsearch.models.inputs import Inputs
from hpsearch.tasks.answers import Classes
from hpsearch.tasks.forms import Array
from hpsearch.tasks.predictor import Example, Network, Predictor
from hpsearch.tasks.splits import Scale
from hpsearch.tracking import quiet
from hpsearch.tracking.champion import ALIAS, DIGEST, GOAL, METRIC, VALUE
from hpsearch.tracking.keys import MODEL_KEY, VERDICT
from hpsearch.tracking.model import Registered
from hpsearch.tracking.registering import register
from hpsearch.tracking.registration import Order, Registration, few_of, logged_name, save_model
from hpsearch.tracking.schema import create_store

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]

MAKES = (
    "create_logged_model", "log_model_artifacts", "finalize_logged_model", "log_batch", "log_outputs", "delete_logged_model",
    "set_logged_model_tags", "create_registered_model", "create_model_version", "delete_model_version", "set_registered_model_alias",
    "set_model_version_tag",
)  # fmt: skip
"""What changes something."""


class Killed(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


class Mortal:
    """MLflow's client until the call number `until` that changes something: that one is made, or not, and then it is over."""

    def __init__(self, client: Any, until: int, is_made: bool) -> None:
        self.client = client
        self.left = until
        self.is_made = is_made

    def __getattr__(self, name: str) -> Any:
        real = getattr(self.client, name)
        if name not in MAKES:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left:
                return real(*args, **kwargs)
            if self.is_made:
                real(*args, **kwargs)
            raise Killed

        return call


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 3 numbers and 2 classes."""
    built = Network("mlp", {"hidden_units": 4, "num_layers": 1}, Inputs("rows", (3,)), 2, "fp32")
    module = built.build({name: np.full(shape, 0.1, np.float32) for name, shape in SHAPES.items()})
    form, answer, given = Array(built.inputs, Scale(np.zeros(3), np.ones(3))), Classes(("no", "yes")), np.eye(3)
    with torch.no_grad():
        said = answer(module, torch.from_numpy(form.encode(given)))
    path = tmp_path_factory.mktemp("network") / "hpsearch-network.npz"
    path.write_bytes(Predictor(built, module, form, answer, Example(given, said)).to_bytes())
    return path


SHAPES = {"linear.0.weight": (4, 3), "linear.0.bias": (4,), "linear.1.weight": (2, 4), "linear.1.bias": (2,)}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Of one store, in which each test has names of its own."""
    folder = tmp_path_factory.mktemp("registry")
    uri = f"sqlite:///{folder}/mlflow.db"
    create_store(uri, folder / "artifacts")
    client = quiet.client(uri)
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    yield client
    mlflow.set_tracking_uri(before)


@pytest.fixture
def order(client: Any, network: Path, request: pytest.FixtureRequest) -> Order:
    run = client.create_run("0")
    client.log_metric(run.info.run_id, "val_accuracy", 0.5, timestamp=1, step=1)
    client.log_metric(run.info.run_id, "val_accuracy", 0.75, timestamp=2, step=2)
    client.log_metric(run.info.run_id, "system/memory", 99.0, timestamp=2, step=1)
    key = f"{request.node.name.partition('[')[0]}@1/7"
    return order_of(client.tracking_uri, network, run.info.run_id, key)


def order_of(uri: str, network: Path, run_id: str, key: str, value: float = 0.7, digest: str = "d1") -> Order:
    tags = {MODEL_KEY: key, DIGEST: digest, METRIC: "val_accuracy", GOAL: "maximize", VALUE: repr(value)}
    return Order(uri, str(network), "0", run_id, key.partition("@")[0], key, "Of *sweep*", tags, {"hidden_units": "4"})


def another(order: Order, number: int, value: float, digest: str = "d1") -> Order:
    """Of the same name, from another sweep."""
    key = f"{order.name}@2/{number}"
    return replace(order, key=key, tags={**order.tags, MODEL_KEY: key, VALUE: repr(value), DIGEST: digest})


def carry_out(client: Any, order: Order) -> Registered:
    return Registration(client, order, lambda _: None).run()


def models(client: Any, order: Order) -> list[Any]:
    return list(client.search_logged_models(["0"], f"tags.`{MODEL_KEY}` = '{order.key}'"))


def versions(client: Any, name: str) -> dict[int, Any]:
    return {int(v.version): v for v in client.search_model_versions() if v.name == name}


def champion(client: Any, name: str) -> int:
    return int(client.get_model_version_by_alias(name, ALIAS).version)


def test_it_is_a_logged_model_of_its_run_and_a_version_with_what_is_to_be_known(client: Any, order: Order) -> None:
    registered = carry_out(client, order)
    assert registered == Registered(order.key, order.name, 1, True, f"version 1 of {order.name} is the champion: there was none")
    (model,) = models(client, order)
    (version,) = versions(client, order.name).values()
    assert (str(model.status), model.source_run_id) == ("READY", order.run_id)
    assert (version.source, version.run_id) == (f"models:/{model.model_id}", order.run_id)
    assert json.loads(model.tags["mlflow.modelVersions"]) == [{"name": order.name, "version": 1}]
    assert (model.params, version.description) == (dict(order.params), order.description)
    assert {k: version.tags[k] for k in order.tags} == dict(order.tags)
    assert [(m.key, m.value, m.step, m.timestamp) for m in model.metrics] == [("val_accuracy", 0.75, 2, 2)], (
        "the last, and no system metric"
    )
    assert [o.model_id for o in client.get_run(order.run_id).outputs.model_outputs] == [model.model_id]
    history = client.get_metric_history(order.run_id, "val_accuracy")
    assert [(m.value, m.step) for m in history] == [(0.5, 1), (0.75, 2)], "the run itself is as it was"


@pytest.mark.parametrize("is_made", [True, False])
def test_killed_at_any_call_and_begun_again_it_is_there_once(client: Any, order: Order, is_made: bool) -> None:
    for until in range(1, 50):
        name = f"{order.name}-{is_made}-{until}"
        mine = replace(order, name=name, key=f"{name}@1/7", tags={**order.tags, MODEL_KEY: f"{name}@1/7"})
        try:
            carry_out(Mortal(client, until, is_made), mine)
            break
        except Killed:
            pass
        registered = carry_out(client, mine)
        assert (registered.version, registered.champion) == (1, True)
        assert registered.said.startswith(f"version 1 of {name} is the champion")
        assert [str(m.status) for m in models(client, mine)] == ["READY"]
        assert list(versions(client, name)) == [1]
        assert champion(client, name) == 1
        outputs = [o.model_id for o in client.get_run(mine.run_id).outputs.model_outputs]
        assert len(outputs) == len(set(outputs))
    assert until > 9, "so many calls change something, and it was killed at each"


def test_what_two_have_made_at_once_is_made_one(client: Any, order: Order) -> None:
    registered = carry_out(client, order)
    (first,) = models(client, order)
    twin = client.create_logged_model("0", "twin", order.run_id, dict(order.tags))
    client.create_model_version(order.name, f"models:/{first.model_id}", order.run_id, tags=dict(order.tags), model_id=first.model_id)
    assert carry_out(client, order) == registered
    assert [m.model_id for m in models(client, order)] == [first.model_id] != [twin.model_id]
    assert list(versions(client, order.name)) == [1]


def test_a_version_that_has_lost_its_model_is_made_anew(client: Any, order: Order) -> None:
    carry_out(client, order)
    client.delete_logged_model(models(client, order)[0].model_id)
    assert carry_out(client, order).version == 2
    assert list(versions(client, order.name)) == [2]
    assert champion(client, order.name) == 2


def test_the_alias_goes_to_the_better_and_stays_where_a_person_has_put_it(client: Any, order: Order) -> None:
    first = carry_out(client, order)
    worse = carry_out(client, another(order, 2, 0.6))
    assert (worse.version, worse.champion) == (2, False)
    assert worse.said == f"version 2 of {order.name} is not the champion: val_accuracy 0.6 against 0.7 of version 1"
    better = carry_out(client, another(order, 3, 0.8))
    assert (better.version, better.champion, champion(client, order.name)) == (3, True, 3)
    elsewhere = carry_out(client, another(order, 4, 0.9, digest="d2"))
    assert (elsewhere.champion, champion(client, order.name)) == (False, 3)
    client.set_registered_model_alias(order.name, ALIAS, "2")
    assert carry_out(client, another(order, 3, 0.8)).champion is False
    assert champion(client, order.name) == 2
    client.delete_registered_model_alias(order.name, ALIAS)
    assert carry_out(client, order).said == first.said
    assert versions(client, order.name)[1].tags[VERDICT] == first.said
    with pytest.raises(Exception, match="champion"):
        champion(client, order.name)


@pytest.mark.parametrize("name", ['o\'neil "x" `y` <script>', "a.b%c", "ü" * 200, "-- ; DROP"])
def test_names_that_people_choose(client: Any, order: Order, name: str) -> None:
    mine = replace(order, name=name, tags={**order.tags, MODEL_KEY: order.key + str(len(name))}, key=order.key + str(len(name)))
    assert carry_out(client, mine).name == name
    assert carry_out(client, mine).version == 1
    assert not set(logged_name(name)) & set("/:.%\"'")


def test_few_examples_of_what_is_large() -> None:
    assert len(few_of(np.zeros((5, 3, 20, 20)))) == 5
    assert len(few_of(np.zeros((5, 3, 50, 50)))) == 1
    assert len(few_of(np.zeros((5, 3, 500, 500)))) == 1


def test_the_model_names_the_versions_that_it_needs(network: Path, tmp_path: Path) -> None:
    save_model(tmp_path / "model", network, "m-1", "r")
    needed = (tmp_path / "model" / "requirements.txt").read_text().split()
    assert f"hpsearch=={hpsearch.__version__}" in needed
    assert not [line for line in needed if "+" in line or "file:" in line]
    assert not (tmp_path / "model" / "code").exists()


COMMAND = [sys.executable, "-W", "ignore", "-m", "hpsearch.tracking.registration"]


@pytest.mark.parametrize("at", ["logging the model", "registering it"])
def test_a_process_that_is_killed_leaves_no_second_version(client: Any, order: Order, at: str) -> None:
    mine = replace(order, name=f"killed {at}", key=f"killed-{len(at)}@1/7", tags={**order.tags, MODEL_KEY: f"killed-{len(at)}@1/7"})
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(asdict(mine)) + "\n")
        process.stdin.flush()
        while json.loads(process.stdout.readline())["at"] != at:
            pass
        time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    heard: list[str] = []
    registered = register(asdict(mine), heard.append)
    assert (registered.version, registered.champion) == (1, True)
    assert {"loading MLflow", "registering it"} <= {at.partition(" (")[0] for at in heard}
    assert [str(m.status) for m in models(client, mine)] == ["READY"]
    assert list(versions(client, mine.name)) == [1]


def test_a_process_ends_with_whoever_has_started_it(order: Order) -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(replace(order, tracking_uri="http://127.0.0.1:9"))) + "\n")
        process.stdin.close()
        assert process.wait(60) == 1


def test_what_fails_is_said_without_passwords(order: Order) -> None:
    with pytest.raises(TrackerError, match="the model cannot be registered: http://") as caught:
        register(asdict(replace(order, tracking_uri="http://ada:secret@127.0.0.1:9")), lambda _: None)
    assert "secret" not in str(caught.value)
