"""Against torch's own recurrent layers, stacked and bidirectional, which pack padded sequences."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hpsearch.models.inputs import Inputs
from hpsearch.models.rnn import RNN
from hpsearch.models.rnn_plan import count_parameters
from hpsearch.models.sequence_pooling import AttentionPooling
from hpsearch.training.flat import FlatParameters

pytestmark = pytest.mark.slow

IMAGE, SERIES, TEXT = Inputs("image", (2, 6, 4)), Inputs("sequence", (5, 3)), Inputs("tokens", (6,), vocabulary=9)
IDS = torch.tensor([[3, 1, 4, 1, 5, 8], [2, 7, 0, 0, 0, 0], [6, 0, 0, 0, 0, 0], [5, 5, 2, 3, 0, 0]])
LENGTHS = torch.tensor([6, 2, 1, 4])
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


def source(seed=0):
    made = {}

    def give(name, device="cpu"):
        return made.setdefault(name, torch.Generator(device).manual_seed(seed))

    return give


def build(inputs, **parameters):
    return RNN({"hidden_size": 7, "embedding_size": 5, **parameters}, inputs, 3, source())


def reference(model, cell, features, **options):
    """torch's stacked layer with the model's weights."""
    directions = len(model.layers[0].directions)
    theirs = CELLS[cell](features, 7, len(model.layers), batch_first=True, bidirectional=directions == 2, **options)
    ours = [p for layer in model.layers for direction in layer.directions for p in direction.parameters()]
    for copy, parameter in zip(theirs.parameters(), ours, strict=True):
        copy.data.copy_(parameter.detach())
    return theirs


def last_states(states, directions):
    """(batch, directions * hidden) of the top layer, from h_n, (layers * directions, batch, hidden)."""
    hidden = states[0] if isinstance(states, tuple) else states
    return torch.cat(list(hidden[-directions:]), dim=-1)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_reads_texts_as_torch_reads_packed_sequences(cell, layers, bidirectional):
    for pooling in ("last", "mean"):
        model = build(TEXT, cell=cell, num_layers=layers, bidirectional=bidirectional, pooling=pooling)
        packed = pack_padded_sequence(model.steps(IDS), LENGTHS, batch_first=True, enforce_sorted=False)
        steps, states = reference(model, cell, 5)(packed)
        steps, lengths = pad_packed_sequence(steps, batch_first=True)
        pooled = last_states(states, 1 + bidirectional) if pooling == "last" else steps.sum(1) / lengths.unsqueeze(1)
        torch.testing.assert_close(model(IDS), model.head(pooled))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_reads_series_and_images_as_torch_does(cell, bidirectional):
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1))
    model = build(SERIES, cell=cell, num_layers=2, bidirectional=bidirectional)
    _, states = reference(model, cell, 3)(x)
    torch.testing.assert_close(model(x), model.head(last_states(states, 1 + bidirectional)))

    images = torch.randn(4, 2, 6, 4, generator=torch.Generator().manual_seed(2))
    model = build(IMAGE, cell=cell, num_layers=2, bidirectional=bidirectional)
    rows = torch.stack([torch.cat([images[:, 0, row], images[:, 1, row]], dim=1) for row in range(6)], dim=1)
    _, states = reference(model, cell, 8)(rows)
    torch.testing.assert_close(model(images), model.head(last_states(states, 1 + bidirectional)))


def test_a_plain_cell_can_have_relu():
    x = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(1))
    model = build(SERIES, cell="rnn", activation="relu")
    _, states = reference(model, "rnn", 3, nonlinearity="relu")(x)
    torch.testing.assert_close(model(x), model.head(states[-1]))


def test_a_series_of_one_feature_may_be_flat():
    x = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))
    flat, deep = build(Inputs("sequence", (5,))), build(Inputs("sequence", (5, 1)))
    assert torch.equal(flat(x), deep(x.unsqueeze(-1)))


def test_attention_pooling_by_its_equations():
    """Written out step by step, for one example at a time."""
    pool = AttentionPooling(4, torch.Generator().manual_seed(0))
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    mask = torch.tensor([[True, True, True], [True, True, False]])
    for row, length in ((0, 3), (1, 2)):
        hidden = [torch.tanh(pool.hidden.weight @ x[row, step] + pool.hidden.bias) for step in range(length)]
        weights = torch.stack([(h @ pool.context[0]).exp() for h in hidden])
        expected = sum(weight * x[row, step] for step, weight in enumerate(weights / weights.sum()))
        torch.testing.assert_close(pool(x, mask)[row], expected)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_padding_changes_nothing(pooling, bidirectional):
    model = build(TEXT, num_layers=2, bidirectional=bidirectional, pooling=pooling)
    padded = torch.cat([IDS, torch.zeros(4, 5, dtype=torch.int64)], dim=1)
    torch.testing.assert_close(model(padded), model(IDS))
    for ids, length in zip(IDS, LENGTHS, strict=True):
        torch.testing.assert_close(model(ids[None, :length])[0], model(ids[None])[0])


@pytest.mark.parametrize("pooling", ["last", "mean", "attention"])
def test_an_empty_text_has_an_output_and_a_gradient(pooling):
    model = build(TEXT, bidirectional=True, pooling=pooling)
    output = model(torch.zeros(2, 6, dtype=torch.int64))
    output.sum().backward()
    assert output.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_counts_the_parameters_of_the_built_network():
    grid = itertools.product(CELLS, (1, 2), (1, 6), (False, True), ("last", "attention"), (IMAGE, SERIES, TEXT))
    for cell, layers, hidden, bidirectional, pooling, inputs in grid:
        parameters = {"cell": cell, "num_layers": layers, "hidden_size": hidden, "bidirectional": bidirectional, "pooling": pooling}
        parameters["embedding_size"] = 5
        built = RNN(parameters, inputs, 4, source())
        assert count_parameters(parameters, inputs, 4) == sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize("cell", CELLS)
def test_starts_like_torch(cell):
    """Uniform within 1 / sqrt(hidden); five sigmas of the deviation's estimate."""
    weights = RNN({"cell": cell, "hidden_size": 64}, SERIES, 2, source()).layers[0].directions[0].weight_hh_l0.detach()
    assert weights.abs().max() <= 1 / 8
    assert weights.std() == pytest.approx(1 / 8 / 3**0.5, rel=5 / weights.numel() ** 0.5)


