"""The live display of a running sweep, readable at 80 columns."""

from __future__ import annotations

import time

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hpsearch.cli.progress import Progress
from hpsearch.cli.session import Session
from hpsearch.cli.styles import state_text
from hpsearch.cli.watch import Watcher
from hpsearch.cli.words import clean, clock, duration, gain_in_short, inline, number, rate, short_names
from hpsearch.controller import Controller
from hpsearch.search.history import TrialRecord
from hpsearch.trial import TrialState

ROWS = 8


class LiveDisplay(Watcher):
    """Three lines and a table of the latest trials, drawn anew at each look."""

    def __init__(self, session: Session, controller: Controller, name: str, varied: list[str]) -> None:
        super().__init__(session, controller, name)
        self._names = short_names(varied)
        self._live = Live(console=session.stage, auto_refresh=False, transient=True)

    def begin(self) -> None:
        """Draw the first picture."""
        self._live.start()

    def end(self) -> None:
        """Take the picture away: the result is printed in its place."""
        self._live.stop()

    def look(self, ended: list[TrialRecord], now: float) -> None:
        """Draw it anew."""
        self._live.update(self.picture(now), refresh=True)

    def picture(self, now: float) -> RenderableType:
        """What is seen now."""
        # The last line is empty: the ^C that a terminal echoes there must not wrap, which would leave a part of the old picture behind.
        return Group(self._budget(now), self._best(), self._states(now), Text(), self._trials(), Text())

    def _budget(self, now: float) -> RenderableType:
        progress = self.progress
        left = progress.left_s(now)
        grid = Table.grid(padding=(0, 2), expand=True)
        grid.add_column(max_width=28, no_wrap=True)
        grid.add_column(ratio=1)
        grid.add_column(no_wrap=True)
        grid.add_row(
            Text(clean(self.name), style="bold"),
            ProgressBar(total=1.0, completed=progress.fraction(now)),
            Text.assemble(
                (self._spent(), "bold"),
                f"  {clock(progress.elapsed_s(now))}",
                ("" if left is None else f"  about {clock(left)} left", "dim"),
            ),
        )
        return grid

    def _spent(self) -> str:
        if (retests := self.progress.retests) is not None:
            return f"{retests[0]}/{retests[1]} re-tests"
        wanted = self.controller.rules.trials
        return f"{self.progress.trials}{f'/{wanted}' if wanted else ''} trials"

    def _best(self) -> Text:
        return best_line(self.progress)

    def _states(self, now: float) -> Text:
        line = Text("trials  ", style="dim")
        for i, (state, n) in enumerate(self.progress.state_counts().items()):
            line.append(" · " if i else "", style="dim")
            line.append(f"{n} ", style="default")
            line.append_text(state_text(TrialState(state)))
        line.append(f"   {rate(self.progress.steps_per_second(now))} epochs/s", style="dim")
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def _trials(self) -> Table:
        history = self.progress.history
        table = Table(box=None, padding=(0, 1), pad_edge=False, expand=True, header_style="dim")
        for title, justify in (("trial", "right"), ("state", "left"), ("epoch", "right"), (self._metric(), "right"), ("time", "right")):
            table.add_column(title, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        table.add_column("parameters", no_wrap=True, overflow="ellipsis", ratio=1)
        for trial in self._latest():
            values = history.values(trial)
            is_best = self.progress.best is not None and trial.number == self.progress.best.number
            table.add_row(
                str(trial.number),
                _state(trial),
                f"{trial.step}/{max(trial.until_step, trial.step)}",
                Text(number(values[0]) if values else "", style="bold green" if is_best else ""),
                _took(trial),
                Text(inline(trial.parameters, self._names), style="dim"),
            )
        return table

    def _metric(self) -> str:
        name = clean(self.progress.history.objectives[0].metric)
        return name if len(name) <= 16 else f"{name[:15]}…"

    def _latest(self) -> list[TrialRecord]:
        """Those that run, newest first, then those that ended last."""
        running = [t for t in self.progress.open if t.state is TrialState.RUNNING][: ROWS - 2]
        ended = list(self.progress.latest)[::-1]
        return [*reversed(running), *ended][:ROWS]


def best_line(progress: Progress) -> Text:
    """`best    val_accuracy 0.9815 (trial 17), 0.019 better than the baseline's 0.963`."""
    line = Text("best    ", style="dim", no_wrap=True, overflow="ellipsis")
    history, best, baseline = progress.history, progress.best, progress.baseline
    values = history.values(best) if best else None
    if best is None or not values:
        return line.append("none yet: no trial has completed", style="dim")
    objective = history.objectives[0]
    line.append(f"{clean(objective.metric)} ", style="default")
    line.append(number(values[0]), style="bold green")
    line.append(f" (trial {best.number})", style="default")
    if baseline is not None and (against := history.values(baseline)):
        said = "the baseline itself" if baseline.number == best.number else gain_in_short(objective, values[0], against[0])
        line.append(f", {said}", style="default")
    return line


def _state(trial: TrialRecord) -> Text:
    is_starting = trial.state is TrialState.RUNNING and trial.begun_ms is None
    return Text("starting", style="dim cyan") if is_starting else state_text(trial.state)


def _took(trial: TrialRecord) -> str:
    if trial.begun_ms is None:
        return ""
    end_ms = trial.ended_ms or time.time() * 1000
    return duration((end_ms - trial.begun_ms) / 1000)
