"""Against the formulas' standard deviations; tolerances are five sigmas of the estimate: a false failure is rarer than one in a million."""

import math

import pytest
import torch
from torch import nn

from hpsearch.models.initialization import dense

INPUTS, OUTPUTS = 200, 300


def layer(initialization, activation="relu"):
    return dense(INPUTS, OUTPUTS, initialization, activation, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("initialization", "activation", "bound"),
    [
        ("default", "relu", 1 / math.sqrt(INPUTS)),
        ("xavier", "relu", math.sqrt(2) * math.sqrt(6 / (INPUTS + OUTPUTS))),
        ("xavier", "tanh", 5 / 3 * math.sqrt(6 / (INPUTS + OUTPUTS))),
        ("xavier", "sigmoid", math.sqrt(6 / (INPUTS + OUTPUTS))),
        ("kaiming", "relu", math.sqrt(2) * math.sqrt(3 / INPUTS)),
        ("kaiming", "gelu", math.sqrt(2) * math.sqrt(3 / INPUTS)),
    ],
)
def test_uniform_initialisations(initialization, activation, bound):
    weight = layer(initialization, activation).weight.detach()
    assert weight.abs().max() <= bound
    deviation = bound / math.sqrt(3)
    assert abs(weight.mean()) < 5 * deviation / math.sqrt(weight.numel())
    assert weight.std() == pytest.approx(deviation, rel=5 / math.sqrt(weight.numel()))


def test_default_is_that_of_torch():
    ours, theirs = layer("default"), nn.Linear(INPUTS, OUTPUTS)
    assert ours.weight.detach().std() == pytest.approx(float(theirs.weight.detach().std()), rel=0.02)
    assert ours.bias.detach().std() == pytest.approx(float(theirs.bias.detach().std()), rel=0.2)


def test_orthogonal_columns_are_orthogonal_and_as_long_as_the_gain():
    weight = layer("orthogonal").weight.detach()
    torch.testing.assert_close(weight.T @ weight, 2 * torch.eye(INPUTS), atol=1e-4, rtol=0)


@pytest.mark.parametrize("initialization", ["xavier", "kaiming", "orthogonal"])
def test_biases_start_at_zero(initialization):
    assert not layer(initialization).bias.detach().any()
