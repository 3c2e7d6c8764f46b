from __future__ import annotations

import pytest
from rich.console import Console

from hpsearch.cli import words
from hpsearch.cli.tables import narrowing, plain_table
from hpsearch.trial import Objective

UP, DOWN = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (3.14, "3.1s"),
        (9.96, "10.0s"),
        (41.2, "41s"),
        (192, "3m12s"),
        (59.6, "1m"),
        (3600, "1h"),
        (7500, "2h05m"),
        (273_600, "3d04h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_what_steers_a_terminal_is_taken_out_and_text_is_left() -> None:
    assert words.clean("\x1b[31mred\x1b[0m [red]x[/red] \x07\x00\u202ee\u200b \x1b]0;title\x07né\nline") == "red [red]x[/red] e né\nline"


def test_gain_in_short() -> None:
    assert words.gain_in_short(UP, 0.98, 0.963) == "0.017 better than the baseline's 0.963"
    assert words.gain_in_short(DOWN, 0.98, 0.963) == "0.017 worse than the baseline's 0.963"
    assert words.gain_in_short(DOWN, 0.5, 0.5) == "equal to the baseline's 0.5"


def test_short_names_stay_different() -> None:
    names = ["learning_rate", "l1_ratio", "dropout", "dropper", "batch_size"]
    assert words.short_names(names) == {
        "learning_rate": "learning_rate", "l1_ratio": "l1_ratio", "dropout": "dropout", "dropper": "dropper", "batch_size": "bs",
    }  # fmt: skip


def test_numbers() -> None:
    assert [words.number(x) for x in (0.98149, 64, 1e-5, True, "adamw", [64, 32], None)] == [
        "0.9815", "64", "1e-05", "True", "adamw", "[64, 32]", "None",
    ]  # fmt: skip


def test_a_narrow_terminal_takes_from_one_column_alone() -> None:
    table = plain_table("trial", "parameters", right=("trial",))
    table.add_row("17", "lr=0.1 " * 40)
    console = Console(width=40)
    with console.capture() as capture:
        console.print(narrowing(table, "parameters", console.width))
    header, row = capture.get().splitlines()
    assert header.startswith("trial  parameters")
    assert row.startswith("   17  lr=0.1 ")
    assert row.rstrip().endswith("…")


def test_a_still_narrower_one_does_without_columns_in_their_order() -> None:
    table = plain_table("trial", "time", "kind", "parameters", right=("trial",))
    table.add_row("17", "3m12s", "retest of 3", "lr=0.1 " * 40)

    def titles(width: int) -> list[str]:
        console = Console(width=width)
        with console.capture() as capture:
            console.print(narrowing(table, "parameters", width, ("time", "parameters", "kind")))
        lines = capture.get().splitlines()
        assert max(map(len, lines)) <= width
        return lines[0].split()

    assert titles(35) == ["trial", "time", "kind", "paramet…"]
    assert titles(34) == ["trial", "kind", "parameters"]
    assert titles(27) == ["trial", "kind"]
    assert titles(17) == ["trial"]
