"""What is said of the winner and of the costs."""

from __future__ import annotations

import pytest
import sweeps

from hpsearch.report import story
from hpsearch.trial import TrialKind, TrialState

BASE = TrialKind.BASELINE


@pytest.mark.parametrize(("trials", "said"), [
    ([], "No trial completed, so there is no best one."),
    ([sweeps.trial(0, 0.5)], "Trial 0 reached val_accuracy 0.5."),
    (
        [sweeps.trial(0, 0.5, kind=BASE), sweeps.trial(1, 0.6)],
        "Trial 1 reached val_accuracy 0.6: better than the baseline's 0.5 by 0.1 (20 %).",
    ),
    ([sweeps.trial(0, 0.5, kind=BASE), sweeps.trial(1, 0.4)], "The baseline won: val_accuracy 0.5."),
    ([sweeps.trial(0, 0.5, kind=BASE, end=TrialState.FAILED), sweeps.trial(1, 0.4)], "Trial 1 reached val_accuracy 0.4."),
])  # fmt: skip
def test_who_won(after, trials: list, said: str) -> None:
    assert story.verdict(after(*(body for bodies in trials for body in bodies))).headline == said


def test_of_several_objectives_the_front(after) -> None:
    objectives = [{"metric": "val_accuracy", "goal": "maximize"}, {"metric": "size", "goal": "minimize"}]
    bodies = [
        *sweeps.trial(0, 0.5, metrics={"size": 1.0}),
        *sweeps.trial(1, 0.6, metrics={"size": 2.0}),
        *sweeps.trial(2, 0.4, metrics={"size": 3.0}),
    ]
    assert story.verdict(after(*bodies, objective=objectives)).headline == "2 trials of 3 are on the Pareto front."


def test_the_winner_beside_the_baseline(after) -> None:
    common = {"learning_rate": 0.01, "hidden_units": 32, "num_layers": 1, "dropout": 0.0}
    facts = after(
        *sweeps.trial(0, 0.5, kind=BASE, parameters={**common, "optimizer": "adamw"}),
        *sweeps.trial(1, 0.6, parameters={**common, "optimizer": "sgd", "momentum": 0.9}),
    )
    heads, rows = story.compared(facts)
    assert heads == ["trial 1", "baseline"]
    shown = {row.name: (*row.values, row.searched, row.differs) for row in rows}
    assert shown["val_accuracy"] == ("0.6", "0.5", "maximize", True)
    assert shown["momentum"] == ("0.9", "–", "0.5 to 0.99", True)
    assert shown["learning_rate"] == ("0.01", "0.01", "1e-05 to 0.1, log", False)
    assert shown["optimizer"] == ("sgd", "adamw", "adamw or sgd", True)


def test_tiles_and_states(sixty) -> None:
    tiles = {tile.name: (tile.value, tile.beside) for tile in story.tiles(sixty)}
    counts = sixty.seen.counts()
    assert tiles["trials"] == ("60", f"{counts['completed']} completed")
    assert tiles["time"] == ("30 s", "30 s of training")
    assert [(state, n) for state, n, _ in story.states(sixty)] == list(counts.items())
    assert sum(percent for *_, percent in story.states(sixty)) == pytest.approx(100)


def test_the_winner_of_re_tests_is_told_as_everywhere(after) -> None:
    origins = [*sweeps.trial(0, 0.5, kind=BASE), *sweeps.trial(1, 0.7), *sweeps.trial(2, 0.8)]
    values = {0: (0.50, 0.51, 0.49), 1: (0.75, 0.76, 0.74), 2: (0.70, 0.72, 0.68)}
    again = ((parent, value) for parent, each in values.items() for value in each)
    retests = [
        body
        for number, (parent, value) in enumerate(again, 3)
        for body in sweeps.trial(number, value, kind=TrialKind.RETEST, parent=parent, metrics={"test_accuracy": value - 0.01})
    ]
    facts = after(*origins, *retests)
    said = story.verdict(facts)
    assert said.headline.startswith("The winner is trial 1, val_accuracy 0.75 on average over 3 fresh seeds (95 % interval ")
    assert said.sure.startswith("Better than the baseline's 0.5 by 0.25 (95 % interval ")
    assert said.sure.endswith("On the test split test_accuracy 0.74.")
    assert story.compared(facts)[0] == ["trial 1", "baseline"]
    assert story.verdict(after(*origins)).headline.startswith("Trial 2 reached")
