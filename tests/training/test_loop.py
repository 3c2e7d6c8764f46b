"""The loop: bit-for-bit resume, and freedom from whatever else the process does with random numbers."""

import itertools

import numpy as np
import pytest
import torch
from channel import Channel
from torch.nn import functional

from hpsearch.models import MODELS
from hpsearch.models.inputs import Inputs
from hpsearch.training.loop import Lesson, Student, batch_sizes, train
from hpsearch.training.run import run_assignment
from hpsearch.training.stopping import Patience
from hpsearch.trial import Assignment, Continue, Objective, Pause, TrialKind, TrialState

pytestmark = pytest.mark.slow

EPOCHS = 6
FIVE = Inputs("rows", (5,))
KINDS = {"rows": FIVE, "image": Inputs("image", (1, 8, 8)), "sequence": Inputs("sequence", (6, 3))}
SMALL = {
    "cnn": {"channels": 16, "pooling": "flatten"},
    "rnn": {"hidden_size": 12},
    "transformer": {"width": 12, "num_heads": 2, "num_layers": 1, "patch_size": 4, "feedforward_factor": 2},
}
PREDICTING = [name for name, entry in MODELS.items() if entry.predicts]
EACH_MODEL = pytest.mark.parametrize("model", ["mlp", *(pytest.param(n, marks=pytest.mark.slow) for n in PREDICTING if n != "mlp")])
LOSS = Objective("val_loss", "minimize")


def data(examples=50, inputs=FIVE, classes=3):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(examples, *inputs.shape, generator=generator), torch.randint(0, classes, (examples,), generator=generator)


def cross_entropy(model, x, y):
    return functional.cross_entropy(model(x), y)


class Toy:
    """A task on random numbers."""

    objectives = (LOSS,)

    def __init__(self, model="mlp", examples=50, patience=None, epochs=EPOCHS):
        self.model, self.examples, self.patience, self.epochs = model, examples, patience, epochs

    def run(self, trial):
        inputs = KINDS[MODELS[self.model].inputs[0]]
        x, y = data(self.examples, inputs)

        def measure(model):
            outputs = model(x)
            return {"val_loss": functional.cross_entropy(outputs, y), "sum": outputs.sum()}

        model = MODELS[self.model].load()({**SMALL.get(self.model, {}), **trial.params}, inputs, 3, trial.generator)
        train(trial, Student(trial, model, Lesson(x, y, cross_entropy, self.epochs)), measure, Patience(LOSS, self.patience))


def run(folder, params, answers=None, checkpoint=None, until=EPOCHS, task=None, seed=3, name="a", **options):
    channel = Channel(answers)
    assignment = Assignment(0, 1, TrialKind.SEARCH, params, seed, until, checkpoint)
    outcome = run_assignment(task or Toy(), assignment, channel, folder / name, **options)
    return outcome, [dict(report.metrics) for report in channel.reports]


CONFIGURATIONS = [
    {"dropout": 0.3},
    {"dropout": 0.3, "normalization": "batch", "optimizer": "sgd", "momentum": 0.9, "nesterov": True, "schedule": "one_cycle"},
    {"normalization": "layer", "optimizer": "adam", "schedule": "cosine", "warmup": 0.2, "weight_decay": 0.01},
    {"dropout": 0.5, "optimizer": "rmsprop", "schedule": "step", "warmup": 5, "clip_norm": 0.5, "l1": 1e-3, "batch_size": 7},
]


def allowed(model, params):
    """Without the values that this family does not have."""
    known = {hyperparameter.name: hyperparameter.allowed for hyperparameter in MODELS[model].hyperparameters}
    return {name: value for name, value in params.items() if name not in known or any(value in way for way in known[name])}


@EACH_MODEL
@pytest.mark.parametrize("params", CONFIGURATIONS)
def test_interrupted_anywhere_it_is_the_same_training_bit_for_bit(tmp_path, model, params):
    task = Toy(model)
    params = allowed(model, params)
    _, whole = run(tmp_path, params, task=task)
    for cut in range(1, EPOCHS):
        paused, before = run(tmp_path, params, {cut: Pause()}, task=task, name=f"cut{cut}")
        assert paused.state is TrialState.PAUSED
        _, after = run(tmp_path, params, checkpoint=paused.checkpoint, task=task, name=f"cut{cut}")
        assert before + after == whole


def test_interrupted_at_every_step_it_is_the_same_training(tmp_path):
    params = CONFIGURATIONS[1]
    _, whole = run(tmp_path, params)
    checkpoint, pieces = None, []
    for step in range(1, EPOCHS + 1):
        outcome, metrics = run(tmp_path, params, {step: Pause()}, checkpoint, name="pieces")
        checkpoint = outcome.checkpoint
        pieces += metrics
    assert pieces == whole


def test_told_to_go_on_it_is_the_same_training(tmp_path):
    _, whole = run(tmp_path, CONFIGURATIONS[0])
    _, longer = run(tmp_path, CONFIGURATIONS[0], {2: Continue(4), 4: Continue(EPOCHS)}, until=2, name="b")
    assert longer == whole


