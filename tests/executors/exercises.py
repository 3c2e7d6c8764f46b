"""Tasks that do what trainings do to their workers. A module of its own, because worker processes import it."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.trial import Objective


@dataclass
class Exercise:
    """Counts: `total` is 1 + 2 + … + step, kept in checkpoints."""

    resumable = True
    objectives = (Objective("total", "maximize"),)
    code = None
    step_s: float = 0.0
    folder: Path | None = None

    def run(self, trial: Any) -> None:
        saved = trial.load_checkpoint()
        total = saved["total"] if saved else 0
        print(f"attempt {trial.attempt} begins after step {trial.from_step}")
        for step in trial.steps():
            self.misbehave(trial, step)
            time.sleep(self.step_s)
            total += step
            trial.report(step, {"total": total}, checkpoint=lambda total=total: {"total": total})

    def misbehave(self, trial: Any, step: int) -> None:
        """What this one does wrong."""


class Counts(Exercise):
    pass


class Floods(Exercise):
    """Reports without a pause, and without checkpoints."""

    def run(self, trial: Any) -> None:
        for step in trial.steps():
            trial.report(step, {"total": step})


class DiesOnce(Exercise):
    """The first attempt's worker is killed in step 4."""

    def misbehave(self, trial: Any, step: int) -> None:
        if trial.attempt == 1 and step == 4:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class DiesUnbegun(Exercise):
    """So many workers end while they are given the task."""

    times: int = 1

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        assert self.folder is not None
        deaths = len(list(self.folder.glob("death-*")))
        if deaths < self.times:
            (self.folder / f"death-{deaths}").touch()
            os._exit(7)


class ExitsAlways(Exercise):
    def misbehave(self, trial: Any, step: int) -> None:
        os._exit(7)


class Raises(Exercise):
    def misbehave(self, trial: Any, step: int) -> None:
        raise ValueError(f"no step {step} for trial {trial.number}")


class Hangs(Exercise):
    """Trial 0 never ends its second step, and does not care for SIGTERM."""

    def misbehave(self, trial: Any, step: int) -> None:
        if trial.number == 0 and step == 2:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(3600)


class WaitsInTheThirdStep(Exercise):
    """Until there is a file `go` in `folder`."""

    def misbehave(self, trial: Any, step: int) -> None:
        assert self.folder is not None
        while step == 3 and not (self.folder / "go").exists():
            time.sleep(0.05)


class TellsItsProcess(Exercise):
    """Leaves its pid and thread count in `folder`."""

    def misbehave(self, trial: Any, step: int) -> None:
        import torch

        assert self.folder is not None
        (self.folder / f"{trial.number}").write_text(f"{os.getpid()} {torch.get_num_threads()}")


@dataclass
class Hungry(Exercise):
    """Takes memory of a GPU of 16 GB, so many GB as its trial's number says; it runs out where its part is smaller. Leaves notes of both.

    A part holds what it is a part of: that is what `training/memory.py` has torch keep to, on a machine with a GPU.
    """

    needs: tuple[float, ...] = ()
    notes: Path | None = None

    def misbehave(self, trial: Any, step: int) -> None:
        need, gpus = self.needs[trial.number], trial.assignment.resources.gpus
        if need > 16 * gpus:
            raise MemoryError(f"{need:g} GB wanted of {16 * gpus:g}")
        trial.note_memory(int(need * 1e9), 16_000_000_000)

    def run(self, trial: Any) -> None:
        began = time.time()
        try:
            super().run(trial)
        finally:
            assert self.notes is not None
            line = f"{trial.number} {trial.assignment.resources.gpus} {began} {time.time()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n"
            with self.notes.open("a") as file:
                file.write(line)
