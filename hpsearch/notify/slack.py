"""Text for Slack, and for what takes the same: names and values that others chose are shown as they are, and do nothing.

Reference: Slack, "Formatting text for app surfaces": `&`, `<` and `>` are written as entities. For its other marks Slack has no escape, so
letters that look the same stand in for them.
"""

from __future__ import annotations

import re

LONGEST = 3000
"""Of a whole text, in characters; Slack cuts at 40,000, others sooner."""

_MARKS = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ", "@": "＠"})
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def literal(text: object, most: int = 200) -> str:
    """`text` on one line and at most `most` characters of it, so that nothing in it formats, links, or calls anybody.

    An underscore within a word, as in `val_loss`, marks nothing, and stays.
    """
    line = cut(" ".join("".join(c if c.isprintable() else " " for c in str(text)).split()), most).translate(_MARKS)
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", "ˍ", line)
    line = re.sub(r":(?=[\w+'-]+:)", "∶", line)  # :smile:
    return line.translate(_ENTITIES)


def cut(text: str, most: int) -> str:
    """At most `most` characters, the last of which says that there were more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"
