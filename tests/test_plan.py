"""What a sweep file asks for and would do nothing, or the contrary of what is meant, is refused before anything begins."""

from __future__ import annotations

import pytest

from hpsearch.config import load
from hpsearch.errors import ConfigError
from hpsearch.plan import make_plan
from hpsearch.trial import Resources

PACKED = Resources(1, 0.125, packed=True)

FILE = """\
task: {kind: classification, data: iris}
objective: {metric: val_accuracy, goal: maximize}
space: {learning_rate: {min: 0.1, max: 1.0}}
budget: {trials: 1}
"""


def plan(tmp_path, *overrides):
    file = tmp_path / "one.yaml"
    file.write_text(FILE)
    return make_plan(load(file, overrides))


RANGE = "{min: 0.5, max: 0.9}"


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            [f"space.momentum={RANGE}"],
            "space.momentum: does nothing, as it is only for optimizer sgd or rmsprop, which the space never has",
        ),
        ([f"space.momentum={RANGE}", "space.optimizer={values: [adam, adamw]}"], "space.momentum: does nothing"),
        (["space.nesterov={values: [true, false]}", "space.optimizer=rmsprop"], "space.nesterov: does nothing"),
        (["objective.goal=minimize"], "objective.goal: val_accuracy is better the larger it is: the goal must be maximize, got minimize"),
        (["objective=[{metric: val_loss, goal: maximize}]"], "val_loss is better the smaller it is"),
        (["tracking.register=m", "winner.top=0"], "registers the winner, and winner.top is 0, so there is none; ask for one"),
        (["tracking.register=m"], "tracking.register: registers the winner, and winner.top is 0"),
        (
            ["winner.top=1", "tracking.register=a/b:c"],
            "tracking.register: a registered model's name has no '/' and no ':', got 'a/b:c'; choose another",
        ),
        (["winner.top=1", "tracking.register=.."], "is not '.' and does not begin with '..', got '..'; choose another such as 'model'"),
    ],
)
def test_is_refused(tmp_path, overrides, said):
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, *overrides)
    assert said in str(error.value)


@pytest.mark.parametrize(
    "overrides",
    [
        [f"space.momentum={RANGE}", "space.optimizer={values: [adamw, sgd]}"],
        [f"space.momentum={RANGE}", "space.optimizer=rmsprop"],
        ["space.momentum={min: 0.5, max: 0.9, when: {optimizer: sgd}}", "space.optimizer=adamw"],  # for this run only
        ["winner.top=1", "tracking.register=digits <b>'"],
        ["space.momentum=0.9"],  # as an exported configuration may have it
    ],
)
def test_is_let_through(tmp_path, overrides):
    plan(tmp_path, *overrides)


OWN = """\
task: {kind: KIND, KEY: "mine:train"}
objective: {metric: loss, goal: minimize}
space: {learning_rate: {min: 0.1, max: 1.0}}
budget: {trials: 1}
resources: {executor: ray, gpus: auto}
"""


def test_gpus_auto_is_for_what_can_be_measured_and_moved(tmp_path):
    assert plan(tmp_path, "resources={executor: ray, gpus: auto}").rules(load(tmp_path / "one.yaml").budget).resources == PACKED
    for overrides, said in (
        (["resources.gpus=auto"], "process gives trials no GPU of their own, and resources.gpus is auto; use executor ray"),
        (["resources={executor: ray, gpus: auto}", "training.device=cpu"], "resources.gpus: auto measures what trials take of a GPU"),
    ):
        with pytest.raises(ConfigError) as error:
            plan(tmp_path, *overrides)
        assert said in str(error.value)
    for kind, key, overrides, said in (
        ("command", "run", [], "line 5: resources.gpus: auto cannot see what a command takes of a GPU"),
        ("function", "target", ["task.resumable=false"], "resources.gpus: auto moves a trial that it has measured"),
    ):
        (tmp_path / "own.yaml").write_text(OWN.replace("KIND", kind).replace("KEY", key))
        with pytest.raises(ConfigError) as error:
            make_plan(load(tmp_path / "own.yaml", overrides))
        assert said in str(error.value)


@pytest.mark.parametrize("kind", ["function", "command"])
def test_only_a_network_that_was_trained_here_is_registered(tmp_path, kind):
    own = {"function": "task={kind: function, target: 'own.py:train'}", "command": "task={kind: command, run: python own.py}"}[kind]
    with pytest.raises(ConfigError) as error:
        plan(tmp_path, own, "objective.metric=loss", "objective.goal=minimize", "tracking.register=m")
    assert "tracking.register: is not for kind " + kind in str(error.value)
    assert "leave it out, and let the code log its model" in str(error.value)
