"""Plain lines where no terminal is: one for each trial that ends."""

from __future__ import annotations

from hpsearch.cli.progress import counts
from hpsearch.cli.watch import Watcher
from hpsearch.cli.words import clean, number
from hpsearch.search.history import TrialRecord
from hpsearch.trial import TrialKind, TrialState
from hpsearch.words import count


class Lines(Watcher):
    """`[18/60]  trial 17  completed  val_accuracy 0.9815  20 epochs  best 0.9852 (trial 12)`."""

    def look(self, ended: list[TrialRecord], now: float) -> None:
        """Print the new ends."""
        tried = [trial for trial in ended if trial.state is not TrialState.INFEASIBLE]
        if len(tried) < len(ended):
            self.tell(_skipped([trial for trial in ended if trial.state is TrialState.INFEASIBLE]))
        done = self.progress.trials - sum(map(counts, tried))
        for trial in tried:
            done += counts(trial)
            self.tell(self._line(trial, done))

    def _line(self, trial: TrialRecord, done: int) -> str:
        wanted = self.controller.rules.trials
        parts = [
            f"[{done}{f'/{wanted}' if wanted else ''}]",
            f"trial {trial.number}",
            *([f"retest of {trial.parent}"] if trial.kind is TrialKind.RETEST else []),
            str(trial.state).replace("_", " "),
            *self._values(trial),
        ]
        best = self.progress.best
        if best is not None and (values := self.progress.history.values(best)):
            parts.append(f"best {number(values[0])} (trial {best.number})")
        if trial.reason:
            parts.append(clean(trial.reason).splitlines()[0][:200])
        return "  ".join(parts)

    def _values(self, trial: TrialRecord) -> list[str]:
        history = self.progress.history
        values = history.values(trial) or ()
        shown = [f"{clean(o.metric)} {number(v)}" for o, v in zip(history.objectives, values, strict=False)]
        return [*shown, count(trial.step, "epoch")]


def _skipped(infeasible: list[TrialRecord]) -> str:
    last = infeasible[-1]
    which = f"trial {last.number}" if len(infeasible) == 1 else f"trials {infeasible[0].number} to {last.number}"
    return f"not trained: {which}, infeasible ({clean(last.reason)})"
