"""`Trial`: what the code that trains one configuration holds."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import torch

from hpsearch.errors import CheckpointError, InputError
from hpsearch.training import memory
from hpsearch.training.artifacts import NETWORK, ArtifactFolder
from hpsearch.training.checkpoint import CheckpointStore
from hpsearch.training.s3 import is_url
from hpsearch.training.storage import reason
from hpsearch.training.usage import Usage
from hpsearch.trial import Answer, Assignment, Checkpoint, Continue, Json, Memory, Objective, Outcome, Report, Stop, TrialState, derive_seed

StateOf: TypeAlias = Callable[[], Mapping[str, Any] | None]
"""Gives what a checkpoint is to hold."""

OUTAGE_SHARE = 0.1
"""How much of a training's time it may wait for a storage that fails: then no checkpoint is tried for so long."""


class Diverged(Exception):
    """A loss or an objective is NaN or infinite. It ends the trial; code that trains need not catch it."""


class Channel(Protocol):
    """Takes a worker's reports to the controller, and its answers back."""

    def report(self, report: Report, last: bool) -> Answer | None:
        """The answer to this report or, when it has not come yet, None: go on.

        With `last` nothing follows this report unless the answer says so: an implementation then waits for the answer.
        """


class Trial:
    """One configuration being trained, seen from within: parameters, seed, steps, reports, checkpoints."""

    def __init__(
        self,
        assignment: Assignment,
        channel: Channel,
        checkpoints: CheckpointStore,
        *,
        checkpoint_every_s: float = 10.0,
        objectives: Sequence[Objective] = (),
        folder: Path | None = None,
        outputs: Path | None = None,
        usage: Usage | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.assignment = assignment
        self.params: Mapping[str, Json] = MappingProxyType(dict(assignment.parameters))
        self.objectives = tuple(objectives)
        self.until_step = assignment.until_step
        self.checkpoint: Checkpoint | None = assignment.checkpoint
        """The latest one; after `load_checkpoint`, the one that was really loaded."""
        self.from_step = 0
        self.outcome: Outcome | None = None
        """How it ended; None while it goes on."""
        self.usage = usage or Usage()
        """Samples of what it uses of the machine."""
        self._channel = channel
        self._checkpoints = checkpoints
        assert folder is not None or not is_url(str(checkpoints.location)), "what lies on no disk needs a folder beside it"
        self.folder = folder or Path(checkpoints.location)
        """The trial's own on this machine; it need not be there yet."""
        self._outputs = ArtifactFolder(outputs or self.folder / "outputs")
        self._every_s = checkpoint_every_s
        self._clock = clock
        self._generators: dict[str, torch.Generator] = {}
        self._generator_states: dict[str, torch.Tensor] = {}
        self._step = 0
        self._reported = True
        self._finish: str | None = None
        self._expected: tuple[str, ...] | None = None
        self._keeps_checkpoints = True
        self._best: dict[str, float] | None = None
        self._memory: Memory | None = None
        self._told: Memory | None = None
        self._began = self._saved_at = self._saves_from = clock()

    @property
    def number(self) -> int:
        return self.assignment.trial

    @property
    def attempt(self) -> int:
        return self.assignment.attempt

    @property
    def seed(self) -> int:
        return self.assignment.seed

    def generator(self, name: str, device: torch.device | str = "cpu") -> torch.Generator:
        """The trial's own random numbers for one purpose ("init", "order", "dropout", …); the same object each time.

        It is seeded from the trial's seed and the name; its state is part of each checkpoint.
        """
        if name not in self._generators:
            self._generators[name] = torch.Generator(device)
            self._generators[name].manual_seed(derive_seed(self.seed, name))
            if name in self._generator_states:
                self._generators[name].set_state(self._generator_states.pop(name))
        return self._generators[name]

    def steps(self) -> Iterator[int]:
        """The steps to train: from the one after the loaded checkpoint until told to end. Each must be reported once."""
        self._step = self.from_step
        while self.outcome is None and self._step < self.until_step:
            if not self._reported:
                raise InputError(f"step {self._step} ended without a report; call trial.report({self._step}, {{...}}) once in each step")
            self._step += 1
            self._reported = False
            self._began = self._clock()
            yield self._step

    @property
    def is_over(self) -> bool:
        """Whether `steps` gives no further step; for a training whose loop is somebody else's, which asks after each report."""
        return self.outcome is not None or (self._reported and self._step >= self.until_step)

    @property
    def is_last(self) -> bool:
        """Whether nothing follows the present step, unless an answer says so."""
        return self._finish is not None or self._step >= self.until_step

    def expect(self, metrics: Sequence[str]) -> None:
        """From now on each report must have the objectives and these metrics; where any are named here, no others are kept."""
        self._expected = tuple(metrics)

    def keep_no_checkpoints(self) -> None:
        """From now on none is saved, whatever `report` is given, and none is gone on from: what cannot resume begins anew."""
        self._keeps_checkpoints = False

    def finish(self, reason: str) -> None:
        """Makes the present step the last: called before its report, or before any step. The trial is then completed, for this reason."""
        if self._reported:
            self.outcome = Outcome(TrialState.COMPLETED, reason, self.checkpoint)
        self._finish = reason

    def report(self, step: int, metrics: Mapping[str, float], checkpoint: StateOf | None = None) -> None:
        """Tells a completed step's metrics; `checkpoint` gives a state dict, and is only called when a checkpoint is due.

        Where it gives None there is nothing to save now, and the checkpoint before stays the latest; so too where it cannot be written.

        Raises:
            Diverged: a loss or an objective is not finite. The report is sent first.
            InputError: another step than the present one, a metric that is no number, or none of what the sweep needs.
        """
        duration_s = self._clock() - self._began
        self._check_step(step)
        if not isinstance(metrics, Mapping):
            raise InputError(f"trial.report({step}, ...): metrics must be a dict of numbers by name, got a {type(metrics).__name__}")
        if checkpoint is not None and not callable(checkpoint):
            raise InputError(f"trial.report({step}, ...): checkpoint must be a callable that gives a state dict, such as model.state_dict")
        numbers = {name: _number(name, value) for name, value in self._kept(metrics).items()}
        self._reported = True
        if (broken := self._not_finite(numbers)) is not None:
            self._channel.report(Report(step, numbers, duration_s, samples=self.usage.take()), last=False)
            self.outcome = Outcome(TrialState.DIVERGED, f"{broken} is {numbers[broken]} at step {step}")
            raise Diverged(self.outcome.reason)
        last = step == self.until_step or self._finish is not None
        improved = self._note_best(step, numbers)
        due = last or ((improved or self._is_due(step)) and self._clock() >= self._saves_from)
        saved = self._save(step, checkpoint) if due and checkpoint is not None else None
        report = Report(step, numbers, duration_s, saved, self.usage.take(), self._news_of_memory())
        self._obey(self._channel.report(report, last=last), step, checkpoint)

    def save_artifact(self, name: str, data: bytes) -> None:
        """Keeps a file of the trial (a picture, a table): in place of an earlier one of this name, and in MLflow once the trial has ended.

        Args:
            name: a plain file name, such as "samples.png".
            data: at most 100 MiB; a trial has at most 100 artifacts.

        Raises:
            InputError: it cannot be kept.
        """
        if name == f"trial-{self.number:05d}.log":
            raise InputError(f"artifact {name!r}: this is what the trial's own log is called; choose another name")
        if name == NETWORK:
            raise InputError(f"artifact {name!r}: this is what a network for the model registry is called; choose another name")
        self._outputs.save(name, data)

    def save_network(self, data: bytes) -> None:
        """Leaves the trained network, whole, for the model registry. Raises `InputError`, `OSError` where it cannot be kept."""
        self._outputs.save(NETWORK, data)

    def note_memory(self, peak_bytes: int, total_bytes: int) -> None:
        """The most that the training has taken of its GPU so far, and all that the GPU has: for code whose memory is not torch's.

        With `gpus: auto` it is what the trial's part of a GPU is chosen by; called before a step's report.
        """
        if not 0 < peak_bytes <= total_bytes:
            raise InputError(f"trial.note_memory({peak_bytes}, {total_bytes}): must be bytes, of them at least 1, and at most all")
        self._memory = Memory(int(peak_bytes), int(total_bytes))

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The state dict of the checkpoint to go on from, or None on a fresh start; the generators' states are restored with it.

        A damaged checkpoint is set aside, and the one before it used.
        """
        for candidate in self._candidates():
            try:
                saved = self._checkpoints.load(candidate)
                if candidate is not self.assignment.checkpoint and saved["of"] != self._identity():
                    raise CheckpointError(f"checkpoint {candidate.uri} is of another trial")
            except CheckpointError as error:
                print(f"{error}; the one before it is used", file=sys.stderr)
                continue
            return self._restore(candidate, saved)
        self.checkpoint = None
        return None

    def best_state(self, metrics: Mapping[str, float]) -> dict[str, Any] | None:
        """The state dict of the step that counts, by an objective `at: best`; None where the present one does, whose metrics are given."""
        if self._best is None or self._improves(metrics):
            return None
        step = int(self._best["step"])
        try:
            saved = next(self._checkpoints.read(c) for c in self._checkpoints.earlier(step + 1) if c.step == step)
        except (CheckpointError, StopIteration) as error:
            print(f"the best step, {step}, cannot be gone back to ({error or 'no checkpoint'}); the last one is used", file=sys.stderr)
            return None
        state: dict[str, Any] = saved["state"]
        return state if saved["of"] == self._identity() else None

    def _candidates(self) -> Iterator[Checkpoint]:
        if self.assignment.checkpoint is not None and self._keeps_checkpoints:
            yield self.assignment.checkpoint
            yield from self._checkpoints.earlier(self.assignment.checkpoint.step)

    def _news_of_memory(self) -> Memory | None:
        """What a packed trial has taken, when it is first known, and when it is more by a twentieth."""
        if not self.assignment.resources.packed or (now := self._memory or memory.taken()) is None:
            return None
        if self._told is not None and now.peak_bytes <= 1.05 * self._told.peak_bytes:
            return None
        self._told = now
        return now

    def _identity(self) -> str:
        """What tells this trial's checkpoints from those that another sweep of this name has left in the folder."""
        return json.dumps([self.seed, dict(self.params)], sort_keys=True)

    def _restore(self, checkpoint: Checkpoint, saved: dict[str, Any]) -> dict[str, Any]:
        self.checkpoint = checkpoint
        self.from_step = checkpoint.step
        self._best = saved["best"]
        self._generator_states = dict(saved["generators"])
        for name in set(self._generators) & set(self._generator_states):
            self._generators[name].set_state(self._generator_states.pop(name))
        state: dict[str, Any] = saved["state"]
        return state

    def _save(self, step: int, state: StateOf) -> Checkpoint | None:
        if not self._keeps_checkpoints or (content := state()) is None:
            return None
        generators = self._generator_states | {name: generator.get_state() for name, generator in self._generators.items()}
        whole = {"of": self._identity(), "state": dict(content), "generators": generators, "best": self._best}
        began = self._clock()
        try:
            self.checkpoint = self._checkpoints.save(step, whole, keep=None if self._best is None else int(self._best["step"]))
        except OSError as error:
            print(f"checkpoint of step {step} cannot be saved: {reason(error)}; training goes on without it", file=sys.stderr)
            self._saves_from = self._clock() + (self._clock() - began) / OUTAGE_SHARE
            return None
        finally:
            self._saved_at = self._clock()
        return self.checkpoint

    def _is_due(self, step: int) -> bool:
        return step in self.assignment.checkpoint_steps or self._clock() - self._saved_at >= self._every_s

    def _check_step(self, step: int) -> None:
        if step != self._step or self._reported:
            present = "no step is open" if self._reported else f"the present step is {self._step}"
            raise InputError(f"trial.report({step}, ...): {present}; report each step that trial.steps() gives, once")

    def _kept(self, metrics: Mapping[str, float]) -> Mapping[str, float]:
        if self._expected is None:
            return metrics
        needed = dict.fromkeys((*(objective.metric for objective in self.objectives), *self._expected))
        if missing := [name for name in needed if name not in metrics]:
            raise InputError(
                f"the report of step {self._step} lacks {', '.join(missing)}; it has {', '.join(map(str, metrics)) or 'no metric at all'}"
            )
        return {name: metrics[name] for name in needed} if self._expected else metrics

    def _not_finite(self, metrics: Mapping[str, float]) -> str | None:
        watched = {objective.metric for objective in self.objectives}
        return next((n for n, v in metrics.items() if (n in watched or n.endswith("loss")) and not math.isfinite(v)), None)

    def _note_best(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Whether this step is the best so far of an objective that counts at its best."""
        if not self._improves(metrics):
            return False
        self._best = {"step": step, "value": metrics[self._at_best[0].metric]}
        return True

    def _improves(self, metrics: Mapping[str, float]) -> bool:
        if not self._at_best or (objective := self._at_best[0]).metric not in metrics:
            return False
        return self._best is None or objective.better(metrics[objective.metric], self._best["value"])

    @property
    def _at_best(self) -> list[Objective]:
        return [objective for objective in self.objectives if objective.at == "best"]

    def _obey(self, answer: Answer | None, step: int, checkpoint: StateOf | None) -> None:
        if isinstance(answer, Stop):
            self.outcome = Outcome(TrialState.PRUNED, answer.reason)
        elif self._finish is not None:
            self.outcome = Outcome(TrialState.COMPLETED, self._finish, self.checkpoint)
        elif isinstance(answer, Continue):
            self.until_step = max(step, answer.until_step)
        elif answer is not None:
            if checkpoint is not None and (self.checkpoint is None or self.checkpoint.step != step):
                self._save(step, checkpoint)
            self.outcome = Outcome(TrialState.PAUSED, None, self.checkpoint)


def _number(name: str, value: object) -> float:
    try:
        return float(value.detach() if isinstance(value, torch.Tensor) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"metric {name!r} must be a number, got {value!r}") from None
