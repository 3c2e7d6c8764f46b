"""A driver for a Ray head with one CPU: work that runs, work that waits, and work that never gets a place. Ends when its input does.

python load.py HEAD:PORT
"""

from __future__ import annotations

import sys

import ray
from ray.util.placement_group import placement_group


@ray.remote(num_cpus=1)
class Busy:
    def work(self) -> str:
        return "done"


@ray.remote(num_cpus=1)
def wait_for_a_place() -> None:
    pass


ray.init(sys.argv[1], log_to_driver=False)
running = Busy.remote()
print(ray.get(running.work.remote()), flush=True)
waiting = [Busy.remote(), wait_for_a_place.remote(), placement_group([{"CPU": 8}])]
sys.stdin.read()
