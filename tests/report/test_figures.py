"""The figures say what the ledger says, and are what plotly takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
import sweeps

from hpsearch.report import contour, curves, front, parameters, progress, training, workers
from hpsearch.report.axis import Axis
from hpsearch.report.facts import Facts
from hpsearch.report.page import plots_of
from hpsearch.report.plot import Plot, letters, robust_range
from hpsearch.report.table import trial_table
from hpsearch.search.importance import importance
from hpsearch.space import Categorical, Float, Int
from hpsearch.trial import TrialKind, TrialState

S = TrialState


def trace(plot: Plot, name: str) -> dict[str, Any]:
    return next(t for t in plot.data if t.get("name", "").startswith(name))


def split(trace: dict[str, Any]) -> dict[int, list[tuple[float, float]]]:
    """The lines of a trace with gaps, by trial."""
    lines: dict[int, list[tuple[float, float]]] = {}
    for number, x, y in zip(trace["customdata"], trace["x"], trace["y"], strict=True):
        if x is not None:
            lines.setdefault(number, []).append((x, y))
    return lines


def test_plotly_takes_every_figure(sixty: Facts) -> None:
    plots = plots_of(sixty, Path("nowhere"))
    drawn = [plot for group in plots.values() for plot in group]
    assert [name for name, group in plots.items() if not group] == ["front", "mistakes"]
    assert len({plot.key for plot in drawn}) == len(drawn)
    for plot in drawn:
        go.Figure(data=list(plot.data), layout=plot.layout)


def test_best_so_far_is_the_ledgers(sixty: Facts) -> None:
    """Against the definition: after each trial that ended, the maximum of the completed ones' last values."""
    ended = sorted((t for t in sixty.seen.history if t.ended_ms), key=lambda t: (t.ended_ms, t.number))
    completed = [t.reports[-1]["val_accuracy"] if t.state == "completed" else -math.inf for t in ended]
    maxima = [max(completed[: n + 1]) for n in range(len(ended))]
    expected = [(n + 1, m) for n, m in enumerate(maxima) if n == 0 or m > maxima[n - 1]]
    steps = list(progress.best_so_far(sixty))
    assert [(place, value) for place, _, value in steps] == expected
    assert [seconds for _, seconds, _ in steps] == [0.5 * place for place, _ in expected]
    over_trials, over_time = progress.progress_plots(sixty)
    assert trace(over_trials, "best so far")["y"][-1] == pytest.approx(max(completed), rel=1e-5)
    assert trace(over_trials, "best so far")["x"][-1] == 60
    assert trace(over_time, "best so far")["x"][-1] == 30
    baseline = sixty.seen.history.trials[0].reports[-1]["val_accuracy"]
    assert trace(over_trials, "baseline")["y"] == pytest.approx([baseline, baseline], rel=1e-5)


def test_a_retest_is_no_rival(after) -> None:
    """Another measurement of the same configuration is neither the best so far nor a dot; it has a row and its time."""
    facts = after(*sweeps.trial(0, 0.5), *sweeps.trial(1, 0.9, kind=TrialKind.RETEST), *sweeps.trial(2, 0.6))
    assert [(place, value) for place, _, value in progress.best_so_far(facts)] == [(1, 0.5), (2, 0.6)]
    over_trials, _ = progress.progress_plots(facts)
    assert trace(over_trials, "trials")["customdata"] == [0, 2]
    (plot,) = curves.curve_plots(facts)
    assert {n for t in plot.data for n in t["customdata"] if n is not None} == {0, 2}
    assert len(trial_table(facts)["rows"]) == 3


