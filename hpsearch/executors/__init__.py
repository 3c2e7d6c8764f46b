"""Where trainings run. An executor is entered, `run` with a controller, and left; its class is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping

EXECUTORS: Mapping[str, str | None] = {
    "inline": "hpsearch.executors.inline:InlineExecutor",
    "process": "hpsearch.executors.process:ProcessExecutor",
    "ray": None,
    "simulated": None,
}
"""Name -> `module:class`, made with a `Job` and the number of workers; None where it is not available yet."""
