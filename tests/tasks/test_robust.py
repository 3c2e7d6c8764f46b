"""Augmentation, adversarial training and robust accuracy, as a classification uses them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from channel import Channel

from hpsearch import config
from hpsearch.errors import ConfigError, InputError
from hpsearch.models.inputs import Inputs
from hpsearch.models.mlp import MLP
from hpsearch.plan import make_plan
from hpsearch.tasks.classification import Classification
from hpsearch.tasks.robust import attack_of, check_robust
from hpsearch.tasks.splits import Shares
from hpsearch.tasks.tables import Source
from hpsearch.training import run_assignment
from hpsearch.training.attacks import PixelRange, robust_accuracy
from hpsearch.training.attacks_plan import Attack
from hpsearch.trial import Assignment, Objective, Pause, TrialKind, TrialState

pytestmark = pytest.mark.slow

OBJECTIVES = (Objective("val_accuracy", "maximize"), Objective("robust_accuracy", "maximize"))
WEAK = Attack("pgd", 0.1, 3)
EVERYTHING = {
    "augment_shift": 0.1,
    "augment_rotation": 10.0,
    "augment_scale": 0.1,
    "augment_noise": 0.1,
    "cutout": 0.2,
    "mixup": 0.2,
    "adversarial": "pgd",
    "adversarial_steps": 2,
    "dropout": 0.2,
    "label_smoothing": 0.1,
}
FILE = """
task: {{kind: classification, data: {data}, model: mlp{task}}}
objective: {objective}
space: {{learning_rate: {{min: 0.001, max: 0.1}}{space}}}
budget: {{trials: 1}}
"""


@pytest.fixture
def made(tmp_path):
    """A prepared classification of digits, few of which train."""

    def make(attack=WEAK, epochs=4, **given):
        task = Classification(Source("builtin", "digits"), Shares(0.1, 0.6, 0), OBJECTIVES, attack=attack, epochs=epochs, **given)
        task.prepare(tmp_path)
        return task

    return make


def test_robust_accuracy_is_reported_and_of_the_test_split_in_a_re_test(made, train):
    _, plain = train(made(None))
    _, searched = train(made())
    _, tested = train(made(), kind=TrialKind.RETEST)
    assert set(searched[0]) - set(plain[0]) == {"robust_accuracy"}
    apart = {"robust_accuracy": 0, "dead_units": 0}  # attacked images are examples too, for which a unit may live
    assert [step | apart for step in searched] == [step | apart for step in plain]
    assert all(ours["dead_units"] <= theirs["dead_units"] for ours, theirs in zip(searched, plain, strict=True))
    assert set(tested[-1]) - set(searched[-1]) == {"test_loss", "test_accuracy", "test_robust_accuracy"}
    assert all(step["robust_accuracy"] <= step["val_accuracy"] for step in searched)
    assert tested[-1]["test_robust_accuracy"] <= tested[-1]["test_accuracy"]


@pytest.mark.slow
def test_a_stronger_attack_leaves_less_and_training_against_it_more(made, train):
    def robust(epsilon, **parameters):
        return train(made(Attack("pgd", epsilon, 5), epochs=10), {"learning_rate": 0.01, **parameters}, until=10)[1][-1]["robust_accuracy"]

    weak, strong = robust(0.03), robust(0.1)
    assert strong < weak - 0.1
    assert robust(0.1, adversarial="pgd", adversarial_epsilon=0.15, adversarial_steps=3) > strong + 0.1


@pytest.mark.slow
@pytest.mark.parametrize("parameters", [EVERYTHING, {"adversarial": "fgsm", "adversarial_share": 1.0, "normalization": "batch"}])
def test_interrupted_it_is_the_same_training_bit_for_bit(made, tmp_path, parameters):
    task = made()

    def run(name, answers, checkpoint=None):
        channel = Channel(answers)
        assignment = Assignment(0, 1, TrialKind.SEARCH, parameters, 3, 4, checkpoint)
        return run_assignment(task, assignment, channel, tmp_path / name), channel.metrics

    torch.manual_seed(0)
    state = torch.get_rng_state()
    finished, whole = run("whole", {})
    assert finished.state is TrialState.COMPLETED, finished.reason
    assert torch.equal(torch.get_rng_state(), state)
    for cut in (1, 3):
        paused, before = run(f"cut{cut}", {cut: Pause()})
        assert before + run(f"cut{cut}", {}, paused.checkpoint)[1] == whole


@pytest.mark.parametrize("name", [name for name in EVERYTHING if name.startswith(("augment", "cutout", "mixup"))] + ["adversarial"])
def test_each_hyperparameter_reaches_the_training(made, train, name):
    task = made(None)
    _, without = train(task, until=1)
    _, with_it = train(task, {name: EVERYTHING[name]}, until=1)
    assert with_it[0]["train_loss"] != without[0]["train_loss"]


def test_rows_can_be_mixed_and_have_noise(tmp_path, train):
    task = Classification(Source("builtin", "iris"), Shares(0.2, 0.2, 0), OBJECTIVES[:1], named=("mixup", "augment_noise"))
    task.prepare(tmp_path)
    outcome, metrics = train(task, {"mixup": 0.3, "augment_noise": 0.2}, until=2)
    assert outcome.state is TrialState.COMPLETED
    assert metrics != train(task, until=2)[1]


def load(tmp_path, task="", space="", objective="{metric: val_accuracy, goal: maximize}", data="iris"):
    file = tmp_path / "sweep.yaml"
    file.write_text(FILE.format(task=task, space=space, objective=objective, data=data))
    return config.load(file)


@pytest.mark.parametrize(
    ("task", "space", "message"),
    [
        ("", ", cutout: 0.2", "cutout is not for inputs of kind rows; augment_noise and mixup can be used; leave it out of the space"),
        ("", ", augment_shift: {min: 0.0, max: 0.3}", "augment_shift is not for inputs of kind rows"),
        ("", ", adversarial: {values: [none, fgsm]}", "adversarial is for images, and these are inputs of kind rows"),
        (", metrics: [robust_accuracy]", "", "robust_accuracy is measured on images, and these are inputs of kind rows"),
        (", attack: {kind: fgsm}", "", "robust_accuracy is measured on images"),
    ],
)
def test_what_does_not_suit_rows_is_refused_in_the_file(tmp_path, task, space, message):
    loaded = load(tmp_path, task, space)
    prepared = make_plan(loaded).task
    with pytest.raises(InputError, match=message):
        prepared.prepare(tmp_path)


def test_the_attack_is_the_files_or_the_default_where_it_is_asked_for(tmp_path):
    robust = "[{metric: val_accuracy, goal: maximize}, {metric: robust_accuracy, goal: maximize}]"
    assert attack_of(load(tmp_path)) is None
    assert attack_of(load(tmp_path, ", metrics: [robust_accuracy]")) == Attack("pgd", 0.1, 10)
    assert attack_of(load(tmp_path, objective=robust)) == Attack("pgd", 0.1, 10)
    assert attack_of(load(tmp_path, ", attack: {kind: fgsm, epsilon: 0.2}")) == Attack("fgsm", 0.2, 10)
    assert attack_of(load(tmp_path, ", attack: {epsilon: 0.3, steps: 4}")) == Attack("pgd", 0.3, 4)
    task = make_plan(load(tmp_path, ", attack: {epsilon: 0.3, steps: 4}", ", mixup: 0.2")).task
    assert task.attack == Attack("pgd", 0.3, 4)
    assert set(task.named) == {"learning_rate", "mixup"}


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (", attack: {kind: fgsm, steps: 3}", "task.attack.steps: is only for kind pgd, got 3 for fgsm"),
        (", attack: {epsilon: 0}", "epsilon"),
        (", attack: {kind: cw}", "kind"),
    ],
)
def test_a_wrong_attack_is_refused(tmp_path, task, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, task)


def test_only_a_classification_is_attacked(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(FILE.format(task=", attack: {}", space="", objective="{metric: val_loss, goal: minimize}", data="diabetes"))
    with pytest.raises(ConfigError, match=r"task\.attack: is only for kind classification, and the kind is regression; remove it"):
        config.load(file, ["task.kind=regression"])


def test_images_take_all():
    check_robust("image", EVERYTHING, WEAK)


def test_the_measure_is_that_of_the_attack(made, train):
    """The last epoch's, by hand from the checkpoint."""
    task = made()
    outcome, metrics = train(task, {}, until=2)
    saved = torch.load(Path(outcome.checkpoint.uri), weights_only=True)
    model = MLP({}, Inputs("image", (1, 8, 8)), 10, lambda _, device: torch.Generator(device))
    parameters = sorted(model.parameters(), key=lambda parameter: parameter.ndim < 2)
    torch.nn.utils.vector_to_parameters(saved["state"]["learner"]["parameters"], parameters)
    with np.load(task.prepared.folder / "search.npz") as file:
        data = {name: torch.from_numpy(file[name]) for name in file.files}
    pixels = PixelRange.of(data["train_inputs"])
    left = robust_accuracy(model, data["validation_inputs"], data["validation_targets"], WEAK, pixels)
    assert metrics[-1]["robust_accuracy"] == left
