"""Gradients by layer against autograd's own, dead units of networks built by hand, and that watching a training does not change it."""

import math

import pytest
import torch
from channel import Channel
from torch import nn
from torch.nn import functional

from hpsearch.diagnosis import diagnose
from hpsearch.models import MODELS
from hpsearch.models.activation import Activation
from hpsearch.models.gan import GAN, discriminator_loss, generator_loss
from hpsearch.models.inputs import Inputs
from hpsearch.training.descent import Descent
from hpsearch.training.diagnostics import GradientNorms, activations, watching
from hpsearch.training.diagnostics_plan import DIAGNOSTIC_METRICS
from hpsearch.training.duel import Duel
from hpsearch.training.flat import FlatParameters
from hpsearch.training.loop import Lesson, Student, last_full, shuffled, train
from hpsearch.training.run import run_assignment
from hpsearch.trial import Assignment, Objective, TrialKind, TrialState

CPU = torch.device("cpu")
ROWS = Inputs("rows", (5,))


def source(seed=0):
    """A trial's generators, by purpose."""
    found = {}
    return lambda name, device=CPU: found.setdefault(name, torch.Generator(device).manual_seed(seed))


def examples(inputs, count=40):
    generator = torch.Generator().manual_seed(1)
    if inputs.kind == "tokens":
        return torch.randint(0, inputs.vocabulary, (count, *inputs.shape), generator=generator)
    return torch.randn(count, *inputs.shape, generator=generator)


FAMILIES = [
    ("mlp", ROWS, {"normalization": "batch", "num_layers": 3}),
    ("cnn", Inputs("image", (1, 8, 8)), {"normalization": "group", "residual": True}),
    ("rnn", Inputs("sequence", (6, 3)), {"bidirectional": True, "num_layers": 2}),
    ("transformer", Inputs("tokens", (6,), vocabulary=20), {"pooling": "class"}),
]


@pytest.mark.parametrize(("family", "inputs", "parameters"), FAMILIES, ids=[name for name, *_ in FAMILIES])
def test_gradients_by_layer_are_those_that_autograd_gives(family, inputs, parameters):
    model = MODELS[family].load()(parameters, inputs, 3, source())
    x, y = examples(inputs), torch.arange(40) % 3
    names, values = zip(*model.named_parameters(), strict=True)
    gradients = torch.autograd.grad(functional.cross_entropy(model(x), y), values)
    layers = {}
    for name, gradient in zip(names, gradients, strict=True):
        layers.setdefault(name.rpartition(".")[0], []).append(gradient.double().flatten())
    sizes = [float(torch.cat(parts).square().mean().sqrt()) for parts in layers.values()]
    whole = float(torch.cat([part for parts in layers.values() for part in parts]).norm())

    FlatParameters(model, CPU)
    norms = GradientNorms(model)
    assert norms.metrics() == {}
    functional.cross_entropy(model(x), y).backward()
    norms.take()
    expected = {"gradient_norm": whole, "gradient_norm_smallest": min(sizes), "gradient_norm_largest": max(sizes)}
    assert norms.metrics() == pytest.approx(expected, rel=1e-4)
    assert norms.metrics() == {}  # each is told once


def given(activation, *batches):
    """The share of dead units of an activation that gets these."""
    module = Activation(activation)
    with watching([module]) as units:
        for batch in batches:
            module(torch.tensor(batch))
    return units.metrics()["dead_units"]


@pytest.mark.parametrize(
    ("activation", "batch", "share"),
    [
        ("relu", [[-1.0, 2.0, -3.0, 0.0], [-2.0, -1.0, -0.5, 1e-3]], 0.5),
        ("gelu", [[-9.0, -3.0], [-12.0, -9.0]], 0.5),
        ("silu", [[-40.0, -9.0], [-50.0, -40.0]], 0.5),
        ("leaky_relu", [[-1.0, 0.0], [-2.0, 0.0]], 0.5),
        ("tanh", [[4.0, 4.0, -5.0, 0.1], [-4.0, 2.0, -5.0, 0.1]], 0.5),
        ("sigmoid", [[8.0, 8.0, -8.0, 0.0], [-8.0, 4.0, -8.0, 0.0]], 0.5),
        ("relu", [[math.nan, -1.0]], 0.5),
    ],
)
def test_a_unit_is_dead_that_gives_nothing_or_is_saturated_for_every_example(activation, batch, share):
    assert given(activation, batch) == share


def test_what_lives_for_one_batch_of_several_lives():
    assert given("relu", [[-1.0, -1.0, 1.0]], [[-1.0, 1.0, -1.0]]) == pytest.approx(1 / 3)
    assert given("tanh", [[9.0, 9.0, 0.0]], [[9.0, 0.0, 9.0]]) == pytest.approx(1 / 3)


