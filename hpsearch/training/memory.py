"""A packed trial's memory on the GPU that it shares: what it has taken, and a bound on what it may take."""

from __future__ import annotations

import functools
import os

import torch

from hpsearch.training.gpu import own_gpu
from hpsearch.trial import Memory, Resources

CONTEXT_BYTES = 600 * 2**20
"""What CUDA, cuBLAS and cuDNN take in a process besides torch's tensors, where the driver does not tell."""


def bound(resources: Resources) -> None:
    """Begin a count, and have torch keep to the assignment's part: what wants more runs out of memory itself, and not its neighbours."""
    if not torch.cuda.is_available():
        return
    torch.cuda.empty_cache()  # what the trial before has left
    torch.cuda.reset_peak_memory_stats()
    total: int = torch.cuda.get_device_properties(0).total_memory
    share = 1.0 if resources.gpus >= 1 else max(0.0, resources.gpus - CONTEXT_BYTES / total)
    torch.cuda.set_per_process_memory_fraction(share)


def taken() -> Memory | None:
    """The peak so far of this process, since `bound`; None where torch has used no GPU."""
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    reserved = torch.cuda.max_memory_reserved()
    return Memory(reserved + _besides(), torch.cuda.get_device_properties(0).total_memory)


@functools.cache
def _besides() -> int:
    """What the process has that torch's allocator does not know of, after its first epoch."""
    gpu = own_gpu()
    whole = gpu.memory_of({os.getpid()}) if gpu is not None else None
    return CONTEXT_BYTES if whole is None else max(0, whole - torch.cuda.memory_reserved())
