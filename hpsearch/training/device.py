"""Where a trial trains."""

from __future__ import annotations

import torch

from hpsearch.errors import InputError


def choose(wanted: str, gpus: float) -> torch.device:
    """The device: `wanted` is cpu, cuda or auto, which is cuda for an assignment that was given a GPU.

    Raises:
        InputError: cuda is wanted and there is none.
    """
    if wanted == "cpu" or (wanted == "auto" and gpus == 0):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise InputError("training.device: cuda, but torch sees no GPU here; use auto or cpu, or install torch's CUDA build")
    return torch.device("cuda")
