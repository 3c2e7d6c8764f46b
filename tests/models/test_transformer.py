"""Against torch's own attention and encoder, convolution, and closed forms."""

import itertools
import math

import pytest
import torch
from torch import nn

from hpsearch.models.attention import SelfAttention
from hpsearch.models.inputs import Inputs
from hpsearch.models.positions import SinusoidalPositions
from hpsearch.models.steps import Patches
from hpsearch.models.transformer import Transformer
from hpsearch.models.transformer_plan import count_parameters, settle

IMAGE, SERIES, TEXT = Inputs("image", (2, 8, 12)), Inputs("sequence", (5, 3)), Inputs("tokens", (6,), vocabulary=9)
IDS = torch.tensor([[3, 1, 4, 1, 5, 8], [2, 7, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0], [5, 5, 2, 3, 0, 0]])


def source(seed=0):
    made = {}

    def give(name, device="cpu"):
        return made.setdefault(name, torch.Generator(device).manual_seed(seed))

    return give


def build(inputs, **parameters):
    return Transformer({"width": 8, "num_heads": 2, **parameters}, inputs, 3, source())


def normal(*shape, seed=1):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def copy_attention(theirs, ours):
    theirs.in_proj_weight.data.copy_(ours.project.weight.detach())
    theirs.in_proj_bias.data.copy_(ours.project.bias.detach())
    theirs.out_proj.load_state_dict(ours.output.state_dict())


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_attends_as_torch_does(heads):
    ours = SelfAttention(8, heads, torch.Generator().manual_seed(0))
    theirs = nn.MultiheadAttention(8, heads, batch_first=True)
    copy_attention(theirs, ours)
    x = normal(4, 6, 8)
    for mask in (None, IDS != 0):
        expected, _ = theirs(x, x, x, key_padding_mask=None if mask is None else ~mask)
        torch.testing.assert_close(ours(x, mask), expected)


@pytest.mark.parametrize("pre_norm", [True, False])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_encodes_as_torch_does(pre_norm, activation):
    """Two blocks, whose normalizations have been made anything but neutral, and what follows them."""
    model = build(TEXT, pre_norm=pre_norm, activation=activation, feedforward_factor=3)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            parameter.data.copy_(normal(*parameter.shape, seed=len(name)))
    layer = nn.TransformerEncoderLayer(8, 2, 24, 0.0, activation, batch_first=True, norm_first=pre_norm)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    for copy, block in zip(theirs.layers, model.blocks, strict=True):
        copy_attention(copy.self_attn, block.attention.branch)
        copy.norm1.load_state_dict(block.attention.norm.state_dict())
        copy.norm2.load_state_dict(block.feedforward.norm.state_dict())
        copy.linear1.load_state_dict(block.feedforward.branch[0].state_dict())
        copy.linear2.load_state_dict(block.feedforward.branch[2].state_dict())
    mask = IDS != 0
    encoded = model.norm(theirs(model.positions(model.embedding(IDS)), src_key_padding_mask=~mask))
    pooled = torch.stack([steps[kept].mean(0) for steps, kept in zip(encoded, mask, strict=True)])
    torch.testing.assert_close(model(IDS), model.head(pooled))


