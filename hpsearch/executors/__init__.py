"""Where trainings run. An executor is entered, `run` with a controller, and left; its class is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping

EXECUTORS: Mapping[str, str | None] = {
    "inline": "hpsearch.executors.inline:InlineExecutor",
    "process": "hpsearch.executors.process:ProcessExecutor",
    "ray": "hpsearch.executors.ray:RayExecutor",
    "simulated": None,
}
"""Name -> `module:class`, made with a `Job` and a `Room`; None where it is not available yet."""
