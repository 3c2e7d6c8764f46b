"""What others chose does nothing in Slack but stand there."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.notify.slack import cut, literal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("val_loss", "val_loss"),
        ("a & b < c > d", "a &amp; b &lt; c &gt; d"),
        ("<!channel> <https://evil|click>", "&lt;!channel&gt; &lt;https://evil|click&gt;"),
        ("*bold* ~gone~ `code`", "∗bold∗ ∼gone∼ ˋcodeˋ"),
        ("_italic_ and snake_case_too", "ˍitalicˍ and snake_case_too"),
        ("@here :smile: 12:30 a:b", "＠here ∶smile: 12:30 a:b"),
        ("two\nlines\tand \x1b[31ma tab\u202e", "two lines and [31ma tab"),
        ("&lt;", "&amp;lt;"),
    ],
)
def test_worked_by_hand(text: str, shown: str) -> None:
    assert literal(text) == shown


@given(st.text(st.one_of(st.sampled_from("*_~`<>&@:|!\n a1"), st.characters(codec="utf-8")), max_size=300))
def test_of_any_text_no_mark_is_left_and_it_reads_the_same(text: str) -> None:
    shown = literal(text, 200)
    assert not set(shown) & set("<>*~`@\n")
    assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", shown)
    assert not re.search(r"(?:^|[^A-Za-z0-9])_|_(?:[^A-Za-z0-9]|$)", shown)
    assert not re.search(r":[\w+'-]+:", shown)
    assert len(html.unescape(shown)) <= 200
    kept = [c for c in html.unescape(shown) if c.isascii() and c.isalnum()]
    assert kept == [c for c in text if c.isascii() and c.isalnum()][: len(kept)]


def test_what_is_long_is_cut() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert len(html.unescape(literal("<" * 5000, 300))) == 300