@pytest.mark.parametrize("width", [8, 7, 1])
def test_sinusoidal_positions_by_their_formula(width):
    added = SinusoidalPositions(50, width)(torch.zeros(1, 50, width))[0]
    for step, index in itertools.product(range(50), range(width)):
        angle = step / 10_000 ** (2 * (index // 2) / width)
        assert added[step, index] == pytest.approx(math.cos(angle) if index % 2 else math.sin(angle), abs=1e-6)


@pytest.mark.parametrize("side", [1, 2, 4])
def test_patches_and_their_embedding_are_a_strided_convolution(side):
    x = normal(3, 2, 8, 12)
    linear = nn.Linear(2 * side * side, 5)
    convolution = nn.Conv2d(2, 5, side, stride=side)
    convolution.weight.data.copy_(linear.weight.detach().view(5, 2, side, side))
    convolution.bias.data.copy_(linear.bias.detach())
    torch.testing.assert_close(linear(Patches(side)(x)), convolution(x).flatten(2).transpose(1, 2))


@pytest.mark.parametrize(
    ("shape", "side"), [((1, 8, 8), 2), ((1, 28, 28), 7), ((3, 32, 32), 8), ((1, 8, 12), 2), ((1, 7, 5), 1), ((1, 2, 2), 1)]
)
def test_the_default_patches_fit(shape, side):
    assert settle({}, Inputs("image", shape))["patch_size"] == side
    assert Transformer({}, Inputs("image", shape), 3, source())(torch.zeros(2, *shape)).shape == (2, 3)


@pytest.mark.parametrize(
    ("inputs", "parameters", "said"),
    [
        (
            IMAGE,
            {"patch_size": 3},
            "patch_size must divide the image's sides, 8 and 12, got 3; these do: 1, 2, 4",
        ),
        (
            SERIES,
            {"width": 20, "num_heads": 8},
            "width must be a multiple of num_heads, got width 20 and num_heads 8; use width 16 or 24, or heads of 1, 2, 4, 5, 10",
        ),
        (
            SERIES,
            {"width": 3},
            "width must be a multiple of num_heads, got width 3 and num_heads 4; use width 4, or heads of 1, 3",
        ),
        (SERIES, {"pooling": "max"}, "unknown pooling 'max'"),
    ],
)
def test_says_which_values_do_not_go_together_before_and_when_it_is_built(inputs, parameters, said):
    for make in (lambda: count_parameters(parameters, inputs, 3), lambda: Transformer(parameters, inputs, 3, source())):
        with pytest.raises(ValueError) as error:
            make()
        assert said in str(error.value)


@pytest.mark.slow
def test_counts_the_parameters_of_the_built_network():
    grid = itertools.product((1, 3), (1, 4), (1, 3), (True, False), ("learned", "none"), ("mean", "class"), (IMAGE, SERIES, TEXT))
    for layers, heads, factor, pre_norm, positions, pooling, inputs in grid:
        parameters = {"num_layers": layers, "num_heads": heads, "feedforward_factor": factor, "pre_norm": pre_norm, "width": 8}
        parameters |= {"positional_encoding": positions, "pooling": pooling}
        built = Transformer(parameters, inputs, 4, source())
        assert count_parameters(parameters, inputs, 4) == sum(p.numel() for p in built.parameters())
    assert count_parameters({"positional_encoding": "sinusoidal"}, IMAGE, 4) == count_parameters({"positional_encoding": "none"}, IMAGE, 4)


@pytest.mark.parametrize("pooling", ["mean", "class", "last"])
@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
def test_padding_changes_nothing(pooling, positions):
    model = build(TEXT, pooling=pooling, positional_encoding=positions)
    for ids in IDS:
        alone = ids[ids != 0]
        torch.testing.assert_close(model(alone[None])[0], model(ids[None])[0])
    torch.testing.assert_close(torch.cat([model(ids[None]) for ids in IDS]), model(IDS))


@pytest.mark.parametrize("pooling", ["mean", "class", "last"])
def test_an_empty_text_has_an_output_and_a_gradient(pooling):
    model = build(TEXT, pooling=pooling)
    output = model(torch.zeros(2, 6, dtype=torch.int64))
    output.sum().backward()
    assert output.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_only_positions_tell_the_order():
    x = normal(2, 5, 3)
    shuffled = x[:, [3, 0, 4, 1, 2]]
    unordered = build(SERIES, positional_encoding="none")
    torch.testing.assert_close(unordered(shuffled), unordered(x))
    for positions in ("learned", "sinusoidal"):
        ordered = build(SERIES, positional_encoding=positions)
        assert not torch.allclose(ordered(shuffled), ordered(x), atol=1e-4)


def test_pooling_takes_the_steps_that_it_names():
    x = normal(2, 5, 3)
    for pooling, pooled in (
        ("mean", lambda steps: steps.mean(1)),
        ("class", lambda steps: steps[:, 0]),
        ("last", lambda steps: steps[:, -1]),
    ):
        model = build(SERIES, pooling=pooling)
        seen = []
        model.norm.register_forward_hook(lambda _module, _given, output, seen=seen: seen.append(output))
        output = model(x)
        assert seen[0].shape[1] == (6 if pooling == "class" else 5)
        torch.testing.assert_close(output, model.head(pooled(seen[0])))


def test_dropout_is_on_what_is_embedded_and_on_what_each_branch_adds():
    model = build(SERIES, dropout=0.5, width=64)
    shares = {}
    for name, module in model.named_modules():
        if name.endswith("dropout"):
            module.register_forward_hook(lambda _m, _given, output, name=name: shares.update({name: float((output == 0).float().mean())}))
    model(normal(32, 5, 3))
    assert len(shares) == 5
    assert all(abs(share - 0.5) < 5 * (0.25 / (32 * 5 * 64)) ** 0.5 for share in shares.values())
