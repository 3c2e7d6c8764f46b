"""Texts with a label each, of CSV and Parquet files of one's own, and their words as numbers."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, unknown
from hpsearch.tasks import tables
from hpsearch.tasks.synthetic import reviews
from hpsearch.tasks.tables import Source
from hpsearch.trial import Json

if TYPE_CHECKING:
    import pandas as pd

PADDING, UNKNOWN = 0, 1
"""Ids that are no words: what stands behind a text's end, and for a word that is not in the vocabulary."""

FIRST_WORD = 2

LEAST_SEEN = 2
"""So often a word must be there to have an id: what is seen once teaches nothing but how to read a word that is unknown."""

MOST_WORDS = 50_000
"""Ids that a vocabulary has at most; the rarest words have none."""

MOST_TOKENS = 512
"""Of a text; what is behind them is not read."""


@dataclass(frozen=True, slots=True)
class Texts:
    """texts, and the target of each: (texts,) of numbers or strings. `digest`: SHA-256 (hex) of the raw data."""

    texts: Sequence[str]
    target: NDArray[Any]
    target_name: str
    digest: str
    text_name: str = "text"

    @property
    def columns(self) -> dict[str, Json]:
        """See Digested."""
        return {self.text_name: "string", self.target_name: tables.type_of(self.target)}


def read_texts(source: Source, text: str | None) -> Texts:
    """The texts in the column `text` of a file, or those that are made here.

    Raises:
        DataError: they are not there, or are no texts.
    """
    if source.format == "builtin":
        texts, labels = reviews()
        return Texts(texts, np.array(labels), "sentiment", tables.digest_of("\n".join([*texts, *labels]).encode()))
    path = Path(source.place)
    frame, digest = tables.read_frame(source)
    target = source.target
    if target is None:
        raise DataError(f"{path}: say which column is to be predicted, as in `data: {{..., target: {frame.columns[-1]}}}`")
    for name, what in ((text, "text column"), (target, "target column")):
        if name not in frame.columns:
            raise DataError(f"{path}: {unknown(what, name, frame.columns)}")
    if text == target:
        raise DataError(f"{path}: column {text!r} cannot be both the texts and the target; name another for one of them")
    return Texts(_read_column(frame[text], path), _read_target(frame[target], path), target, digest, str(text))


def _read_column(column: pd.Series[Any], path: Path) -> list[str]:
    if numbers := [value for value in column.dropna() if not isinstance(value, str)]:
        raise DataError(
            f"{path}: column {column.name!r} holds no texts (it holds {numbers[0]!r:.60}); "
            "name the one that does, as in `data: {..., text: review}`"
        )
    texts = [text if isinstance(text, str) else "" for text in column]
    if empty := [row for row, text in enumerate(texts) if not tokenize(text)]:
        raise DataError(
            f"{path}: column {column.name!r} has {len(empty)} empty texts of {len(texts)} (the first in data row {empty[0] + 1}; "
            "a CSV file's NA or null is one too); leave those rows out"
        )
    return texts


def _read_target(column: pd.Series[Any], path: Path) -> NDArray[Any]:
    values = tables.column_values(column)
    broken = ~np.isfinite(values) if values.dtype.kind == "f" else column.isna().to_numpy()
    tables.check_present(broken, str(column.name), path)
    return values


def number_texts(texts: Sequence[str]) -> NDArray[np.intp]:
    """(texts,): equal numbers for equal texts, and for no others."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(text, len(seen)) for text in texts])


def tokenize(text: str) -> list[str]:
    """Words and marks, in lower case: a run of letters, digits and underscores, with apostrophes within it; or any other visible
    character by itself. Forms of a character that mean the same are one (Unicode's NFKC), and accents belong to their letter.

    `"Don't buy it!"` gives `["don't", "buy", "it", "!"]`.
    """
    return _pattern().findall(unicodedata.normalize("NFKC", text).lower().replace("’", "'"))


@cache
def _pattern() -> re.Pattern[str]:
    """What goes with the letter before it, accents and invisible joiners, is no word without one."""
    categories = {code: unicodedata.category(chr(code)) for code in range(0x10000)}
    joined = "".join(chr(code) for code, category in categories.items() if category[0] == "M" or category == "Cf")
    word = rf"\w[\w{joined}]*"
    return re.compile(rf"{word}(?:'{word})*|[^\s{joined}]")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The id of each word: FIRST_WORD is the most frequent's. So the words of a smaller vocabulary are those of ids below its size."""

    ids: Mapping[str, int]

    @classmethod
    def fit(cls, tokens: Iterable[Sequence[str]]) -> Self:
        """Of these texts' words; of equally frequent ones the first in the alphabet comes first.

        Raises:
            DataError: no word is there twice.
        """
        counts = Counter(token for text in tokens for token in text)
        known = [word for word, count in counts.items() if count >= LEAST_SEEN]
        if not known:
            raise DataError("no word of the texts to train on is there twice, and nothing can be learned from them; give more texts")
        ordered = sorted(known, key=lambda word: (-counts[word], word))[: MOST_WORDS - FIRST_WORD]
        return cls.of(ordered)

    @classmethod
    def of(cls, words: Sequence[str]) -> Self:
        """Of these words, the most frequent first."""
        return cls({word: FIRST_WORD + index for index, word in enumerate(words)})

    @property
    def size(self) -> int:
        """How many ids there are, with those that are no words."""
        return FIRST_WORD + len(self.ids)

    def encode(self, tokens: Sequence[Sequence[str]], length: int) -> NDArray[np.int32]:
        """(texts, length): the ids of each text's first words, then padding."""
        encoded = np.full((len(tokens), length), PADDING, np.int32)
        for row, text in enumerate(tokens):
            ids = [self.ids.get(word, UNKNOWN) for word in text[:length]]
            encoded[row, : len(ids)] = ids
        return encoded
