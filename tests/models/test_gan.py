import copy
import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from hpsearch.models.gan import GAN, discriminator_loss, generator_loss, slope_penalty
from hpsearch.models.gan_plan import count_parameters
from hpsearch.models.inputs import Inputs
from hpsearch.models.spectral import SpectralNorm
from hpsearch.training.flat import FlatParameters

ROW = Inputs("rows", (6,))
DIGIT = Inputs("image", (1, 8, 8))
COLOUR = Inputs("image", (3, 8, 12))


def source(seed=0):
    made = {}

    def give(name, device="cpu"):
        return made.setdefault(name, torch.Generator(device).manual_seed(seed + len(name)))

    return give


def examples(inputs, rows=5, seed=1):
    return torch.randn(rows, *inputs.shape, generator=torch.Generator().manual_seed(seed))


CASES = [(ROW, "dense"), (DIGIT, "dense"), (DIGIT, "convolutional"), (COLOUR, "convolutional")]


@pytest.mark.parametrize(("inputs", "architecture"), CASES)
def test_counts_its_parameters_and_makes_what_it_gets(inputs, architecture):
    for layers, normalization, spectral in itertools.product([1, 2], ["none", "batch"], [False, True]):
        parameters = {"architecture": architecture, "generator_layers": layers, "discriminator_layers": 2, "normalization": normalization}
        parameters |= {"spectral_normalization": spectral, "generator_units": 5, "discriminator_units": 3, "latent_size": 4}
        built = GAN(parameters, inputs, 0, source())
        assert count_parameters(parameters, inputs, 0) == sum(p.numel() for p in built.parameters())
        made = built.generator(torch.randn(7, 4, generator=torch.Generator().manual_seed(0)))
        assert made.shape == (7, *inputs.shape)
        assert built.discriminator(made).shape == (7,)
        assert inputs.kind == "rows" or float(made.detach().abs().max()) <= 1


def test_losses_are_those_of_the_papers():
    model = GAN({}, ROW, 0, source())
    model.discriminator = nn.Sequential(nn.Flatten(), Sum())
    real, fake = torch.tensor([[0.5] * 6, [-1.0] * 6]), torch.tensor([[0.25] * 6])  # outputs 3, -6 and 1.5
    chance = lambda x: 1 / (1 + math.exp(-x))  # noqa: E731
    closed = {
        "non_saturating": (
            -(math.log(chance(3)) + math.log(chance(-6))) / 2 - math.log(1 - chance(1.5)),
            -math.log(chance(1.5)),
        ),
        "hinge": ((0 + 7) / 2 + 2.5, -1.5),
        "wasserstein": (1.5 + 1.5, -1.5),
    }
    for name, (of_discriminator, of_generator) in closed.items():
        model.loss, model.gradient_penalty = name, 0.0
        assert float(discriminator_loss(model, real, fake, source())) == pytest.approx(of_discriminator, rel=1e-5)
        assert float(generator_loss(model, fake)) == pytest.approx(of_generator, rel=1e-5)


class Sum(nn.Module):
    def forward(self, x):
        return x.sum(1)


def test_the_slope_of_a_plane_is_its_weights_norm():
    plane = nn.Sequential(nn.Flatten(), nn.Linear(64, 1), nn.Flatten(0))
    penalty = slope_penalty(plane, examples(DIGIT), examples(DIGIT, seed=2), source())
    torch.testing.assert_close(penalty, (plane[1].weight.norm() - 1).square())
    penalty.backward()
    assert plane[1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("layer", [nn.Linear(7, 5), nn.Conv2d(3, 4, 3, padding=1)], ids=["linear", "convolution"])
def test_spectral_normalization_divides_by_the_largest_singular_value(layer):
    made, x = (
        SpectralNorm(layer, torch.Generator().manual_seed(0)),
        torch.randn(2, 7) if isinstance(layer, nn.Linear) else torch.randn(2, 3, 4, 4),
    )
    for _ in range(300):
        made(x)
    largest = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)
    kind = functional.linear if isinstance(layer, nn.Linear) else lambda x, w, b: functional.conv2d(x, w, b, padding=1)
    torch.testing.assert_close(made(x), kind(x, layer.weight / largest, layer.bias), rtol=1e-4, atol=1e-5)
    made.eval()
    before = made.left.clone()
    made(x)
    assert torch.equal(before, made.left)


def test_spectral_normalization_has_the_gradient_that_torchs_own_has():
    """The estimate is a function of the weight, too."""
    ours = SpectralNorm(nn.Linear(7, 5), torch.Generator().manual_seed(0)).eval()
    matrix = ours.layer.weight.detach()
    theirs = nn.utils.parametrizations.spectral_norm(copy.deepcopy(ours.layer)).eval()
    estimate = theirs.parametrizations.weight[0]
    estimate._u.copy_(ours.left)
    estimate._v.copy_(functional.normalize(matrix.T @ ours.left, dim=0))
    x = examples(Inputs("rows", (7,)))
    for module in (ours, theirs):
        module(x).square().sum().backward()
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.layer.weight.grad, theirs.parametrizations.weight.original.grad)