def test_every_report_of_every_trial_is_in_the_curves(sixty: Facts) -> None:
    (plot,) = curves.curve_plots(sixty)
    lines: dict[int, list[tuple[float, float]]] = {}
    for drawn in plot.data:
        if drawn["mode"] == "lines":
            lines |= split(drawn)
    expected = {t.number: [(step, r["val_accuracy"]) for step, r in enumerate(t.reports, 1)] for t in sixty.seen.history}
    assert lines.keys() == expected.keys()
    for number, line in lines.items():
        assert np.allclose(line, expected[number], rtol=1e-5)
    pruned = trace(plot, "pruned here")
    assert dict(zip(pruned["customdata"], pruned["x"], strict=True)) == {
        t.number: t.step for t in sixty.seen.history if t.state == "pruned"
    }


def test_long_curves_are_thinned_and_keep_their_ends(after, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curves, "MOST_POINTS", 20)
    facts = after(*sweeps.trial(0, *[i / 100 for i in range(90)]), *sweeps.trial(1, *[i / 200 for i in range(90)]))
    (plot,) = curves.curve_plots(facts)
    line = split(trace(plot, "completed"))[1]
    assert (len(line), line[0], line[-1]) == (10, (1, 0.0), (90, 0.445))


def test_a_value_that_is_not_finite_is_a_gap(after) -> None:
    (plot,) = curves.curve_plots(after(*sweeps.trial(0, 0.1, math.nan, math.inf, 0.2)))
    assert trace(plot, "best")["y"] == [0.1, None, None, 0.2, None]


def test_slices_have_the_ledgers_values(sixty: Facts) -> None:
    plots = {plot.title: plot for plot in parameters.slice_plots(sixty, {})}
    assert list(plots) == list(sweeps.SPACE)
    marks = {n: (x, y) for t in plots["learning_rate"].data for n, x, y in zip(t["customdata"], t["x"], t["y"], strict=True)}
    expected = {
        t.number: (t.parameters["learning_rate"], t.reports[-1]["val_accuracy"])
        for t in sixty.seen.history if t.state in ("completed", "pruned")
    }  # fmt: skip
    assert marks.keys() == expected.keys()
    assert all(np.allclose(marks[n], expected[n], rtol=1e-5) for n in marks)
    shown = {n for t in plots["momentum"].data for n in t["customdata"]}
    assert shown == {n for n in expected if sixty.seen.history.trials[n].parameters["optimizer"] == "sgd"}


def test_axes_by_hand() -> None:
    log, choice, few = Axis("a", Float(1e-4, 1.0, log=True)), Axis("b", Categorical(("x", [64, 32]))), Axis("c", Int(1, 3))
    assert [log.share(v) for v in (1e-4, 1e-2, 1.0)] == pytest.approx([0, 0.5, 1])
    assert log.value(0.25) == pytest.approx(1e-3)
    assert (choice.place([64, 32]), choice.share("x"), choice.share([64, 32])) == (1, 0.25, 0.75)
    assert choice.layout()["ticktext"] == ["x", "[64, 32]"]
    assert few.layout()["tickvals"] == [1, 2, 3]
    assert log.layout()["tickvals"] == pytest.approx([1e-4, 1e-3, 1e-2, 0.1, 1])


def test_parallel_lines_end_at_the_objective(sixty: Facts) -> None:
    (plot,) = parameters.parallel_plot(sixty, {})
    width = len(sweeps.SPACE) + 2  # the objective, and the gap
    ends = {int(t["text"][i].split()[1][:-1]): t["y"][i + width - 2] for t in plot.data for i in range(0, len(t["x"]), width)}
    completed = {t.number: t.reports[-1]["val_accuracy"] for t in sixty.seen.history if t.state == "completed"}
    assert ends.keys() == completed.keys()
    order = sorted(completed, key=completed.__getitem__)
    assert [ends[n] for n in order] == sorted(ends.values())
    assert (max(ends.values()), plot.layout["xaxis"]["ticktext"][-1]) == (1.0, "val_accuracy")