def test_known_dead_units_are_counted_over_all_layers():
    model = MODELS["mlp"].load()({"hidden_units": [6, 4]}, ROWS, 2, source())
    with torch.no_grad():
        for linear, dead in zip(model.linear, (2, 3), strict=False):
            linear.bias.fill_(100.0)
            linear.weight.abs_()
            linear.weight[:dead] *= 0
            linear.bias[:dead] = -1.0
    with watching(activations(model)) as units:
        model(torch.rand(30, 5))
    assert units.metrics() == {"dead_units": 5 / 10}
    with watching(activations(model)) as units:
        pass
    assert units.metrics() == {}
    assert not any(module._forward_hooks for module in model.modules())


def test_units_of_images_and_of_steps_are_found_where_they_lie():
    """A channel of a convolution, and a number of a transformer's feed-forward part, over all places and steps."""
    cnn = MODELS["cnn"].load()({"normalization": "none", "num_blocks": 1, "channels": 8}, Inputs("image", (1, 8, 8)), 3, source())
    transformer = MODELS["transformer"].load()({"num_layers": 1, "width": 4, "activation": "relu"}, Inputs("sequence", (6, 3)), 3, source())
    for model, layer in ((cnn, cnn.layers[0].convolution), (transformer, transformer.blocks[0].feedforward.branch[0])):
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.fill_(1.0)
            layer.bias[: len(layer.bias) // 4] = -1.0
        with watching(activations(model)) as units, torch.no_grad():
            model(examples(Inputs("image", (1, 8, 8)) if model is cnn else Inputs("sequence", (6, 3))))
        assert units.metrics() == {"dead_units": 0.25}


LOSS = Objective("val_loss", "minimize")
INPUTS, TARGETS = examples(ROWS, 50), torch.arange(50) % 3


def loss_of(model, x, y):
    return functional.cross_entropy(model(x), y)


class Toy:
    """A task on random numbers; what it trains stays in `model`."""

    objectives = (LOSS,)

    def run(self, trial):
        self.model = MODELS["mlp"].load()(trial.params, ROWS, 3, trial.generator)
        student = Student(trial, self.model, Lesson(INPUTS, TARGETS, loss_of, 20))
        train(trial, student, lambda model: {"val_loss": loss_of(model, INPUTS, TARGETS)})


def run(folder, parameters, until=6, task=None):
    channel = Channel()
    outcome = run_assignment(task or Toy(), Assignment(0, 1, TrialKind.SEARCH, parameters, 3, until), channel, folder)
    return outcome, channel.metrics


def found(outcome, reports):
    return [finding.name for finding in diagnose(reports, outcome.state, outcome.reason)]


class Unwatched:
    """The same training, written out without the loop and without any diagnostic."""

    objectives = (LOSS,)

    def run(self, trial):
        chosen = {"learning_rate": 1e-3, "batch_size": 16, "optimizer": "adamw", "momentum": 0.9, "beta1": 0.9, "beta2": 0.999}
        chosen |= {"nesterov": False, "weight_decay": 0.0, "l1": 1e-3, "schedule": "constant", "warmup": 0.0, "clip_norm": 0.5}
        self.model = MODELS["mlp"].load()(trial.params, ROWS, 3, trial.generator)
        descent, order, sizes = Descent(self.model, CPU, chosen, 80), trial.generator("order"), [16, 16, 16, 2]
        for step in trial.steps():
            self.model.train()
            for index, (x, y) in enumerate(shuffled(order, sizes, INPUTS, TARGETS)):
                descent.follow(loss_of(self.model, x, y), (step - 1) * 4 + index)
            self.model.eval()
            with torch.no_grad():
                trial.report(step, {"val_loss": loss_of(self.model, INPUTS, TARGETS)})
        self.generators = trial._generators


def test_a_training_is_the_same_bit_for_bit_whether_it_is_watched_or_not(tmp_path):
    parameters = {"dropout": 0.3, "normalization": "batch", "batch_size": 16, "l1": 1e-3, "clip_norm": 0.5}
    watched, unwatched = Toy(), Unwatched()
    _, seen = run(tmp_path / "a", parameters, task=watched)
    _, unseen = run(tmp_path / "b", parameters, task=unwatched)
    assert [report["val_loss"] for report in seen] == [report["val_loss"] for report in unseen]
    ours, theirs = watched.model.state_dict(), unwatched.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert set(seen[0]) - {"train_loss", "val_loss"} == set(DIAGNOSTIC_METRICS)


def test_the_norm_is_that_before_clipping(tmp_path):
    """With one batch the gradient of the first epoch is that of the initial network."""
    model = MODELS["mlp"].load()({}, ROWS, 3, lambda name, device=CPU: torch.Generator().manual_seed(7))
    loss_of(model, INPUTS, TARGETS).backward()
    norm = float(torch.cat([p.grad.flatten() for p in model.parameters()]).norm())

    class Same(Toy):
        def run(self, trial):
            fresh = MODELS["mlp"].load()({}, ROWS, 3, lambda name, device=CPU: torch.Generator().manual_seed(7))
            train(trial, Student(trial, fresh, Lesson(INPUTS, TARGETS, loss_of, 1)), lambda _: {"val_loss": 0.0})

    _, (report,) = run(tmp_path, {"batch_size": 50, "clip_norm": 1e-3, "l1": 0.1}, until=1, task=Same())
    assert report["gradient_norm"] == pytest.approx(norm, rel=1e-5)
    assert "dead_units" not in report  # what it measures runs no network


@pytest.mark.parametrize(("batches", "index"), [([5], 0), ([5, 5], 1), ([5, 5, 2], 1), ([5, 6], 1), ([3], 0), ([1, 1, 1], 2)])
def test_the_last_full_batch(batches, index):
    assert last_full(batches) == index


def test_thirty_layers_of_sigmoids_have_a_vanishing_gradient_and_three_have_none(tmp_path):
    deep = {"activation": "sigmoid", "num_layers": 30, "hidden_units": 16}
    outcome, reports = run(tmp_path / "deep", deep)
    assert "vanishing_gradients" in found(outcome, reports)
    assert reports[-1]["gradient_norm_smallest"] < 1e-12
    outcome, reports = run(tmp_path / "flat", {**deep, "num_layers": 3, "learning_rate": 0.01})
    assert "vanishing_gradients" not in found(outcome, reports)


def test_a_learning_rate_that_is_far_too_large_diverges(tmp_path):
    outcome, reports = run(tmp_path, {"optimizer": "sgd", "learning_rate": 1e20, "activation": "gelu"})
    assert outcome.state is TrialState.DIVERGED
    (first, *_) = diagnose(reports, outcome.state, outcome.reason)
    assert first.name == "divergence"
    assert f"at step {len(reports)}" in first.reason


def test_a_gradient_explodes_on_its_way_to_divergence(tmp_path):
    outcome, reports = run(tmp_path, {"optimizer": "sgd", "learning_rate": 300.0, "batch_size": 50})
    assert found(outcome, reports) == ["divergence", "exploding_gradients"]


def test_units_that_have_died_are_found(tmp_path):
    outcome, reports = run(tmp_path, {"learning_rate": 1.0, "batch_size": 10, "hidden_units": 16}, until=8)
    assert "dead_units" in found(outcome, reports)
    assert reports[0]["dead_units"] < reports[-1]["dead_units"]


def test_of_a_duel_the_generators_gradient_is_told(tmp_path):
    """One batch, one update of each: its gradient through the discriminator, which has learned once."""
    point, real = Inputs("rows", (2,)), torch.randn(16, 2, generator=torch.Generator().manual_seed(0))
    parameters = {"generator_units": 8, "discriminator_units": 8, "batch_size": 16, "optimizer": "sgd", "momentum": 0.0}

    class Game:
        objectives = ()

        def run(self, trial):
            model = GAN(trial.params, point, 0, trial.generator)
            train(trial, Duel(trial, model, real, 1), lambda model: {"made": model(torch.zeros(3, model.latent_size)).sum()})

    _, (report,) = run(tmp_path, parameters, until=1, task=Game())

    class ByHand(Game):
        def run(self, trial):
            model = GAN(trial.params, point, 0, trial.generator)
            latent = trial.generator("latent")
            draw = lambda: torch.randn(16, model.latent_size, generator=latent)  # noqa: E731
            order = torch.randperm(16, generator=trial.generator("order"))
            loss = discriminator_loss(model, real[order], model.generator(draw()).detach(), trial.generator)
            own = list(model.discriminator.parameters())
            with torch.no_grad():
                for parameter, gradient in zip(own, torch.autograd.grad(loss, own), strict=True):
                    parameter -= 1e-3 * gradient
            gradients = torch.autograd.grad(generator_loss(model, model.generator(draw())), list(model.generator.parameters()))
            self.norm = float(torch.cat([gradient.flatten() for gradient in gradients]).norm())

    by_hand = ByHand()
    run(tmp_path / "by-hand", parameters, until=1, task=by_hand)
    assert report["gradient_norm"] == pytest.approx(by_hand.norm, rel=1e-5)
    assert 0 <= report["dead_units"] <= 1


def test_a_hook_of_others_is_left_alone():
    seen = []
    module = Activation("relu")
    module.register_forward_hook(lambda *_: seen.append(1))
    with watching([module]):
        module(torch.ones(2, 3))
    nn.Sequential(module)(torch.ones(2, 3))
    assert seen == [1, 1]
