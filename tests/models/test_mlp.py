import itertools

import pytest
import torch
from torch import nn

from hpsearch.models.inputs import Inputs
from hpsearch.models.mlp import MLP
from hpsearch.models.mlp_plan import count_parameters, hidden_widths

FOUR = Inputs("rows", (4,))


def source(seed=0):
    made = {}

    def give(name, device="cpu"):
        return made.setdefault(name, torch.Generator(device).manual_seed(seed))

    return give


@pytest.mark.parametrize("normalization", ["none", "batch", "layer"])
@pytest.mark.parametrize("layers", [None, 0, 1, 2, 5])
@pytest.mark.parametrize("units", [1, 17, [8], [8, 3, 5]])
def test_counts_the_parameters_of_the_built_network(layers, units, normalization):
    parameters = {"num_layers": layers, "hidden_units": units, "normalization": normalization}
    for inputs, outputs in [(Inputs("rows", (1,)), 1), (Inputs("rows", (9,)), 4), (Inputs("image", (2, 3, 4)), 10)]:
        built = MLP(parameters, inputs, outputs, source())
        assert count_parameters(parameters, inputs, outputs) == sum(p.numel() for p in built.parameters())
        assert built(torch.zeros(2, *inputs.shape)).shape == (2, outputs)


@pytest.mark.parametrize(
    ("units", "layers", "widths"),
    [(64, None, [64, 64]), (64, 3, [64] * 3), (64, 0, []), ([8, 4], None, [8, 4]), ([8, 4], 1, [8]), ([8, 4], 4, [8, 4, 4, 4])],
)
def test_widths(units, layers, widths):
    assert hidden_widths({"hidden_units": units, "num_layers": layers}) == widths


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("relu", nn.ReLU),
        ("gelu", nn.GELU),
        ("silu", nn.SiLU),
        ("tanh", nn.Tanh),
        ("sigmoid", nn.Sigmoid),
        ("leaky_relu", lambda: nn.LeakyReLU(0.2)),
    ],
)
@pytest.mark.parametrize(("normalization", "made"), [("none", nn.Identity), ("batch", nn.BatchNorm1d), ("layer", nn.LayerNorm)])
def test_computes_what_the_same_layers_of_torch_compute(name, module, normalization, made):
    model = MLP({"activation": name, "normalization": normalization, "hidden_units": [6, 5]}, FOUR, 3, source())
    modules = itertools.chain.from_iterable((linear, made(linear.out_features), module()) for linear in model.linear[:-1])
    reference = nn.Sequential(*modules, model.linear[-1])
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(model(x), reference(x))


def test_the_seed_decides_the_weights():
    first, again, other = (MLP({}, FOUR, 3, source(seed)).linear[0].weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_value_that_is_not_allowed_is_refused():
    with pytest.raises(ValueError, match="did you mean 'relu'"):
        MLP({"activation": "rellu"}, FOUR, 3, source())
