import itertools

import pytest
import torch
from torch import distributions, nn
from torch.nn import functional

from hpsearch.models.autoencoder import Autoencoder
from hpsearch.models.autoencoder_plan import count_parameters
from hpsearch.models.inputs import Inputs
from hpsearch.training.flat import FlatParameters

pytestmark = pytest.mark.slow

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


@pytest.mark.slow
@pytest.mark.parametrize(("inputs", "architecture"), CASES)
def test_counts_its_parameters_and_gives_back_the_shape_it_got(inputs, architecture):
    for layers, normalization, variational in itertools.product([0, 1, 3], ["none", "batch"], [False, True]):
        parameters = {"architecture": architecture, "num_layers": layers, "normalization": normalization, "variational": variational}
        parameters |= {"hidden_units": 9, "channels": 3, "bottleneck": 4}
        built = Autoencoder(parameters, inputs, 0, source())
        assert count_parameters(parameters, inputs, 0) == sum(p.numel() for p in built.parameters())
        x = examples(inputs)
        assert built(x).output.shape == x.shape
        assert built.encode(x).shape == (5, 4)
        assert built.decode(torch.zeros(2, 4)).shape == (2, *inputs.shape)


@pytest.mark.slow
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


def test_a_variational_code_is_drawn_with_its_mean_and_variance():
    """Through an identity, from an encoder of biases alone: mean 2, variance 1 / 4. Five sigmas of 120,000 draws."""
    model = Autoencoder({"num_layers": 0, "bottleneck": 6, "variational": True}, ROW, 0, source())
    encoder, decoder = model.encoder[1], model.decoder[0]
    nn.init.zeros_(encoder.weight)
    encoder.bias.data.copy_(torch.cat([torch.full((6,), 2.0), torch.full((6,), 0.25).log()]))
    nn.init.eye_(decoder.weight)
    nn.init.zeros_(decoder.bias)
    drawn = model(torch.zeros(20_000, 6)).output.detach()
    assert float(drawn.mean()) == pytest.approx(2.0, abs=5 * 0.5 / 120_000**0.5)
    assert float(drawn.std()) == pytest.approx(0.5, rel=5 / 240_000**0.5)


@pytest.mark.slow
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
@pytest.mark.parametrize(
    ("inputs", "layers", "said"),
    [
        (ROW, None, "architecture: convolutional is for images, and an example of these data is rows; use dense"),
        (DIGIT, 4, "num_layers: 8 x 8 pixels are a single one after 3 halvings, got 4; use at most 3, or dense"),
        (Inputs("image", (1, 1, 9)), 5, "num_layers: 1 x 9 pixels are a single one after 4 halvings, got 5"),
        (Inputs("image", (1, 2, 2)), None, "num_layers: 2 x 2 pixels are a single one after 1 halvings, got 2"),
    ],
)
def test_what_cannot_be_is_refused(make, inputs, layers, said):
    with pytest.raises(ValueError) as error:
        make({"architecture": "convolutional", "num_layers": layers}, inputs)
    assert said in str(error.value)


def test_halves_to_a_single_pixel_and_back():
    inputs = Inputs("image", (1, 1, 9))
    assert Autoencoder({"architecture": "convolutional", "num_layers": 4}, inputs, 0, source())(examples(inputs)).output.shape == (
        5,
        1,
        1,
        9,
    )


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_convolves_and_transposes_as_torch_does(normalization):
    model = Autoencoder({"architecture": "convolutional", "normalization": normalization, "activation": "tanh"}, ODD, 0, source())
    first, second, to_code = (m for m in model.encoder if hasattr(m, "weight") and not isinstance(m, nn.BatchNorm2d))
    from_code, third, fourth = (m for m in model.decoder if hasattr(m, "weight") and not isinstance(m, nn.BatchNorm2d))

    def after(x):
        x = functional.batch_norm(x, None, None, training=True) if normalization == "batch" else x
        return x.tanh()

    x = examples(ODD)
    code = after(functional.conv2d(x, first.weight, first.bias, stride=2, padding=1))  # 7 x 5 to 4 x 3
    code = after(functional.conv2d(code, second.weight, second.bias, stride=2, padding=1))  # to 2 x 2
    code = functional.linear(code.reshape(5, -1), to_code.weight, to_code.bias)
    back = functional.linear(code, from_code.weight, from_code.bias).reshape(5, 32, 2, 2)
    back = after(functional.conv_transpose2d(back, third.weight, third.bias, stride=2, padding=1, output_padding=(1, 0)))
    back = functional.conv_transpose2d(back, fourth.weight, fourth.bias, stride=2, padding=1)
    torch.testing.assert_close(model.encode(x), code)
    torch.testing.assert_close(model(x).output, back)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["dense", "convolutional"])
def test_a_great_kl_weight_leaves_the_code_nothing_to_say(architecture):
    """Its divergence from N(0, 1) falls to near zero; without weight it grows."""
    divergence = {}
    for weight in (0.0, 100.0):
        model = Autoencoder({"architecture": architecture, "variational": True, "kl_weight": weight, "bottleneck": 4}, DIGIT, 0, source())
        optimizer, x = torch.optim.Adam(model.parameters(), 0.003), examples(DIGIT, 16)
        for _ in range(60):
            optimizer.zero_grad()
            model.loss(x).backward()
            optimizer.step()
        model.eval()
        made = model(x)
        divergence[weight] = float(0.5 * (made.mean**2 + made.log_variance.exp() - 1 - made.log_variance).mean().detach())
    assert divergence[100.0] < 0.02
    assert divergence[0.0] > 0.2