def test_numbers_depend_on_the_seed_alone(tmp_path):
    """Not on torch's, NumPy's or Python's global state, nor on what ran before; and they leave it alone."""
    torch.manual_seed(1)
    np.random.seed(1)
    _, first = run(tmp_path, CONFIGURATIONS[0])
    torch.manual_seed(2)
    run(tmp_path, CONFIGURATIONS[3], seed=9, name="other")
    state = torch.get_rng_state()
    _, second = run(tmp_path, CONFIGURATIONS[0], name="again")
    assert first == second
    assert torch.equal(state, torch.get_rng_state())
    _, other = run(tmp_path, CONFIGURATIONS[0], seed=4, name="seed")
    assert other != first


@EACH_MODEL
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop"])
def test_every_optimizer_learns_one_batch_by_heart(tmp_path, model, optimizer):
    rate = {"sgd": 0.1, "rmsprop": 0.003}.get(optimizer, 0.01)
    params = {"optimizer": optimizer, "learning_rate": rate, "batch_size": 16}
    _, metrics = run(tmp_path, params, task=Toy(model, examples=16), until=150)
    assert metrics[-1]["train_loss"] < 0.02


def test_early_stopping_completes_and_says_so(tmp_path):
    outcome, metrics = run(tmp_path, {"learning_rate": 1e-12}, task=Toy(patience=2, epochs=50), until=50)
    assert outcome.state is TrialState.COMPLETED
    assert outcome.reason.startswith("early stopping: val_loss has not improved")
    assert len(metrics) < 50
    assert outcome.checkpoint.step == len(metrics)


def test_early_stopping_whose_end_was_lost_trains_no_further(tmp_path):
    """A kill between the last report and the end: the next attempt goes on from the last step's checkpoint."""
    stopped, _ = run(tmp_path, {"learning_rate": 1e-12}, task=Toy(patience=2, epochs=50), until=50)
    again, metrics = run(tmp_path, {"learning_rate": 1e-12}, checkpoint=stopped.checkpoint, task=Toy(patience=2, epochs=50), until=50)
    assert again == stopped
    assert metrics == []


def test_a_schedule_runs_over_the_full_training_however_far_this_trial_goes(tmp_path):
    params = {"schedule": "cosine"}
    _, whole = run(tmp_path, params)
    _, short = run(tmp_path, params, until=2, name="short")
    assert short == whole[:2]


def test_clipping_bounds_the_step(tmp_path):
    """Plain gradient descent moves the parameters by learning rate times norm, at most."""
    x, y = data()
    seen = []

    class Watched(Toy):
        def run(self, trial):
            model = MODELS["mlp"].load()(trial.params, FIVE, 3, trial.generator)
            start = torch.cat([p.detach().flatten() for p in model.parameters()])
            train(trial, Student(trial, model, Lesson(x, y, cross_entropy, EPOCHS)), lambda _: {})
            seen.append(float((torch.cat([p.detach().flatten() for p in model.parameters()]) - start).norm()))

    params = {"optimizer": "sgd", "momentum": 0.0, "learning_rate": 1.0, "batch_size": 50}
    run(tmp_path, {**params, "clip_norm": 1e-3}, task=Watched(), until=1)
    run(tmp_path, params, task=Watched(), until=1, name="free")
    assert seen[0] == pytest.approx(1e-3, rel=1e-3)
    assert seen[1] > 2e-3


def test_l1_makes_weights_smaller_in_sum(tmp_path):
    sums = []

    class Watched(Toy):
        def run(self, trial):
            model = MODELS["mlp"].load()(trial.params, FIVE, 3, trial.generator)
            x, y = data()
            train(trial, Student(trial, model, Lesson(x, y, cross_entropy, 30)), lambda _: {})
            sums.append(sum(float(p.detach().abs().sum()) for p in model.parameters() if p.ndim == 2))

    for index, l1 in enumerate((0.0, 0.01)):
        run(tmp_path, {"l1": l1}, task=Watched(), until=30, name=str(index))
    assert sums[1] < 0.7 * sums[0]


def test_a_training_that_explodes_diverges(tmp_path):
    outcome, metrics = run(tmp_path, {"optimizer": "sgd", "learning_rate": 1e20, "activation": "gelu"})
    assert outcome.state is TrialState.DIVERGED
    assert "loss is" in outcome.reason
    assert f"at step {len(metrics)}" in outcome.reason


@pytest.mark.parametrize(
    ("examples", "batch_size", "sizes"),
    [(10, 5, [5, 5]), (12, 5, [5, 5, 2]), (11, 5, [5, 6]), (3, 5, [3]), (6, 5, [6]), (4, 1, [1, 1, 1, 1]), (1, 5, [1])],
)
def test_batch_sizes(examples, batch_size, sizes):
    assert batch_sizes(examples, batch_size) == sizes


@pytest.mark.parametrize(("examples", "batch_size"), list(itertools.product((2, 9, 65), (1, 8, 64))))
def test_an_epoch_sees_every_example_once(tmp_path, examples, batch_size):
    """With a rate of next to nothing the mean loss of the batches is the loss of the whole."""
    task = Toy(examples=examples)
    _, metrics = run(tmp_path, {"learning_rate": 1e-30, "batch_size": batch_size}, task=task, until=1)
    assert metrics[0]["train_loss"] == pytest.approx(metrics[0]["val_loss"], rel=1e-5)
