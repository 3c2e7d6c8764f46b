"""Sweeps beside each other."""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import pytest
import sweeps

from hpsearch.config.home import Home
from hpsearch.errors import InputError
from hpsearch.report import compare


@pytest.fixture
def ledger():
    ledger, clock = sweeps.a_ledger()
    sweeps.fill(ledger, clock, 20, "first")
    sweeps.fill(ledger, clock, 30, "second", seed=5)
    sweeps.fill(ledger, clock, 2, "other", objective={"metric": "val_loss", "goal": "minimize"})
    return ledger


def test_it_agrees_with_the_ledger(ledger) -> None:
    found = compare.compare(ledger, ["second", "first"])
    best = {}
    for standing, facts in zip(found.standings, found.sweeps, strict=True):
        history = facts.seen.history
        best[standing.name] = max(t.reports[-1]["val_accuracy"] for t in history if t.state == "completed")
        baseline = history.trials[0].reports[-1]["val_accuracy"]
        assert (standing.best, standing.baseline) == (best[standing.name], pytest.approx(baseline, rel=1e-5))
        assert standing.gain == pytest.approx(best[standing.name] - baseline, abs=1e-5)
        assert standing.trials == {str(s): n for s, n in ledger.find(standing.name).trials.items()}
        assert (standing.epochs, standing.time_s) == (sum(len(t.reports) for t in history), len(history) / 2)
    assert found.winner is not None
    assert found.winner.name == max(best, key=best.__getitem__)


def test_its_page_has_a_curve_for_each(ledger, tmp_path: Path) -> None:
    found = compare.compare(ledger, ["first", "second"])
    for plot in compare._plots(found):
        go.Figure(data=list(plot.data), layout=plot.layout)
        assert [t["name"] for t in plot.data] == ["first", "second"]
        assert [t["y"][-1] for t in plot.data] == pytest.approx([s.best for s in found.standings], rel=1e-5)
    path = compare.write_comparison(Home(tmp_path, "sqlite://", "sqlite://"), found)
    assert path == tmp_path / "reports" / "first-vs-second.html"
    assert "has the best val_accuracy" in path.read_text()


@pytest.mark.parametrize(("names", "said"), [
    (["first"], "compare takes 2 to 20 sweeps, got 1"),
    (["first", "second", "first"], "'first' is named twice"),
    (["first", "secnd"], "second"),
    (["first", "other"], "'other' minimizes val_loss, and 'first' maximizes val_accuracy; compare sweeps that"),
])  # fmt: skip
def test_what_cannot_be_compared_is_said(ledger, names: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        compare.compare(ledger, names)


def test_a_sweep_without_a_best_trial_stands_there_without(ledger) -> None:
    ledger.create("new", sweeps.config("new"), [])
    found = compare.compare(ledger, ["new", "first"])
    assert [s.best is None for s in found.standings] == [True, False]
    assert "–" in compare.html_of(found)
