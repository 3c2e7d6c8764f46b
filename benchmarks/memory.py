"""What very many trials cost the controller: its peak memory, and whether late trials take longer than early ones.

`python -m benchmarks.memory [--trials N] [--json]`; the exit status is 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from pathlib import Path

from benchmarks.command import SweepRun, run_sweep

MOST_MB = 600
MOST_SLOWDOWN = 2.0
WINDOW = 100


class PeakMemory:
    """The largest resident set that a process ever had, in MB (10^6 bytes), as Linux counts it: of that process alone, not its children."""

    def __init__(self) -> None:
        self.mb = 0.0

    def look(self, pid: int) -> None:
        """Read it, while the process lives."""
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:  # it has just ended
            return
        if found := re.search(r"VmHWM:\s+(\d+) kB", status):
            self.mb = max(self.mb, int(found[1]) * 1024 / 1e6)


def first_and_last_s(run: SweepRun, window: int) -> tuple[float, float]:
    """Seconds in which the first `window` trials ended, from the first begin on, and in which the last did, from the end before them on."""
    ended = run.ended_s
    return ended[window - 1] - run.begun_s[0], ended[-1] - ended[-window - 1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--trials", type=int, default=2000, help="trials of one epoch (default: 2000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    chosen = parser.parse_args()
    window = max(1, min(WINDOW, chosen.trials // 2))
    peak = PeakMemory()
    with tempfile.TemporaryDirectory(prefix="hpsearch-memory-") as folder:
        run = run_sweep("memory.yaml", chosen.trials, Path(folder) / "home", peak.look)
    first_s, last_s = first_and_last_s(run, window)
    met = peak.mb < MOST_MB and last_s <= MOST_SLOWDOWN * first_s
    if chosen.json:
        found = {"trials": chosen.trials, "wall_s": run.wall_s, "peak_mb": peak.mb, "window": window, "first_s": first_s, "last_s": last_s}
        print(json.dumps({**found, "met": met}))
    else:
        print(f"{chosen.trials} trials of one epoch in {run.wall_s:.0f} s: {run.result['trials']}")
        print(f"the controller's peak memory: {peak.mb:.0f} MB (to be under {MOST_MB})")
        ratio = f"{last_s / first_s:.2f} times; at most {MOST_SLOWDOWN:g}"
        print(f"first {window} trials: {first_s:.2f} s, last {window}: {last_s:.2f} s ({ratio})")
        print("met" if met else "MISSED")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
