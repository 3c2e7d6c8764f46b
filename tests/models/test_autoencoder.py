import itertools

import pytest
import torch
from torch import distributions

from hpsearch.models.autoencoder import Autoencoder
from hpsearch.models.autoencoder_plan import count_parameters
from hpsearch.models.inputs import Inputs
from hpsearch.training.flat import FlatParameters

ROW = Inputs("rows", (6,))
DIGIT = Inputs("image", (1, 8, 8))
ODD = Inputs("image", (2, 7, 5))
SERIES = Inputs("sequence", (5, 3))


def source(seed=0):
    made = {}

    def give(name, device="cpu"):
        return made.setdefault(name, torch.Generator(device).manual_seed(seed + len(name)))

    return give


def examples(inputs, rows=5):
    return torch.randn(rows, *inputs.shape, generator=torch.Generator().manual_seed(1))


CASES = [(inputs, "dense") for inputs in (ROW, DIGIT, ODD, SERIES)] + [(inputs, "convolutional") for inputs in (DIGIT, ODD)]


@pytest.mark.parametrize(("inputs", "architecture"), CASES)
def test_counts_its_parameters_and_gives_back_the_shape_it_got(inputs, architecture):
    for layers, normalization, variational in itertools.product([0, 1, 4], ["none", "batch"], [False, True]):
        parameters = {"architecture": architecture, "num_layers": layers, "normalization": normalization, "variational": variational}
        parameters |= {"hidden_units": 9, "channels": 3, "bottleneck": 4}
        built = Autoencoder(parameters, inputs, 0, source())
        assert count_parameters(parameters, inputs, 0) == sum(p.numel() for p in built.parameters())
        x = examples(inputs)
        assert built(x).output.shape == x.shape
        assert built.encode(x).shape == (5, 4)
        assert built.decode(torch.zeros(2, 4)).shape == (2, *inputs.shape)


def test_its_loss_is_the_squared_error_and_the_divergence_that_torch_gives():
    x = examples(DIGIT)
    plain, varied = Autoencoder({}, DIGIT, 0, source()), Autoencoder({"variational": True, "kl_weight": 0.3}, DIGIT, 0, source())
    torch.testing.assert_close(plain.loss(x), ((plain(x).output - x) ** 2).mean())
    varied.eval()
    made = varied(x)
    theirs = distributions.kl_divergence(
        distributions.Normal(made.mean, (0.5 * made.log_variance).exp()), distributions.Normal(torch.zeros(16), torch.ones(16))
    ).sum()
    torch.testing.assert_close(varied.loss(x), ((made.output - x) ** 2).mean() + 0.3 * theirs / x.numel())


def test_noise_and_draws_are_of_training_alone_and_from_the_given_generator():
    x = examples(DIGIT)
    for parameters in ({"denoising": 0.5}, {"variational": True}):
        model = Autoencoder(parameters, DIGIT, 0, source())
        again = Autoencoder(parameters, DIGIT, 0, source())
        before = torch.get_rng_state()
        first = model(x).output
        assert torch.equal(first, again(x).output)
        assert not torch.equal(first, model(x).output)
        model.eval()
        assert torch.equal(model(x).output, model(x).output)
        assert torch.equal(before, torch.get_rng_state())


def test_denoising_adds_noise_of_its_deviation():
    """To an identity: no hidden layer, and weights that give back what they get."""
    model = Autoencoder({"num_layers": 0, "bottleneck": 6, "denoising": 0.7}, ROW, 0, source())
    for layer in (model.encoder[1], model.decoder[0]):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    assert float(model(torch.zeros(20_000, 6)).output.detach().std()) == pytest.approx(0.7, rel=0.02)  # 9 sigma of 120,000 draws


@pytest.mark.parametrize("architecture", ["dense", "convolutional"])
def test_learns_a_batch_by_heart(architecture):
    model = Autoencoder({"architecture": architecture, "bottleneck": 16}, DIGIT, 0, source())
    flat, x = FlatParameters(model, torch.device("cpu")), examples(DIGIT, 8)
    square = torch.zeros_like(flat.values)
    for _ in range(500):
        flat.gradient.zero_()
        model.loss(x).backward()
        square.mul_(0.99).addcmul_(flat.gradient, flat.gradient, value=0.01)
        flat.values.addcdiv_(flat.gradient, square.sqrt().add_(1e-8), value=-0.002)
    assert model.loss(x) < 0.05


@pytest.mark.parametrize("make", [lambda p, i: Autoencoder(p, i, 0, source()), lambda p, i: count_parameters(p, i, 0)])
def test_convolutions_of_rows_are_refused(make):
    with pytest.raises(ValueError, match="architecture: convolutional is for images, and an example of these data is rows; use dense"):
        make({"architecture": "convolutional"}, ROW)
