"""What is written is read again as it was, by the reader that every sweep file goes through."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hpsearch.config.document import parse
from hpsearch.config.writing import write_document

TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), max_size=30)
SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = SCALARS | st.sampled_from(["no", "1e-5", "012", "null", "~", "- a", "a: b", "# c", "0x1F", "1_000", "2026-11-03", "'", '"'])
DOCUMENTS = st.dictionaries(TEXT.filter(bool), VALUES | st.lists(VALUES, max_size=3), min_size=1, max_size=6)


@given(DOCUMENTS)
def test_what_is_written_is_read_as_it_was(data):
    assert parse(write_document(data, ["a comment", "", "and another"]), lambda _: "file").data == data


def test_order_and_comments_stay():
    text = write_document({"b": 1, "a": {"z": 0.1, "y": [1, 2]}}, ["one\ntwo", ""])
    assert text == "# one\n# two\n#\n\nb: 1\na:\n  z: 0.1\n  y:\n  - 1\n  - 2\n"
