"""The display's sums, against the same sums done from all trials; and the picture that they make."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from rich.console import Console

from hpsearch.cli.live import LiveDisplay, best_line
from hpsearch.cli.progress import Progress
from hpsearch.cli.session import Session, Settings
from hpsearch.events import Assigned, Begun, Body, Ended, Event, Reported, SweepOpened, TrialCreated
from hpsearch.rules import Rules
from hpsearch.search.history import History
from hpsearch.trial import Objective, TrialKind, TrialState

STEPS = 5
ENDS = [TrialState.COMPLETED, TrialState.PRUNED, TrialState.DIVERGED, TrialState.FAILED, TrialState.PAUSED, TrialState.WAITING]


@dataclass
class Sweep:
    """As a controller shows itself to the display."""

    history: History = field(default_factory=lambda: History((Objective("loss", "minimize"),)))
    rules: Rules = field(default_factory=lambda: Rules(seed=0, max_steps=STEPS, trials=40))
    stopping: str | None = None

    def add(self, *bodies: Body) -> None:
        self.history = self.history.apply(Event(self.history.seq + 1 + i, 1000 * (self.history.seq + i), b) for i, b in enumerate(bodies))


def trial(sweep: Sweep, rng: random.Random, end: TrialState | None) -> None:
    number = len(sweep.history)
    kind = TrialKind.BASELINE if number == 0 else TrialKind.SEARCH
    parameters = {"learning_rate": rng.random(), "name": "[red]x\x1b[31m"}
    sweep.add(TrialCreated(number, kind, parameters, 0, STEPS), Assigned(number, 1, "p", STEPS), Begun(number, 1, "w", 0))
    for step in range(1, rng.randint(1, STEPS) + 1):
        sweep.add(Reported(number, 1, step, {"loss": rng.random()}, 0.1))
    if end is not None:
        sweep.add(Ended(number, 1, end))


def drawn(sweep: Sweep, width: int = 80) -> str:
    """The live display, as a terminal has it."""
    display = LiveDisplay(Session(Settings()), sweep, "[red]x", ["learning_rate", "name"])  # type: ignore[arg-type]
    display.progress.update(1.0)
    console = Console(width=width, markup=False, emoji=False, highlight=False, no_color=True)
    with console.capture() as capture:
        console.print(display.picture(2.0))
    return capture.get()


@pytest.mark.parametrize("seed", range(5))
def test_followed_step_by_step_or_looked_at_once_it_is_the_same(seed: int):
    rng, sweep = random.Random(seed), Sweep()
    sweep.add(SweepOpened("me"))
    progress = Progress(sweep)  # type: ignore[arg-type]
    told = list(progress.update(0.0))
    for i in range(30):
        trial(sweep, rng, rng.choice([*ENDS, None]))
        if rng.random() < 0.5:
            told += progress.update(float(i))
    told += progress.update(30.0)
    history = sweep.history
    ended = [t for t in history if t.state.is_terminal]
    assert sorted(t.number for t in told) == [t.number for t in ended]
    assert progress.steps == sum(t.step for t in history)
    assert progress.trials == len(ended)
    assert progress.state_counts() == {str(s): n for s in TrialState if (n := len(history.in_state(s)))}
    assert [progress.best] == history.best()
    assert progress.update(31.0) == []
    whole = (sum(t.step / STEPS for t in history if not t.state.is_terminal) + len(ended)) / 40
    assert progress.fraction(31.0) == pytest.approx(min(1.0, whole))


def test_the_estimate_counts_from_the_first_epoch():
    sweep, rng = Sweep(), random.Random(0)
    sweep.add(SweepOpened("me"))
    progress = Progress(sweep)  # type: ignore[arg-type]
    progress.update(0.0)
    sweep.add(TrialCreated(0, TrialKind.SEARCH, {}, 0, STEPS))
    progress.update(100.0)  # a hundred seconds of importing
    assert progress.left_s(100.0) is None
    for _ in range(10):
        trial(sweep, rng, TrialState.COMPLETED)
    progress.update(110.0)
    assert progress.left_s(110.0) == pytest.approx(30.0)
    assert progress.elapsed_s(110.0) == 110.0


def test_a_budget_in_time_is_known_to_the_second():
    sweep = Sweep(rules=Rules(seed=0, max_steps=STEPS, trials=None, time_s=60))
    sweep.add(SweepOpened("me"))
    progress = Progress(sweep)  # type: ignore[arg-type]
    progress.update(0.0)
    assert progress.fraction(15.0) == pytest.approx(0.25)


def test_when_the_budget_is_spent_it_is_the_re_tests_that_are_counted():
    rng, sweep = random.Random(0), Sweep(rules=Rules(seed=0, max_steps=STEPS, trials=2))
    sweep.add(SweepOpened("me"))
    progress = Progress(sweep)  # type: ignore[arg-type]
    for _ in range(2):
        trial(sweep, rng, TrialState.COMPLETED)
    progress.update(1.0)
    assert (progress.retests, progress.fraction(1.0)) == (None, 1.0)
    sweep.add(*(TrialCreated(number, TrialKind.RETEST, {}, 0, STEPS, parent=1) for number in (2, 3)))
    progress.update(2.0)
    assert (progress.retests, progress.fraction(2.0)) == ((0, 2), 0.0)
    sweep.add(Assigned(2, 1, "p", STEPS), Begun(2, 1, "w", 0), *(Reported(2, 1, step, {"loss": 0.1}, 0.1) for step in range(1, STEPS + 1)))
    progress.update(4.0)
    assert (progress.retests, progress.fraction(4.0)) == ((0, 2), 0.5)
    assert progress.left_s(4.0) == pytest.approx(2.0), "half of them took two seconds"
    sweep.add(Ended(2, 1, TrialState.COMPLETED))
    progress.update(5.0)
    assert (progress.trials, progress.retests, progress.fraction(5.0)) == (2, (1, 2), 0.5)
    assert "1/2 re-tests" in drawn(sweep)
    sweep.add(Assigned(3, 1, "p", STEPS), Begun(3, 1, "w", 0), Ended(3, 1, TrialState.FAILED))
    progress.update(6.0)
    assert (progress.retests, progress.fraction(6.0)) == (None, 1.0)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_picture_fits_and_shows_names_as_they_are(width: int):
    rng, sweep = random.Random(1), Sweep()
    sweep.add(SweepOpened("me"))
    for i in range(12):
        trial(sweep, rng, TrialState.COMPLETED if i < 10 else None)
    picture = drawn(sweep, width)
    lines = picture.splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 16
    assert lines[0].startswith("[red]x")
    assert "10/40 trials" in lines[0]
    assert "\x1b" not in picture


def test_the_best_beside_the_baseline():
    rng, sweep = random.Random(2), Sweep()
    progress = Progress(sweep)  # type: ignore[arg-type]
    progress.update(0.0)
    assert "none yet" in best_line(progress).plain
    trial(sweep, rng, TrialState.COMPLETED)
    progress.update(1.0)
    assert best_line(progress).plain.endswith("(trial 0), the baseline itself")
    for _ in range(10):
        trial(sweep, rng, TrialState.COMPLETED)
    progress.update(2.0)
    assert "better than the baseline's" in best_line(progress).plain
