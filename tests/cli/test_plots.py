"""Small plots of text."""

from __future__ import annotations

import io
import math
import os
import pty
import re
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from hpsearch.cli.plots import Curve, curve, numbers, range_in_words, sparkline, state_bars
from hpsearch.cli.session import make_console
from hpsearch.cli.tables import narrowing, plain_table

pytestmark = pytest.mark.slow

BLOCKS = "▁▂▃▄▅▆▇█"
CURVES = st.lists(st.floats(), max_size=60)
NAN, INF = math.nan, math.inf


def console(width: int = 80, encoding: str = "utf-8") -> Console:
    """One that writes to a file in memory."""
    return Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding), width=width, markup=False, emoji=False, highlight=False)


def test_sparklines_worked_by_hand() -> None:
    assert sparkline([0.0, 1.0, 0.5, NAN]) == "▁█▅ "
    assert sparkline([1.0, 0.75, INF, 0.0]) == "█▇ ▁"
    assert sparkline([2.0, 2.0]) == "▅▅"
    assert sparkline([INF, NAN, -INF]) == "   "
    assert sparkline([]) == ""
    assert sparkline([0.0, NAN, 1.0, 3.0, NAN, NAN, 8.0, 8.0], width=4) == "▁▄ █"
    assert sparkline([1.0, 2.0, 3.0], width=1) == "▅"


@given(CURVES, st.integers(1, 80))
@example([-1.7e308, 0.0, 1.7e308], 80)
@example([0.0, 5e-324], 80)
def test_of_any_floats_it_is_no_wider_than_asked_and_reaches_from_bottom_to_top(values: list[float], width: int) -> None:
    drawn = sparkline(values, width)
    assert len(drawn) == min(width, len(values))
    assert set(drawn) <= set(BLOCKS + " ")
    heights = set(drawn) - {" "}
    assert len(heights) != 1 or heights == {"▅"}
    assert len(heights) < 2 or {"▁", "█"} <= heights


@given(CURVES)
def test_each_block_is_where_exact_arithmetic_has_it_and_each_gap_where_nothing_is_finite(values: list[float]) -> None:
    exact = [Fraction(v) for v in values if math.isfinite(v)]
    for value, block in zip(values, sparkline(values, 60), strict=True):
        if not math.isfinite(value):
            assert block == " "
        elif min(exact) < max(exact):
            share = (Fraction(value) - min(exact)) / (max(exact) - min(exact))
            assert abs(BLOCKS.index(block) - min(7, int(8 * share))) <= 1  # what lies on an edge may be rounded over it


@given(CURVES, st.integers(1, 80))
def test_numbers_have_room(values: list[float], width: int) -> None:
    text = numbers(values, width)
    assert text.isascii()
    assert len(text) <= width
    shown = text.split()
    if shown:
        assert shown[-1] == f"{values[-1]:.4g}"
    if len(shown) > 1:
        assert shown[0] == f"{values[0]:.4g}"


def test_numbers_worked_by_hand() -> None:
    assert numbers([0.1, 0.2, 0.3, 0.4]) == "0.1 0.2 0.3 0.4"
    assert numbers([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]) == "0 2 4 6 8 10"
    assert numbers([0.1, 0.2, NAN, 0.4], 11) == "0.1 nan 0.4"
    assert numbers([0.123456], 3) == ""


def test_a_range_in_words() -> None:
    assert range_in_words([NAN, 0.963, 0.963, 0.98149], "trial") == "0.963 to 0.9815 over 4 trials"
    assert range_in_words([0.963], "trial") == "0.963 over 1 trial"


def test_bars_are_as_long_as_their_numbers() -> None:
    lines = state_bars(console(), {"completed": 8, "out_of_memory": 4, "failed": 1}, 25).plain.splitlines()
    assert lines == ["8 completed     ████████▊"[:16] + "█" * 9, "4 out of memory ████▌", "1 failed        █▏"]
    ((bar,),) = [line.split()[2:] for line in state_bars(console(), {"completed": 3}, 200).plain.splitlines()]
    assert len("3 completed ") + len(bar) == 60


@given(st.dictionaries(st.sampled_from(["completed", "pruned", "out_of_memory"]), st.integers(1, 10**6), min_size=1), st.integers(1, 90))
def test_every_state_has_a_bar_and_none_is_wider_than_asked(counts: dict[str, int], width: int) -> None:
    lines = state_bars(console(), counts, width).plain.splitlines()
    assert [int(line.split()[0]) for line in lines] == list(counts.values())
    assert all(line[-1] in "▏▎▍▌▋▊▉█" for line in lines)
    words = len(str(max(counts.values()))) + max(map(len, counts)) + 2
    assert max(map(len, lines)) <= max(width, words + 1)


def test_no_trial_has_no_bar() -> None:
    assert state_bars(console(), {}, 40).plain == "none yet"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_where_there_are_no_letters_for_blocks_there_are_numbers(encoding: str) -> None:
    plain = console(encoding=encoding)
    assert curve(plain, [0.5, 0.25]).plain == "0.5 0.25"
    assert state_bars(plain, {"completed": 3, "pruned": 2}, 40).plain == "3 completed, 2 pruned"


@pytest.mark.parametrize(("width", "room"), [(200, 40), (40, 32), (20, 12), (16, 8)])
def test_a_curve_in_a_table_fills_its_column(width: int, room: int) -> None:
    table = plain_table("metric", "curve")
    table.add_row("loss", Curve([float(i) for i in range(100)]))
    small = console(width)
    with small.capture() as capture:
        small.print(narrowing(table, "curve", width))
    drawn = capture.get().splitlines()[1].split()[1]
    assert (len(drawn), drawn[0], drawn[-1]) == (room, "▁", "█")


@pytest.mark.parametrize(
    ("variables", "escapes"),
    [({"TERM": "xterm-256color"}, {"36", "32"}), ({"TERM": "xterm-256color", "NO_COLOR": "1"}, set()), ({"TERM": "dumb"}, set())],
)
def test_colours_are_where_a_terminal_has_them(monkeypatch, variables: dict[str, str], escapes: set[str]) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        terminal = make_console(stream)
        terminal.print(curve(terminal, [1.0, 2.0]), state_bars(terminal, {"completed": 1}, 20))
        seen = os.read(ours, 10_000).decode()
    os.close(ours)
    assert {code for code in re.findall(r"\x1b\[(\d+)m", seen) if code != "0"} == escapes
    assert "▁█" in seen
