"""Which device is the trial's own, with a driver of our own where the real one cannot run; tests/gpu asks the real one."""

import sys
from types import SimpleNamespace

import pytest

from hpsearch.training.gpu import NAMES, Gpu


class NVMLError(Exception):
    pass


class Driver:
    """NVML of a machine with three GPUs; a handle is a device's number. The second tells no power."""

    NVMLError = NVMLError
    uuids = ("GPU-aaaa1111", "GPU-aaaa2222", "GPU-bbbb3333", "MIG-cccc4444")

    def nvmlInit(self):  # noqa: N802
        pass

    def nvmlDeviceGetCount(self):  # noqa: N802
        return 3

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        if index >= 3:
            raise NVMLError("invalid argument")
        return index

    def nvmlDeviceGetUUID(self, handle):  # noqa: N802
        return self.uuids[handle]

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        return self.uuids.index(uuid)

    def nvmlDeviceGetUtilizationRates(self, handle):  # noqa: N802
        return SimpleNamespace(gpu=10 * handle)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        return [SimpleNamespace(pid=7, usedGpuMemory=3_000_000_000), SimpleNamespace(pid=8, usedGpuMemory=1_000_000_000)]

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        return SimpleNamespace(total=16_000_000_000, used=9_000_000_000)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):  # noqa: N802
        return 700_000

    def nvmlDeviceGetPowerUsage(self, handle):  # noqa: N802
        if handle == 1:
            raise NVMLError("not supported")
        return 250_500


@pytest.fixture
def driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", Driver())


@pytest.mark.parametrize(
    ("visible", "utilisation"),
    [
        ({}, 0),
        ({"CUDA_VISIBLE_DEVICES": "2"}, 20),
        ({"CUDA_VISIBLE_DEVICES": "1,0"}, 10),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bbbb3333"}, 20),
        ({"CUDA_VISIBLE_DEVICES": "GPU-aaaa2"}, 10),
        ({"CUDA_VISIBLE_DEVICES": "MIG-cccc4444"}, 30),
    ],
)
def test_the_trials_own_device_is_found_by_number_or_uuid(driver, visible, utilisation):
    assert Gpu.visible(visible).sample({7})[NAMES[0]] == utilisation


@pytest.mark.parametrize("name", ["", "-1", "7", "GPU-dddd", "NoDevFiles"])
def test_where_none_is_visible_there_is_none(driver, name):
    assert Gpu.visible({"CUDA_VISIBLE_DEVICES": name}) is None


def test_memory_is_that_of_the_trials_processes_and_power_in_watts(driver):
    assert Gpu.visible({}).sample({7, 9}) == {
        "gpu_0_utilization_percentage": 0.0,
        "gpu_0_memory_usage_megabytes": 3000.0,
        "gpu_0_memory_usage_percentage": 18.75,
        "gpu_0_power_usage_watts": 250.5,
    }
    assert Gpu.visible({}).sample({7, 8})["gpu_0_memory_usage_megabytes"] == 4000.0


def test_what_the_driver_does_not_tell_is_left_out(driver):
    assert set(Gpu.visible({"CUDA_VISIBLE_DEVICES": "1"}).sample({9})) == {"gpu_0_utilization_percentage"}


@pytest.mark.slow
def test_the_names_are_mlflows(driver, monkeypatch):
    """Its own monitor is asked, with the same driver beneath it."""
    from hpsearch.tracking.quiet import import_mlflow

    import_mlflow()
    from mlflow.system_metrics.metrics import gpu_monitor

    monkeypatch.setattr(gpu_monitor, "pynvml", Driver())
    monitor = gpu_monitor.GPUMonitor()
    monitor.collect_metrics()
    assert set(NAMES) < set(monitor.aggregate_metrics())
