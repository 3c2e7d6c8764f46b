"""Tables that read well on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

_GAP = 2
_NARROWEST = 8
_BLOCKS = "▁▂▃▄▅▆▇█"


def plain_table(*titles: str, right: Sequence[str] = (), fold: Sequence[str] = ()) -> Table:
    """Columns without lines. `right`: aligned so; `fold`: those that may take several lines, where the others are cut."""
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(
            title,
            justify="right" if title in right else "left",
            overflow="fold" if title in fold else "ellipsis",
            no_wrap=title not in fold,
        )
    return table


def narrowing(table: Table, title: str, width: int) -> Table:
    """Where `width` is too narrow, this column alone gives way; rich would cut all of them, the first ones to nothing."""
    others = [column for column in table.columns if column.header != title]
    taken = sum(max(cell_len(str(cell)) for cell in [column.header, *column.cells]) + _GAP for column in others)
    for column in table.columns:
        if column.header == title:
            column.max_width = max(_NARROWEST, width - taken)
    return table


def facts(rows: Sequence[tuple[str, str | Text]]) -> Table:
    """Names with what they are, one a line."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value)
    return grid


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """A curve as a line of blocks, at most `width` of them; a space where a value is not finite."""
    chosen = _thinned(values, width)
    finite = [v for v in chosen if abs(v) < float("inf")]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    return "".join(_block(v, low, high) if abs(v) < float("inf") else " " for v in chosen)


def _thinned(values: Sequence[float], width: int) -> list[float]:
    if len(values) <= width:
        return list(values)
    return [values[round(i * (len(values) - 1) / (width - 1))] for i in range(width)]


def _block(value: float, low: float, high: float) -> str:
    share = (value - low) / (high - low) if high > low else 0.5
    return _BLOCKS[min(len(_BLOCKS) - 1, int(share * len(_BLOCKS)))]
