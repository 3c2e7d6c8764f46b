from __future__ import annotations

import html
import re
from dataclasses import replace

import pytest

from hpsearch.search.history import History, TrialRecord
from hpsearch.tracking import note
from hpsearch.trial import Objective, TrialKind, TrialState
from hpsearch.winner import choose

ACCURACY = Objective("val_accuracy", "maximize")
SIZE = Objective("parameters", "minimize")


def _history(*trials: TrialRecord, objectives: tuple[Objective, ...] = (ACCURACY,)) -> History:
    history = History(objectives)
    history._trials = {t.number: t for t in trials}
    return history


def _trial(number: int, accuracy: float, size: float = 1.0, kind: TrialKind = TrialKind.SEARCH, **parameters: object) -> TrialRecord:
    report = {"val_accuracy": accuracy, "parameters": size}
    return TrialRecord(number, kind, parameters, 0, 1, TrialState.COMPLETED, reports=(report,))


def _cells(text: str, first: str) -> list[str]:
    """The cells of the row that begins with `first`."""
    return next(
        row for line in text.splitlines() if line.startswith("|") and (row := [c.strip() for c in line.strip("|").split(" | ")])[0] == first
    )


def test_the_best_stands_beside_the_baseline() -> None:
    history = _history(
        _trial(0, 0.9, kind=TrialKind.BASELINE, learning_rate=0.001, optimizer="adamw"),
        _trial(1, 0.95, learning_rate=0.012345678, optimizer="sgd", momentum=0.9),
        replace(_trial(2, 0.99), state=TrialState.PRUNED),
    )
    text = note.markdown("digits", "completed", history, history.best())
    assert _cells(text, "") == ["", "best: trial 1", "baseline"]
    assert _cells(text, r"**val\_accuracy** (maximize)")[1:] == ["0.95", "0.9"]
    assert _cells(text, r"learning\_rate")[1:] == ["0.0123457", "0.001"]
    assert _cells(text, "momentum")[1:] == ["0.9", "–"]
    assert _cells(text, "trials") == ["trials", "3"]
    assert _cells(text, "pruned") == ["pruned", "1"]
    assert "hpsearch show digits" in text


def test_a_baseline_that_is_best_stands_alone() -> None:
    history = _history(_trial(0, 0.9, kind=TrialKind.BASELINE), _trial(1, 0.8))
    assert _cells(note.markdown("digits", "completed", history, history.best()), "") == ["", "best: baseline"]


def test_before_the_first_result() -> None:
    assert "No trial has completed yet." in note.markdown("digits", "running", _history(), [])


def test_a_front_is_shown_in_part() -> None:
    trials = [_trial(i, i / 10, i) for i in range(1, 8)]
    history = _history(*trials, objectives=(ACCURACY, SIZE))
    text = note.markdown("digits", "completed", history, history.best())
    assert len(_cells(text, "")) == 5
    assert "3 more trials" in text


def test_it_stays_short() -> None:
    wide = {f"parameter_{i:03}_{'x' * 50}": "y" * 200 for i in range(200)}
    history = _history(*(_trial(i, i / 10, i, **wide) for i in range(9)), objectives=(ACCURACY, SIZE))
    text = note.markdown("digits", "completed", history, history.best())
    assert "160 more" in text


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "a | b", "**bold** _it_ `code`", "[link](http://x)", "&lt;", "# head\n- item", "@octocat", "a\\|b"],
)
def test_what_users_chose_is_shown_letter_by_letter(text: str) -> None:
    shown = note.plain(text)
    assert "\n" not in shown
    assert "<" not in shown
    assert not re.search(r"(?<!\\)(\\\\)*[|*_`\[#]", shown)
    assert html.unescape(re.sub(r"\\(.)", r"\1", shown)) == " ".join(text.split())


def test_commands_are_safe_to_paste() -> None:
    assert "hpsearch show 'a; rm -rf b'" in note.markdown("a; rm -rf b", "completed", _history(), [])


def test_the_winner_of_the_re_tests_comes_first() -> None:
    origin, baseline = _trial(1, 0.95, learning_rate=0.01), _trial(0, 0.9, kind=TrialKind.BASELINE, learning_rate=0.001)
    again = [
        replace(_trial(2 + i, value, kind=TrialKind.RETEST), parent=parent)
        for i, (parent, value) in enumerate([(1, 0.93), (1, 0.94), (1, 0.95), (0, 0.88), (0, 0.91), (0, 0.94)])
    ]
    history = _history(baseline, origin, *again)
    text = note.markdown("digits", "completed", history, history.best(), choose(history))
    shown = text.replace("\\", "")
    assert shown.startswith("**digits** is completed.\n\n**Winner:** trial 1, val_accuracy 0.94 on average over 3 fresh seeds")
    assert _cells(text, "winner") == ["winner", "trial 1"]
    assert "cannot be told from the baseline's 0.91" in shown
