"""Recurrent networks: plain, LSTM and GRU, over an image's rows, a series' steps or tokens."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from itertools import pairwise
from typing import Any, Self

import torch
from torch import Tensor, nn

from hpsearch.models.dropout import Dropout, RandomSource
from hpsearch.models.hyperparameter import complete
from hpsearch.models.initialization import dense
from hpsearch.models.inputs import Inputs
from hpsearch.models.rnn_plan import HYPERPARAMETERS, layer_widths
from hpsearch.models.sequence_pooling import AttentionPooling, last_step, mean_of_steps
from hpsearch.models.steps import Steps
from hpsearch.models.tokens import TokenEmbedding, token_mask
from hpsearch.trial import Json


class RNN(nn.Module):
    """Recurrent layers, each followed by dropout, then pooling and a linear head.

    Args:
        parameters: of HYPERPARAMETERS; what is missing has its default.
        inputs: image, sequence or tokens.
        outputs: how many numbers it gives for one example.
        random: gives the trial's own random numbers for a purpose: "init" and "dropout".
    """

    def __init__(self, parameters: Mapping[str, Json], inputs: Inputs, outputs: int, random: RandomSource) -> None:
        super().__init__()
        chosen = complete(HYPERPARAMETERS, parameters)
        start = random("init", torch.device("cpu"))
        widths = layer_widths(chosen, inputs)
        self.steps = TokenEmbedding(inputs.vocabulary, widths[0], random) if inputs.kind == "tokens" else Steps(inputs)
        self.layers = nn.ModuleList(RecurrentLayer(before, chosen, start) for before, _ in pairwise(widths))
        self.dropout = nn.ModuleList(Dropout(chosen["dropout"], random) for _ in self.layers)
        self.pooling = _pooling(chosen, widths[-1], start)
        self.head = dense(widths[-1], outputs, "default", "linear", start)
        self.of_tokens = inputs.kind == "tokens"

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, *inputs.shape), tokens of int64 and padded at the end; gives (batch, outputs)."""
        steps: Tensor = self.steps(x)
        mask = token_mask(x) if self.of_tokens else steps.new_ones(steps.shape[:2], dtype=torch.bool)
        backwards = backward_order(mask)
        for layer, dropout in zip(self.layers, self.dropout, strict=True):
            steps = dropout(layer(steps, backwards))
        output: Tensor = self.head(self.pooling(steps, mask))
        return output


def backward_order(mask: Tensor) -> Tensor:
    """Of each row's steps the last that counts first; those that do not count stay behind. (batch, steps), and its own inverse."""
    place = torch.arange(mask.shape[1], device=mask.device)
    return torch.where(mask, mask.sum(1, keepdim=True) - 1 - place, place)


class RecurrentLayer(nn.Module):
    """One of torch's recurrent layers, or two that read in opposite directions, as (batch, steps, features) to (batch, steps, width).

    Each direction is a layer of its own, so that the backward one begins at a text's last token and not at its padding.
    """

    def __init__(self, features: int, chosen: Mapping[str, Json], generator: torch.Generator) -> None:
        super().__init__()
        count = 2 if chosen["bidirectional"] else 1
        self.directions = nn.ModuleList(_recurrence(features, chosen, generator) for _ in range(count))

    def train(self, mode: bool = True) -> Self:
        """The mode changes nothing that they compute, but out of training cuDNN gives no gradients, which adversarial attacks need."""
        super().train(mode)
        self.directions.train()
        return self

    def forward(self, x: Tensor, backwards: Tensor) -> Tensor:
        if len(self.directions) == 1:
            return _run(self.directions[0], x)
        ahead = _run(self.directions[0], x)
        back = _run(self.directions[1], _reordered(x, backwards))
        return torch.cat([ahead, _reordered(back, backwards)], dim=-1)


def _reordered(x: Tensor, order: Tensor) -> Tensor:
    return x.gather(1, order.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


def _run(layer: nn.Module, x: Tensor) -> Tensor:
    """The layer's outputs at all steps. cuDNN warns that weights lie apart, as they do in one vector of all parameters."""
    steps: Tensor
    with warnings.catch_warnings() if x.is_cuda else nullcontext():
        if x.is_cuda:
            warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
        steps, _ = layer(x)
    return steps


def _recurrence(features: int, chosen: Mapping[str, Json], generator: torch.Generator) -> nn.RNNBase:
    cell, hidden = chosen["cell"], chosen["hidden_size"]
    more: dict[str, Any] = {"nonlinearity": chosen["activation"]} if cell == "rnn" else {}
    layer = CELLS[cell](features, hidden, batch_first=True, device="meta", **more).to_empty(device="cpu")
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-(hidden**-0.5), hidden**-0.5, generator=generator)
        if chosen["recurrent_initialization"] == "orthogonal":
            for gate in layer.get_parameter("weight_hh_l0").split(hidden):  # type: ignore[no-untyped-call]
                nn.init.orthogonal_(gate, generator=generator)
        if cell == "lstm":  # the second of its gates forgets
            layer.get_parameter("bias_ih_l0")[hidden : 2 * hidden] = chosen["forget_bias"]
            layer.get_parameter("bias_hh_l0")[hidden : 2 * hidden] = 0.0
    return layer


CELLS: Mapping[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class LastStates(nn.Module):
    """The last step of what reads forwards, and the first of what reads backwards: each has then seen all steps."""

    def __init__(self, directions: int) -> None:
        super().__init__()
        self.directions = directions

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        ahead, *back = x.chunk(self.directions, dim=-1)
        return torch.cat([last_step(ahead, mask), *(steps[:, 0] for steps in back)], dim=-1)


class MeanOfSteps(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return mean_of_steps(x, mask)


def _pooling(chosen: Mapping[str, Json], width: int, generator: torch.Generator) -> nn.Module:
    if chosen["pooling"] == "last":
        return LastStates(2 if chosen["bidirectional"] else 1)
    return AttentionPooling(width, generator) if chosen["pooling"] == "attention" else MeanOfSteps()