@pytest.mark.parametrize("architecture", ["dense", "convolutional"])
def test_spectral_normalization_of_flattened_parameters(architecture):
    """It follows the one vector, its gradients arrive there, through the penalty too, and what it estimates with is in checkpoints."""
    model = GAN({"architecture": architecture, "spectral_normalization": True, "loss": "wasserstein"}, DIGIT, 0, source())
    flat = FlatParameters(model.discriminator, torch.device("cpu"))
    layers = [module for module in model.discriminator.modules() if isinstance(module, SpectralNorm)]
    assert {id(layer.left) for layer in layers} <= {id(buffer) for buffer in model.buffers()}
    x = examples(DIGIT)
    before = model.eval().discriminator(x).detach()
    flat.values[: flat.decayed].mul_(10)
    torch.testing.assert_close(model.discriminator(x), before)
    slope_penalty(model.discriminator, x, examples(DIGIT, seed=2), source()).backward()
    assert all(layer.layer.weight.grad.any() for layer in layers)
    assert flat.gradient.isfinite().all()


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_convolutional_networks_are_those_of_torch(normalization):
    """Sides of 4, stride 2: the discriminator halves, the generator doubles."""
    parameters = {"architecture": "convolutional", "generator_units": 3, "discriminator_units": 4, "normalization": normalization}
    model = GAN(parameters, COLOUR, 0, source())
    one, two, out = (m for m in model.discriminator if hasattr(m, "weight"))
    x = examples(COLOUR)
    hidden = functional.leaky_relu(functional.conv2d(x, one.weight, one.bias, stride=2, padding=1), 0.2)
    hidden = functional.leaky_relu(functional.conv2d(hidden, two.weight, two.bias, stride=2, padding=1), 0.2)
    torch.testing.assert_close(model.discriminator(x), functional.linear(hidden.reshape(5, -1), out.weight, out.bias)[:, 0])

    def after(made):
        made = functional.batch_norm(made, None, None, training=True) if normalization == "batch" else made
        return made.relu()

    first, up, last = (m for m in model.generator if hasattr(m, "weight") and not isinstance(m, nn.BatchNorm2d))
    latent = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    made = after(functional.linear(latent, first.weight, first.bias).reshape(5, 6, 2, 3))
    made = after(functional.conv_transpose2d(made, up.weight, up.bias, stride=2, padding=1))
    made = functional.conv_transpose2d(made, last.weight, last.bias, stride=2, padding=1).tanh()
    torch.testing.assert_close(model.generator(latent), made)


def test_the_penalty_is_of_points_between_that_its_own_generator_draws():
    """Of the square's slope, which is twice the point: real 0, fake 1, so it is (2 share sqrt(64) - 1)^2."""
    real, fake, shares = torch.zeros(5, 1, 8, 8), torch.ones(5, 1, 8, 8), torch.Generator().manual_seed(7)
    random = {"penalty": torch.Generator().manual_seed(7)}
    before = torch.get_rng_state()
    penalty = slope_penalty(lambda x: x.square().flatten(1).sum(1), real, fake, lambda name, _device: random[name])
    expected = (2 * torch.rand(5, generator=shares) * 8 - 1).square().mean()
    torch.testing.assert_close(penalty, expected)
    assert torch.equal(before, torch.get_rng_state())


def test_a_discriminator_without_slope_has_a_finite_gradient():
    model = GAN({"loss": "wasserstein", "discriminator_activation": "relu"}, DIGIT, 0, source())
    for layer in (m for m in model.discriminator if isinstance(m, nn.Linear)):
        nn.init.constant_(layer.bias, -100.0)
    loss = discriminator_loss(model, examples(DIGIT), examples(DIGIT, seed=2), source())
    loss.backward()
    assert float(loss.detach()) == pytest.approx(10.0)
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("make", [lambda p, i: GAN(p, i, 0, source()), lambda p, i: count_parameters(p, i, 0)])
@pytest.mark.parametrize(
    ("parameters", "inputs", "said"),
    [
        (
            {"architecture": "convolutional"},
            ROW,
            "architecture: convolutional is for images, and an example of these data is rows; use dense",
        ),
        (
            {"architecture": "convolutional", "discriminator_layers": 4},
            DIGIT,
            "discriminator_layers: 8 x 8 pixels can be halved evenly 3 times, got 4; use at most 3, or dense",
        ),
        (
            {"architecture": "convolutional"},
            Inputs("image", (1, 7, 8)),
            "generator_layers: 7 x 8 pixels can be halved evenly 0 times, got 2; use architecture: dense",
        ),
    ],
)
def test_what_cannot_be_is_refused(make, parameters, inputs, said):
    with pytest.raises(ValueError) as error:
        make(parameters, inputs)
    assert said in str(error.value)
