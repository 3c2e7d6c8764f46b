"""Two networks that train each other: bit-for-bit resume, rates of their own, and that the generator learns."""

import pytest
import torch
from channel import Channel

from hpsearch.models.gan import GAN
from hpsearch.models.inputs import Inputs
from hpsearch.training.duel import Duel
from hpsearch.training.loop import train
from hpsearch.training.run import run_assignment
from hpsearch.trial import Assignment, Objective, Pause, TrialKind, TrialState

EPOCHS = 4
POINT = Inputs("rows", (2,))


class Game:
    objectives = (Objective("distance", "minimize"),)

    def __init__(self, epochs=EPOCHS):
        self.epochs = epochs
        self.updates = []

    def run(self, trial):
        real = torch.randn(64, 2, generator=torch.Generator().manual_seed(0)) * 0.3 + torch.tensor([2.0, -1.0])
        model = GAN({"generator_units": 16, "discriminator_units": 16, "latent_size": 4, **trial.params}, POINT, 0, trial.generator)
        latent = torch.randn(256, 4, generator=torch.Generator().manual_seed(1))
        duel = Duel(trial, model, real, self.epochs)
        train(trial, duel, lambda model: {"distance": (model.generator(latent).mean(0) - real.mean(0)).norm()})


def run(folder, params, answers=None, checkpoint=None, task=None):
    task, channel = task or Game(), Channel(answers)
    outcome = run_assignment(task, Assignment(0, 1, TrialKind.SEARCH, params, 3, task.epochs, checkpoint), channel, folder)
    return outcome, channel.metrics


@pytest.mark.slow
@pytest.mark.parametrize(
    "params",
    [
        {"loss": "wasserstein", "discriminator_steps": 2, "batch_size": 16},
        {"loss": "hinge", "spectral_normalization": True, "dropout": 0.2, "batch_size": 16},
        {"normalization": "batch", "discriminator_learning_rate": 1e-4, "optimizer": "adam", "beta1": 0.5},
        {"normalization": "batch", "generator_average": 0.9, "spectral_normalization": True, "discriminator_steps": 3, "batch_size": 16},
    ],
)
def test_interrupted_anywhere_it_is_the_same_duel_bit_for_bit(tmp_path, params):
    _, whole = run(tmp_path / "whole", params)
    for cut in range(1, EPOCHS):
        paused, before = run(tmp_path / f"cut{cut}", params, {cut: Pause()})
        assert paused.state is TrialState.PAUSED
        _, after = run(tmp_path / f"cut{cut}", params, checkpoint=paused.checkpoint)
        assert before + after == whole


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "wasserstein"])
def test_the_generator_moves_to_where_the_data_are(tmp_path, loss):
    params = {"loss": loss, "learning_rate": 0.005, "batch_size": 32, "beta1": 0.5, "optimizer": "adam"}
    _, metrics = run(tmp_path, params, task=Game(epochs=120))
    assert metrics[0]["distance"] > 1.5
    assert min(step["distance"] for step in metrics) < 0.5


def test_a_rate_of_its_own_moves_the_discriminator_alone(tmp_path):
    _, slow = run(tmp_path / "a", {"discriminator_learning_rate": 1e-30, "batch_size": 64}, task=Game(epochs=1))
    _, same = run(tmp_path / "b", {"discriminator_learning_rate": 1e-3, "batch_size": 64}, task=Game(epochs=1))
    _, unsaid = run(tmp_path / "c", {"batch_size": 64}, task=Game(epochs=1))
    assert same == unsaid
    assert slow[0]["discriminator_loss"] == same[0]["discriminator_loss"]  # of the first update, before it
    assert slow[0]["generator_loss"] != same[0]["generator_loss"]


def test_the_generator_waits_for_the_discriminators_steps(tmp_path):
    _, metrics = run(tmp_path, {"discriminator_steps": 100, "batch_size": 16})
    assert all("generator_loss" not in step for step in metrics)
    assert len({step["distance"] for step in metrics}) == 1


def test_an_average_changes_what_is_measured_and_not_what_is_trained(tmp_path):
    params = {"normalization": "batch", "batch_size": 16, "spectral_normalization": True}
    _, plain = run(tmp_path / "a", params)
    _, averaged = run(tmp_path / "b", {**params, "generator_average": 0.9})
    for one, other in zip(plain, averaged, strict=True):
        assert one["distance"] != other["distance"]
        assert {**one, "distance": 0} == {**other, "distance": 0}


class Watched(Game):
    """Keeps the generator that is trained, and the one that is measured, as they were after each epoch."""

    def __init__(self, epochs):
        super().__init__(epochs)
        self.trained, self.measured = [], []

    def run(self, trial):
        duel = Duel(
            trial, GAN(trial.params, POINT, 0, trial.generator), torch.randn(64, 2, generator=torch.Generator().manual_seed(0)), self.epochs
        )

        def watch(model):
            for kept, network in ((self.trained, duel.model), (self.measured, model)):
                kept.append({name: tensor.clone() for name, tensor in network.generator.state_dict().items()})
            return {"distance": 0.0}

        train(trial, duel, watch)


def test_of_one_update_an_epoch_the_measured_generator_is_the_weighted_mean_of_the_trained_ones(tmp_path):
    task = Watched(epochs=3)
    outcome, _ = run(tmp_path, {"normalization": "batch", "batch_size": 64, "generator_average": 0.5}, task=task)
    assert outcome.state is TrialState.COMPLETED, outcome.reason
    first, second, third = task.trained
    for name, mean in task.measured[2].items():
        if not name.endswith("num_batches_tracked"):
            assert not torch.equal(first[name], third[name])
            torch.testing.assert_close(mean, (first[name] + 2 * second[name] + 4 * third[name]) / 7)


def test_without_an_average_what_is_measured_is_what_is_trained(tmp_path):
    task = Watched(epochs=2)
    run(tmp_path, {"batch_size": 16}, task=task)
    for trained, measured in zip(task.trained, task.measured, strict=True):
        assert all(torch.equal(trained[name], measured[name]) for name in trained)
