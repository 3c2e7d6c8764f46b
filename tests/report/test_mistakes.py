"""The picture of what the winner gets wrong: its own re-tests', put together, and nobody else's."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest
import sweeps

from hpsearch.report import page
from hpsearch.report.mistakes import MOST_CLASSES, mistakes_plots
from hpsearch.tasks import mistakes
from hpsearch.tasks.mistakes import Confusion, Residuals
from hpsearch.trial import TrialKind

WINNER, OTHER = 0, 1


@pytest.fixture
def facts(after):
    """Trial 0 has won by trials 2 and 3; 4 and 5 are trial 1's re-tests."""
    parameters = {"learning_rate": 0.02, "hidden_units": 16, "num_layers": 1, "dropout": 0.0, "optimizer": "adamw"}
    retested = [
        body
        for number, (parent, value) in enumerate([(WINNER, 0.9), (WINNER, 0.92), (OTHER, 0.5), (OTHER, 0.52)], 2)
        for body in sweeps.trial(number, value, kind=TrialKind.RETEST, parent=parent)
    ]
    return after(*sweeps.trial(0, 0.9), *sweeps.trial(1, 0.8, parameters=parameters), *retested)


def leave(outputs, number, found):
    folder = outputs / f"trial-{number:05d}"
    folder.mkdir(parents=True)
    (folder / mistakes.FILE).write_text(mistakes.to_json(found))


def test_the_matrices_of_its_seeds_are_added(facts, tmp_path):
    classes = ("cat", "<b>dog</b>")
    leave(tmp_path, 2, Confusion("test", classes, ((8, 2), (1, 9))))
    leave(tmp_path, 3, Confusion("test", classes, ((7, 3), (0, 10))))
    leave(tmp_path, 4, Confusion("test", classes, ((100, 0), (0, 100))))
    (plot,) = mistakes_plots(facts, tmp_path)
    go.Figure(data=list(plot.data), layout=plot.layout)
    (drawn,) = plot.data
    assert drawn["text"] == [[15, 5], [1, 19]]
    assert drawn["z"] == [[0.75, 0.25], [0.05, 0.95]]
    assert "34 of 40 are right (85.0 %)" in plot.text
    assert plot.title.endswith("on the test split, over 2 seeds")
    assert plot.layout["yaxis"]["ticktext"] == ["cat", "&lt;b&gt;dog&lt;/b&gt;"]
    assert "<b>dog" not in page.html_of(facts, tmp_path)


def test_of_very_many_classes_those_that_are_confused_most_are_shown(facts, tmp_path):
    counts = np.diag(np.full(100, 5))
    counts[90, 95] = 7
    leave(tmp_path, 2, Confusion("test", tuple(map(str, range(100))), tuple(map(tuple, counts.tolist()))))
    (plot,) = mistakes_plots(facts, tmp_path)
    shown = plot.layout["xaxis"]["ticktext"]
    assert len(shown) == MOST_CLASSES
    assert {"90", "95"} <= set(shown)
    assert "500 of 507 are right" in plot.text


def test_the_residuals_of_its_seeds_are_dots(facts, tmp_path):
    leave(tmp_path, 2, Residuals("test", "price", (10.0, 20.0), (11.0, 18.0)))
    leave(tmp_path, 3, Residuals("test", "price", (30.0,), (float("nan"),)))
    (plot,) = mistakes_plots(facts, tmp_path)
    go.Figure(data=list(plot.data), layout=plot.layout)
    assert (plot.data[0]["x"], plot.data[0]["y"]) == ([10.0, 20.0, 30.0], [1.0, -2.0, None])


def test_without_any_nothing_is_drawn(facts, after, tmp_path):
    assert list(mistakes_plots(facts, tmp_path)) == []
    leave(tmp_path, 0, Residuals("test", "price", (1.0,), (1.0,)))
    assert list(mistakes_plots(after(*sweeps.trial(0, 0.9)), tmp_path)) == []
