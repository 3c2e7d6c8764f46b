import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional

from hpsearch.models.cnn import CNN
from hpsearch.models.cnn_plan import count_parameters, groups
from hpsearch.models.dropout import Dropout
from hpsearch.models.inputs import Inputs

DIGIT = Inputs("image", (1, 8, 8))
COLOUR = Inputs("image", (3, 7, 9))
SERIES = Inputs("sequence", (11, 3))
WORDS = Inputs("tokens", (9,), vocabulary=20)


def source(seed=0):
    made = {}

    def give(name, device="cpu"):
        return made.setdefault(name, torch.Generator(device).manual_seed(seed))

    return give


def examples(inputs, rows=5):
    generator = torch.Generator().manual_seed(1)
    if inputs.kind == "tokens":
        return torch.randint(0, inputs.vocabulary, (rows, *inputs.shape), generator=generator)
    return torch.randn(rows, *inputs.shape, generator=generator)


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [DIGIT, COLOUR, SERIES, WORDS], ids=["digit", "colour", "series", "words"])
@pytest.mark.parametrize("downsampling", ["max_pool", "average_pool", "stride", "none"])
def test_counts_the_parameters_of_the_built_network(inputs, downsampling):
    grid = itertools.product([1, 5], [1, 2], [False, True], ["none", "batch", "group"], [("average", 0), ("flatten", 7)])
    for blocks, layers, residual, normalization, (pooling, hidden) in grid:
        parameters = {
            "num_blocks": blocks, "layers_per_block": layers, "residual": residual, "normalization": normalization, "pooling": pooling,
            "hidden_units": hidden, "downsampling": downsampling, "channels": 4, "channel_growth": 1.5, "embedding_size": 6,
        }  # fmt: skip
        built = CNN(parameters, inputs, 3, source())
        assert count_parameters(parameters, inputs, 3) == sum(p.numel() for p in built.parameters())
        assert built(examples(inputs)).shape == (5, 3)


@pytest.mark.parametrize(
    ("normalization", "made"), [("none", nn.Identity), ("batch", nn.BatchNorm2d), ("group", lambda c: nn.GroupNorm(groups(c), c))]
)
@pytest.mark.parametrize(("downsampling", "halve"), [("max_pool", nn.MaxPool2d), ("average_pool", nn.AvgPool2d)])
def test_computes_what_the_same_layers_of_torch_compute(normalization, made, downsampling, halve):
    parameters = {
        "num_blocks": 2,
        "channels": 6,
        "normalization": normalization,
        "downsampling": downsampling,
        "kernel_size": 5,
        "activation": "silu",
    }
    model = CNN(parameters, DIGIT, 3, source())
    modules = []
    for layer in model.layers:
        ours = layer.convolution
        theirs = nn.Conv2d(ours.in_channels, ours.out_channels, 5, padding=2, bias=normalization == "none")
        theirs.load_state_dict(ours.state_dict())
        modules += [theirs, made(ours.out_channels), nn.SiLU(), halve(2)]
    reference = nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), model.head[-1])
    torch.testing.assert_close(model(examples(DIGIT)), reference(examples(DIGIT)))


def test_over_steps_it_computes_what_conv1d_computes():
    model = CNN({"num_blocks": 1, "normalization": "none", "pooling": "max"}, SERIES, 2, source())
    x = examples(SERIES)
    theirs = nn.functional.conv1d(x.transpose(1, 2), model.layers[0].convolution.weight, model.layers[0].convolution.bias, padding=1)
    theirs = nn.functional.max_pool1d(theirs.relu(), 2, ceil_mode=True).amax(2)
    torch.testing.assert_close(model(x), model.head[-1](theirs))


def test_a_residual_layer_adds_what_it_got():
    model = CNN(
        {"num_blocks": 1, "layers_per_block": 2, "channels": 1, "residual": True, "downsampling": "none", "normalization": "none"},
        DIGIT,
        2,
        source(),
    )
    for layer in model.layers:
        nn.init.zeros_(layer.convolution.weight)
        nn.init.zeros_(layer.convolution.bias)
    x = examples(DIGIT).abs()
    torch.testing.assert_close(model(x), model.head[-1](x.mean((2, 3))))


@pytest.mark.parametrize("downsampling", ["stride", "max_pool"])
def test_where_shapes_differ_a_residual_layer_projects_what_it_got(downsampling):
    parameters = {
        "residual": True,
        "downsampling": downsampling,
        "normalization": "none",
        "num_blocks": 1,
        "channels": 6,
        "channel_growth": 1.0,
    }
    model = CNN(parameters, COLOUR, 2, source())
    (layer,), x, stride = model.layers, examples(COLOUR), 2 if downsampling == "stride" else 1
    convolved = functional.conv2d(x, layer.convolution.weight, layer.convolution.bias, stride=stride, padding=1)
    expected = (convolved + functional.conv2d(x, layer.projection.weight, stride=stride)).relu()
    expected = expected if downsampling == "stride" else functional.max_pool2d(expected, 2, ceil_mode=True)
    assert expected.shape == (5, 6, 4, 5)
    torch.testing.assert_close(model(x), model.head[-1](expected.mean((2, 3))))


def test_tokens_are_embedded_convolved_and_put_through_the_head():
    model = CNN(
        {"num_blocks": 1, "normalization": "none", "pooling": "flatten", "hidden_units": 5, "downsampling": "none"}, WORDS, 2, source()
    )
    ids, (layer,) = examples(WORDS), model.layers
    vectors = model.embedding(ids).transpose(1, 2)
    given = functional.conv1d(vectors, layer.convolution.weight, layer.convolution.bias, padding=1).relu()
    torch.testing.assert_close(model(ids), model.head[1](model.head[0](given.flatten(1)).relu()))


def test_dropout_is_at_the_end_of_each_block_and_in_the_head_in_training_alone():
    model = CNN({"dropout": 0.5, "layers_per_block": 2, "hidden_units": 200, "normalization": "none"}, DIGIT, 2, source())
    seen = []
    for module in model.modules():
        if isinstance(module, Dropout):
            module.register_forward_hook(lambda _module, given, made: seen.append(float((made[given[0] != 0] == 0).float().mean())))
    x = examples(DIGIT, 100)
    model(x)
    assert seen == pytest.approx([0.0, 0.5, 0.0, 0.5, 0.5], abs=0.05)  # the head's 10,000 or so: ten sigmas
    seen.clear()
    model.eval()(x)
    assert seen == [0.0] * 5


def test_one_pixel_is_not_halved_any_more():
    assert CNN({"num_blocks": 6, "channel_growth": 1.0}, DIGIT, 2, source())(examples(DIGIT)).shape == (5, 2)


@pytest.mark.parametrize("make", [lambda p: CNN(p, DIGIT, 2, source()), lambda p: count_parameters(p, DIGIT, 2)], ids=["built", "counted"])
def test_an_even_window_is_refused(make):
    with pytest.raises(ValueError, match="kernel_size must be odd, so that a window has a middle, got 4"):
        make({"kernel_size": 4})


@pytest.mark.parametrize(("channels", "count"), [(1, 1), (7, 7), (8, 8), (12, 6), (11, 1), (32, 8)])
def test_groups_divide_the_channels(channels, count):
    assert groups(channels) == count
