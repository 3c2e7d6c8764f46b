"""Any command as a task: a script in any language, unmodified if it prints what counts. No shell is involved."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Self

from hpsearch.errors import InputError
from hpsearch.tasks.command_files import restore, snapshot
from hpsearch.tasks.command_output import STEP, JsonLines, Patterns, Reader
from hpsearch.tasks.command_words import Told, placeholders, split_words
from hpsearch.tasks.own_code import OwnCode
from hpsearch.tasks.supervised import Supervised, describe_status
from hpsearch.trial import Outcome, TrialState

if TYPE_CHECKING:
    from hpsearch.config import SweepConfig
    from hpsearch.training.trial import Trial

LINGER_S = 60.0
"""How long a command may go on after its last step, to save its model for example, before it is ended."""

_OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError", "CUDA out of memory", "DefaultCPUAllocator")


class CommandTask(OwnCode):
    """Runs a command for each attempt, in the sweep file's folder, and reads its metrics from what it prints."""

    def __init__(self, config: SweepConfig) -> None:
        assert config.task.run is not None, "a sweep file without a command is refused before"
        self.words = split_words(config.task.run)
        self.patterns: Mapping[str, str] = dict(config.task.patterns)
        super().__init__(config, self.words)
        self.metrics = tuple(self.patterns) or self.metrics

    @classmethod
    def from_config(cls, config: SweepConfig) -> Self:
        return cls(config)

    def prepare(self, folder: Path) -> None:
        """See Task. Raises `InputError` where the program is not there, or the script that Python is to run."""
        program, *words = self.words
        if not placeholders(program) and shutil.which(self._located(program), path=_search_path()) is None:
            if Path(self._located(program)).is_file():
                raise InputError(f"{program} may not be executed; make it so (chmod +x {program}), or name what runs it")
            raise InputError(f"there is no program {program!r}, and no shell that would know another; give its path, or install it")
        script = words[0] if words and Path(program).name.startswith("python") else ""
        if script.endswith(".py") and not placeholders(script) and not (self.directory / script).is_file():
            raise InputError(f"there is no script {script!r} in {self.directory}; paths are relative to the sweep file")

    def run(self, trial: Trial) -> None:
        """See Task."""
        self.tell(trial)
        saved = trial.load_checkpoint()
        if trial.from_step >= trial.until_step:
            return
        folder = trial.folder / f"attempt-{trial.attempt}"
        _remove_left_over(trial.folder)
        try:
            restore(folder / "checkpoint", saved)
            trial.outcome = self._supervise(trial, folder) or trial.outcome
        except InputError as error:
            trial.outcome = Outcome(TrialState.FAILED, str(error))
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _supervise(self, trial: Trial, folder: Path) -> Outcome | None:
        """Run the command; how the trial has ended, where it is not as its steps say."""
        told = self._told(trial, folder)
        environment = _environment(trial.assignment.resources.cpus) | told.environment()
        words = told.words(self.words)
        words[0] = self._located(words[0])
        checkpoints = folder / "checkpoint"
        with Supervised(words, self.directory, environment, folder, folder / "metrics.jsonl", _print) as command:
            trial.usage.of(command.pid)
            reader = self._reader()
            reports = _reports(command, reader)
            for step in trial.steps():
                if (metrics := next(reports, None)) is None:
                    return _ended_early(command, trial, step, reader)
                _check_step(metrics, step)
                kept = {name: value for name, value in metrics.items() if name != STEP}
                trial.report(step, kept, checkpoint=lambda: snapshot(checkpoints))
            return _ended_in_time(command) if trial.outcome is None else None

    def _reader(self) -> Reader:
        needed = [*(objective.metric for objective in self.objectives), *self.metrics]
        return Patterns(self.patterns) if self.patterns else JsonLines(needed)

    def _told(self, trial: Trial, folder: Path) -> Told:
        parameters = dict(trial.params)
        (folder / "params.json").write_text(json.dumps(parameters), "utf-8")
        told = {
            "checkpoint_folder": str(folder / "checkpoint"),
            "from_step": trial.from_step,
            "metrics_file": str(folder / "metrics.jsonl"),
            "params_file": str(folder / "params.json"),
            "seed": trial.seed,
            "trial": trial.number,
            "until_step": trial.until_step,
        }
        return Told(parameters, told)

    def _located(self, program: str) -> str:
        """A path is relative to the sweep file; a name is looked for where a shell would."""
        return str(self.directory / program) if "/" in program else program


def _reports(command: Supervised, reader: Reader) -> Iterator[Mapping[str, float]]:
    for line in command.lines():
        if (metrics := reader.read(line)) is not None:
            yield metrics


def _ended_early(command: Supervised, trial: Trial, step: int, reader: Reader) -> Outcome:
    """The command has ended before it reported `step`."""
    status = command.wait()
    if status:
        return _failed(command, status)
    if step == 1:
        return Outcome(TrialState.FAILED, f"the command ended without reporting a metric; {reader.describe_lack()}")
    return Outcome(TrialState.COMPLETED, "the command ended by itself", trial.checkpoint)


def _ended_in_time(command: Supervised) -> Outcome | None:
    """All steps have been reported: let it finish what it still does."""
    deadline = time.monotonic() + LINGER_S
    for _ in command.lines(until=deadline):
        pass
    if time.monotonic() >= deadline:
        return None
    status = command.wait()
    return _failed(command, status) if status else None


def _failed(command: Supervised, status: int) -> Outcome:
    last = command.last_line
    state = TrialState.OUT_OF_MEMORY if any(sign in last for sign in _OUT_OF_MEMORY) else TrialState.FAILED
    return Outcome(state, f"the command {describe_status(status)}" + (f": {last[:500]}" if last else ""))


def _check_step(metrics: Mapping[str, float], step: int) -> None:
    if metrics.get(STEP, step) != step:
        raise InputError(
            f"it reported step {metrics[STEP]:g} where step {step} comes next; steps are counted from 1, and a command that was "
            "resumed goes on after the step in HPSEARCH_FROM_STEP"
        )


def _remove_left_over(folder: Path) -> None:
    """Of attempts whose worker was killed."""
    for old in folder.glob("attempt-*"):
        shutil.rmtree(old, ignore_errors=True)


def _environment(cpus: int) -> dict[str, str]:
    """Ours, without what is hpsearch's own (the ledger's address may hold a password); `python` is the one that runs hpsearch."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("HPSEARCH_")}
    return ours | {"PATH": _search_path(), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": str(cpus)}


def _search_path() -> str:
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])


def _print(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