@pytest.mark.parametrize("cell", CELLS)
def test_orthogonal_recurrent_weights_keep_lengths_gate_by_gate(cell):
    weights = build(SERIES, cell=cell, recurrent_initialization="orthogonal").layers[0].directions[0].weight_hh_l0.detach()
    for gate in weights.split(7):
        torch.testing.assert_close(gate @ gate.T, torch.eye(7), atol=1e-5, rtol=0)


def test_the_forget_gate_starts_open_as_far_as_it_is_told():
    """With a state of zeros, no input and weights of zeros, a cell of 1 becomes sigmoid(bias)."""
    layer = build(SERIES, forget_bias=2.5).layers[0].directions[0]
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.weight_hh_l0.zero_()
        others = torch.ones(28, dtype=torch.bool)
        others[7:14] = False
        layer.bias_ih_l0[others], layer.bias_hh_l0[others] = 0.0, 0.0
    _, (_, cell) = layer(torch.zeros(1, 1, 3), (torch.zeros(1, 1, 7), torch.ones(1, 1, 7)))
    torch.testing.assert_close(cell, torch.sigmoid(torch.tensor(2.5)).expand(1, 1, 7))


def test_dropout_is_between_layers_and_before_the_head_in_training_alone():
    model = build(SERIES, num_layers=3, dropout=0.5, pooling="mean")
    seen = []
    for layer in model.layers[1:]:
        layer.register_forward_pre_hook(lambda _module, given: seen.append(float((given[0] == 0).float().mean())))
    model.head.register_forward_pre_hook(lambda _module, given: seen.append(given[0].detach()))
    x = torch.randn(64, 5, 3, generator=torch.Generator().manual_seed(1))
    model(x)
    pooled = seen.pop()
    assert seen == pytest.approx([0.5, 0.5], abs=0.06)  # over five sigmas of 2,240 draws
    model.eval()
    seen.clear()
    model(x)
    assert not torch.equal(seen.pop(), pooled)
    assert seen == [0.0, 0.0]


def test_gradients_reach_the_inputs_in_evaluation_too():
    model = build(SERIES).eval()
    FlatParameters(model, torch.device("cpu"))
    x = torch.randn(2, 5, 3, requires_grad=True)
    model(x).sum().backward()
    assert x.grad.abs().sum() > 0