def test_importance_is_shown_as_it_is(sixty: Facts) -> None:
    shares = importance(sixty.seen.config.space, sixty.seen.history)
    (plot,) = parameters.importance_plot(shares)
    assert plot.layout["yaxis"]["ticktext"][::-1] == list(shares)
    assert plot.data[0]["x"][::-1] == pytest.approx([100 * s for s in shares.values()], rel=1e-5)
    assert list(parameters.importance_plot({})) == []


def test_the_kernels_mean_by_hand() -> None:
    """Two trials a kernel's width apart: at the first, exp(-1/2) of the second counts; far from both there is nothing."""
    x, y, values = np.array([0.0, contour._WIDTH]), np.zeros(2), np.array([1.0, 3.0])
    near = math.exp(-0.5)
    z = contour.smoothed(x, y, values, np.array([0.0, 0.9]), np.zeros(1), x_is_choice=False, y_is_choice=False)
    assert z[0, 0] == pytest.approx((1 + 3 * near) / (1 + near))
    assert np.isnan(z[0, 1])
    apart = contour.smoothed(np.array([0.25, 0.75]), y, values, np.array([0.25, 0.75]), np.zeros(1), x_is_choice=True, y_is_choice=False)
    assert apart.tolist() == [[1.0, 3.0]]


def test_contour_axes_are_the_most_important(sixty: Facts) -> None:
    (plot,) = contour.contour_plot(sixty, {"learning_rate": 0.8, "optimizer": 0.2})
    surface, marks = plot.data
    assert (plot.title, surface["type"]) == ("learning_rate and optimizer together", "heatmap")
    assert (len(surface["z"]), len(surface["z"][0]), len(surface["y"])) == (2, 40, 2)
    assert len(marks["x"]) == sum(t.state == "completed" for t in sixty.seen.history)
    assert list(contour.contour_plot(sixty, {})) == []


def test_the_timeline_has_every_attempt(sixty: Facts) -> None:
    (plot,) = workers.timeline_plot(sixty)
    bars = [(y, base, x, told) for t in plot.data for y, base, x, told in zip(t["y"], t["base"], t["x"], t["text"], strict=True)]
    assert sorted(bars, key=lambda bar: bar[1]) == [(n % 4, 0.5 * n, 0.5, f"trial {n}: 0.5 s") for n in range(60)]
    assert {t["name"]: len(t["x"]) for t in plot.data} == sixty.seen.counts()
    assert plot.layout["yaxis"]["ticktext"] == [f"worker-{n}" for n in (1, 2, 3, 4)]


def test_workers_are_in_the_order_of_their_numbers(after) -> None:
    facts = after(*(b for n, place in enumerate(["w 10", "w 2", "w 1"]) for b in sweeps.trial(n, 0.5, place=place)))
    assert next(workers.timeline_plot(facts)).layout["yaxis"]["ticktext"] == ["w 1", "w 2", "w 10"]


def test_failures_that_differ_in_numbers_alone_are_one(after) -> None:
    facts = after(
        *sweeps.trial(0, 0.1, end=S.DIVERGED, reason="val_loss is nan at step 3"),
        *sweeps.trial(1, 0.1, end=S.DIVERGED, reason="val_loss is nan at step 17\nmore"),
        *sweeps.trial(2, 0.1, end=S.FAILED, reason="ValueError: no"),
        *sweeps.trial(3, 0.1, end=S.FAILED),
        *sweeps.trial(4, 0.1, end=S.PRUNED, reason="is below the median"),
    )
    found = workers.failures(facts)
    assert [(f.state, f.reason, f.trials) for f in found] == [
        ("diverged", "val_loss is nan at step 3", (0, 1)),
        ("failed", "ValueError: no", (2,)),
        ("failed", "no reason was given", (3,)),
    ]
    (plot,) = workers.failures_plot(found)
    assert plot.data[0]["x"] == [1, 1, 2]
    assert list(workers.failures_plot([])) == []


