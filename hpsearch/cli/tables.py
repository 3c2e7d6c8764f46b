"""Tables that read well on a terminal and in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

_GAP = 2
_NARROWEST = 8


def plain_table(*titles: str, right: Sequence[str] = (), fold: Sequence[str] = ()) -> Table:
    """Columns without lines. `right`: aligned so; `fold`: those that may take several lines, where the others are cut."""
    columns = [
        Column(
            title,
            justify="right" if title in right else "left",
            overflow="fold" if title in fold else "ellipsis",
            no_wrap=title not in fold,
        )
        for title in titles
    ]
    return _table(columns)


def _table(columns: Sequence[Column]) -> Table:
    return Table(*columns, box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="dim")


def narrowing(table: Table, title: str, width: int, dispensable: Sequence[str] = ()) -> Table:
    """Where `width` is too narrow, this column alone gives way; rich would cut all of them, the first ones to nothing.

    Where that is not enough, `dispensable` columns are left out, the first one first; this one may be among them.
    """
    columns, left = table.columns, list(dispensable)
    while left and _needed(columns, title) > width:
        name = left.pop(0)
        columns = [column for column in columns if column.header != name]
    narrowed = _table([Column(c.header, justify=c.justify, overflow=c.overflow, no_wrap=c.no_wrap) for c in columns])
    for row in zip(*(column.cells for column in columns), strict=True):
        narrowed.add_row(*row)
    for column in narrowed.columns:
        if column.header == title:
            column.max_width = max(_NARROWEST, width - _needed(columns, title) + _NARROWEST)
    return narrowed


def _needed(columns: Sequence[Column], title: str) -> int:
    """Of a terminal's columns, where the column of that title has but the least."""
    return sum(_NARROWEST if column.header == title else _widest(column) for column in columns) + _GAP * (len(columns) - 1)


def _widest(column: Column) -> int:
    return max(cell_len(str(cell)) for cell in [column.header, *column.cells])


def facts(rows: Sequence[tuple[str, str | Text]]) -> Table:
    """Names with what they are, one a line."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, value)
    return grid
