"""Measurements against others and against our own promises: `python -m benchmarks.overhead`, `python -m benchmarks.memory`."""