def test_the_front_is_that_of_brute_force(after) -> None:
    """Accuracy up, parameters down."""
    points = {0: (0.9, 100.0), 1: (0.8, 50.0), 2: (0.85, 120.0), 3: (0.95, 300.0), 4: (0.7, 60.0)}
    events = [b for n, (a, p) in points.items() for b in sweeps.trial(n, a, metrics={"parameters": p})]
    facts = after(*events, objective=[{"metric": "val_accuracy", "goal": "maximize"}, {"metric": "parameters", "goal": "minimize"}])
    beaten = {n for n, (a, p) in points.items() if any(b >= a and q <= p and (b, q) != (a, p) for b, q in points.values())}
    (plot,) = front.front_plots(facts)
    assert set(trace(plot, "front")["customdata"]) == points.keys() - beaten == {0, 1, 3}
    assert set(trace(plot, "completed")["customdata"]) == beaten
    assert dict(zip(trace(plot, "front")["customdata"], trace(plot, "front")["x"], strict=True)) == {1: 0.8, 0: 0.9, 3: 0.95}
    for group in plots_of(facts, Path("nowhere")).values():
        for drawn in group:
            go.Figure(data=list(drawn.data), layout=drawn.layout)


def test_losses_of_the_best_beside_the_baseline(after) -> None:
    base = sweeps.trial(0, 0.5, 0.6, kind=TrialKind.BASELINE, metrics={"train_loss": 1.0, "val_loss": 2.0})
    best = sweeps.trial(1, 0.7, 0.8, metrics={"train_loss": 0.5, "val_loss": 0.75})
    (plot,) = training.training_plots(after(*base, *best))
    drawn = {t["name"]: t["y"] for t in plot.data}
    assert (drawn["train, trial 1"], drawn["validation, trial 1"]) == ([0.5, 0.5], [0.75, 0.75])
    assert (drawn["train, baseline"], drawn["validation, baseline"]) == ([1.0, 1.0], [2.0, 2.0])
    assert list(training.training_plots(after(*sweeps.trial(0, 0.5)))) == []


def test_pictures_of_the_best_trial_alone_and_no_more_than_there_is_room_for(after, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "MOST_BYTES", 10)
    facts = after(*sweeps.trial(0, 0.5), *sweeps.trial(1, 0.9))
    folder = tmp_path / "trial-00001"
    folder.mkdir()
    for name, size in {"a.png": 6, "b.PNG": 5, "c.svg": 1, "d.txt": 1, "e.jpg": 4}.items():
        (folder / name).write_bytes(b"x" * size)
    (folder / "f.png").symlink_to(folder / "d.txt")
    found = training.pictures(facts, tmp_path)
    assert [(p.name, p.uri) for p in found] == [("a.png", "data:image/png;base64,eHh4eHh4"), ("e.jpg", "data:image/jpeg;base64,eHh4eA==")]
    assert training.pictures(facts, tmp_path / "nowhere") == []


@pytest.mark.parametrize(("values", "goal", "expected"), [
    ([0.9] * 4 + [0.8] * 4 + [-50.0], "maximize", True),
    ([0.9] * 4 + [0.8] * 4 + [50.0], "minimize", True),
    ([0.9] * 4 + [0.8] * 4, "maximize", False),
    ([0.1, -50.0], "maximize", False),
    ([None, math.nan, math.inf], "minimize", False),
])  # fmt: skip
def test_a_few_values_far_off_do_not_flatten_the_others(values: list[float | None], goal: str, expected: bool) -> None:
    scale = robust_range(values, goal)
    assert (scale is not None) == expected
    if scale:
        assert scale[0] < 0.8 < 0.9 < scale[1]
        assert scale[1] - scale[0] < 2


def test_text_in_plotly_is_shown_letter_by_letter() -> None:
    assert letters('<b>x</b><a href="#">&lt;\n') == '&lt;b&gt;x&lt;/b&gt;&lt;a href="#"&gt;&amp;lt; '
    assert letters("x" * 100, 10) == "x" * 9 + "…"
