"""The transformer encoder, over an image's patches, a series' steps or tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from hpsearch.models.activation import Activation
from hpsearch.models.attention import SelfAttention
from hpsearch.models.dropout import Dropout, RandomSource
from hpsearch.models.initialization import dense
from hpsearch.models.inputs import Inputs
from hpsearch.models.positions import SPREAD, LearnedPositions, SinusoidalPositions
from hpsearch.models.sequence_pooling import last_step, mean_of_steps
from hpsearch.models.steps import Patches, Steps
from hpsearch.models.tokens import TokenEmbedding, token_mask
from hpsearch.models.transformer_plan import settle, token_shape
from hpsearch.trial import Json


class Transformer(nn.Module):
    """Steps are embedded, told their positions, attend to each other block by block, and are pooled for a linear head.

    Args:
        parameters: of HYPERPARAMETERS; what is missing has its default.
        inputs: image, sequence or tokens.
        outputs: how many numbers it gives for one example.
        random: gives the trial's own random numbers for a purpose: "init" and "dropout".

    Reference: Vaswani et al., arXiv 1706.03762; of images, Dosovitskiy et al., arXiv 2010.11929.
    """

    def __init__(self, parameters: Mapping[str, Json], inputs: Inputs, outputs: int, random: RandomSource) -> None:
        super().__init__()
        chosen = settle(parameters, inputs)
        start, width = random("init", torch.device("cpu")), chosen["width"]
        self.embedding = _embedding(chosen, inputs, random)
        self.positions = _positions(chosen, inputs, start)
        self.dropout = Dropout(chosen["dropout"], random)
        self.first = nn.Parameter(torch.randn(1, width, generator=start) * SPREAD) if chosen["pooling"] == "class" else None
        self.blocks = nn.ModuleList(Block(chosen, random) for _ in range(chosen["num_layers"]))
        self.norm = nn.LayerNorm(width) if chosen["pre_norm"] else nn.Identity()
        self.pooling = POOLINGS[chosen["pooling"]]
        self.head = dense(width, outputs, "default", "linear", start)
        self.of_tokens = inputs.kind == "tokens"

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, *inputs.shape), tokens of int64 and padded at the end; gives (batch, outputs)."""
        steps: Tensor = self.dropout(self.positions(self.embedding(x)))
        mask = token_mask(x) if self.of_tokens else steps.new_ones(steps.shape[:2], dtype=torch.bool)
        if self.first is not None:
            steps = torch.cat([self.first.expand(len(steps), 1, -1), steps], dim=1)
            mask = functional.pad(mask, (1, 0), value=True)
        visible = mask if self.of_tokens else None
        for block in self.blocks:
            steps = block(steps, visible)
        output: Tensor = self.head(self.pooling(self.norm(steps), mask))
        return output


POOLINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": mean_of_steps,
    "class": lambda x, _mask: x[:, 0],
    "last": last_step,
}


class Block(nn.Module):
    """Self-attention, then two linear layers at each step by itself; each adds to what it gets."""

    def __init__(self, chosen: Mapping[str, Json], random: RandomSource) -> None:
        super().__init__()
        start, width = random("init", torch.device("cpu")), chosen["width"]
        residual = PreNorm if chosen["pre_norm"] else PostNorm
        hidden = chosen["feedforward_factor"] * width
        feedforward = nn.Sequential(
            dense(width, hidden, "default", "linear", start),
            Activation(chosen["activation"], axis=-1),
            dense(hidden, width, "default", "linear", start),
        )
        self.attention = residual(SelfAttention(width, chosen["num_heads"], start), width, Dropout(chosen["dropout"], random))
        self.feedforward = residual(feedforward, width, Dropout(chosen["dropout"], random))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        output: Tensor = self.feedforward(self.attention(x, mask))
        return output


class PreNorm(nn.Module):
    """x + dropout(branch(norm(x))). Reference: Xiong et al., arXiv 2002.04745."""

    def __init__(self, branch: nn.Module, width: int, dropout: Dropout) -> None:
        super().__init__()
        self.branch, self.norm, self.dropout = branch, nn.LayerNorm(width), dropout

    def forward(self, x: Tensor, *mask: Tensor | None) -> Tensor:
        added: Tensor = self.dropout(self.branch(self.norm(x), *mask))
        return x + added


class PostNorm(nn.Module):
    """norm(x + dropout(branch(x)))."""

    def __init__(self, branch: nn.Module, width: int, dropout: Dropout) -> None:
        super().__init__()
        self.branch, self.norm, self.dropout = branch, nn.LayerNorm(width), dropout

    def forward(self, x: Tensor, *mask: Tensor | None) -> Tensor:
        output: Tensor = self.norm(x + self.dropout(self.branch(x, *mask)))
        return output


def _embedding(chosen: Mapping[str, Json], inputs: Inputs, random: RandomSource) -> nn.Module:
    width = chosen["width"]
    if inputs.kind == "tokens":
        return TokenEmbedding(inputs.vocabulary, width, random)
    read = Patches(chosen["patch_size"]) if inputs.kind == "image" else Steps(inputs)
    _, features = token_shape(chosen, inputs)
    return nn.Sequential(read, dense(features, width, "default", "linear", random("init", torch.device("cpu"))))


def _positions(chosen: Mapping[str, Json], inputs: Inputs, generator: torch.Generator) -> nn.Module:
    steps, _ = token_shape(chosen, inputs)
    if chosen["positional_encoding"] == "learned":
        return LearnedPositions(steps, chosen["width"], generator)
    return SinusoidalPositions(steps, chosen["width"]) if chosen["positional_encoding"] == "sinusoidal" else nn.Identity()
