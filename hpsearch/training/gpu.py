"""The one GPU that this process sees, as the driver's library NVML shows it. Nothing is asked of CUDA, which would be initialised by it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Collection, Iterator
from typing import Any, Self

NAMES = ("gpu_0_utilization_percentage", "gpu_0_memory_usage_megabytes", "gpu_0_memory_usage_percentage", "gpu_0_power_usage_watts")
"""As MLflow calls them; 0, as a trial has one GPU, whichever of the machine's it is."""


class Gpu:
    """A device. What it does not tell (a slice of a GPU has no power of its own) is left out."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    @classmethod
    def visible(cls, environment: dict[str, str] | None = None) -> Self | None:
        """The first that CUDA_VISIBLE_DEVICES names, by number or UUID, or the machine's first; None where there is none, or no driver."""
        names = (os.environ if environment is None else environment).get("CUDA_VISIBLE_DEVICES", "0")
        first = names.split(",")[0].strip()
        try:
            import pynvml

            pynvml.nvmlInit()
        except Exception:  # not installed, or without the driver's library
            return None
        try:
            return cls(pynvml, _find(pynvml, first))
        except (pynvml.NVMLError, LookupError):
            return None

    def sample(self, pids: Collection[int]) -> dict[str, float]:
        """NAMES and their values; memory is what these processes have. Utilisation and power are the device's, whoever uses it."""
        nvml, handle = self._nvml, self._handle
        found: dict[str, float] = {}
        with self._told():
            found[NAMES[0]] = float(nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        with self._told():
            if (used := self.memory_of(pids)) is not None:
                found[NAMES[1]] = used / 1e6
                found[NAMES[2]] = 100 * used / nvml.nvmlDeviceGetMemoryInfo(handle).total
        with self._told():
            found[NAMES[3]] = nvml.nvmlDeviceGetPowerUsage(handle) / 1000
        return found

    def memory_of(self, pids: Collection[int]) -> int | None:
        """Bytes that these processes have, CUDA's own included; None where the driver knows them by other numbers, as in containers."""
        with self._told():
            running = self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
            used = [process.usedGpuMemory for process in running if process.pid in pids]
            return sum(used) if used and None not in used else None
        return None

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        with contextlib.suppress(self._nvml.NVMLError):
            yield


@functools.cache
def own_gpu() -> Gpu | None:
    """This process's, looked for once: the driver is slow to begin."""
    return Gpu.visible()


def _find(nvml: Any, name: str) -> Any:
    """By number or, as CUDA takes it, by the beginning of a UUID. Raises `LookupError`, `NVMLError`."""
    if name.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    if name.startswith("MIG-"):
        return nvml.nvmlDeviceGetHandleByUUID(name)
    by_index: Callable[[int], Any] = nvml.nvmlDeviceGetHandleByIndex
    handles = map(by_index, range(nvml.nvmlDeviceGetCount())) if name.startswith("GPU-") else ()
    for handle in handles:
        if nvml.nvmlDeviceGetUUID(handle).startswith(name):
            return handle
    raise LookupError(name)
