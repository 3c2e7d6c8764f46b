"""In what precision a trial computes: fp32, tf32 or bf16. Weights, gradients, optimizers, losses and metrics are float32 in each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_SETTINGS: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)  # type: ignore[attr-defined]
"""Each with an `fp32_precision`. By default torch has convolutions and recurrent networks in TF32, and matrix products in float32."""


@contextmanager
def multiplying(precision: str) -> Iterator[None]:
    """What a GPU makes of float32 while this lasts: TF32 in products and convolutions for tf32, else IEEE float32.

    A worker lives on from trial to trial, and the next may be other people's code: what was set before is set again. A CPU knows no TF32.
    """
    before = [setting.fp32_precision for setting in _SETTINGS]
    try:
        for setting in _SETTINGS:
            setting.fp32_precision = "tf32" if precision == "tf32" else "ieee"
        yield
    finally:
        for setting, value in zip(_SETTINGS, before, strict=True):
            setting.fp32_precision = value


class InBfloat16(nn.Module):
    """A network whose forward pass is in bfloat16 where autocast finds that precise enough. What it gives is float32.

    Its parameters stay as they are; nothing else, the loss included, is computed in less than float32.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            output: Tensor = self.network(x)
        return output.float()


def computing(precision: str, model: nn.Module) -> nn.Module:
    """`model` in a precision: itself, but for bf16.

    A model that computes by several networks names the attributes that they are in `NETWORKS`; it stays, and these are replaced.
    """
    if precision != "bf16":
        return model
    if not (names := getattr(type(model), "NETWORKS", ())):
        return InBfloat16(model)
    for name in names:
        setattr(model, name, InBfloat16(model.get_submodule(name)))
    return model
