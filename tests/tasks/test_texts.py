"""Texts, their words and the vocabulary; and the corpus that is made here."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from hpsearch.errors import DataError
from hpsearch.tasks.synthetic import ADJECTIVES, NEGATIONS, VERBS, reviews
from hpsearch.tasks.tables import Source
from hpsearch.tasks.texts import FIRST_WORD, PADDING, UNKNOWN, Vocabulary, read_texts, tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't buy it!", ["don't", "buy", "it", "!"]),
        ("it’s 'fine'", ["it's", "'", "fine", "'"]),
        ("well-made,  3.5 stars\n", ["well", "-", "made", ",", "3", ".", "5", "stars"]),
        ("CAFÉ cafe\u0301", ["café", "café"]),
        ("Straße ﬁne", ["straße", "fine"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("\ufeffgood ❤\ufe0fbad", ["good", "❤", "bad"]),
        ("so 😀😀", ["so", "😀", "😀"]),
        (" \t\n\u200d\u0301", []),
        ("", []),
    ],
)
def test_words_and_marks(text, tokens):
    assert tokenize(text) == tokens


@given(st.text(alphabet=st.characters(codec="ascii")))
def test_of_plain_english_nothing_visible_is_lost(text):
    visible = "".join(letter for letter in text.lower() if letter.isprintable() and letter != " ")
    assert "".join(letter for letter in "".join(tokenize(text)) if letter.isprintable()) == visible


def test_frequent_words_have_small_ids_and_equals_are_in_the_order_of_the_alphabet():
    made = Vocabulary.fit([["b", "a", "c"], ["c", "b", "a", "c"], ["d", "d"], ["once"]])
    assert made.ids == {"c": 2, "a": 3, "b": 4, "d": 5}
    assert (PADDING, UNKNOWN, FIRST_WORD, made.size) == (0, 1, 2, 6)


def test_encodes_known_words_unknown_ones_and_what_is_behind_the_end():
    ids = Vocabulary({"good": 2, "bad": 3}).encode([["bad", "good"], ["good", "new", "bad", "bad"], ["bad"]], 3)
    assert ids.tolist() == [[3, 2, 0], [2, 1, 3], [3, 0, 0]]


def test_counts_words_as_scikit_learn_does():
    texts = reviews()[0][:300]
    theirs = CountVectorizer(token_pattern=r"\S+")
    counts = np.asarray(theirs.fit_transform(texts).sum(axis=0)).ravel()
    ordered = sorted(theirs.vocabulary_.items(), key=lambda item: (-counts[item[1]], item[0]))
    ours = Vocabulary.fit([tokenize(text) for text in texts]).ids
    assert list(ours) == [word for word, index in ordered if counts[index] > 1]


def test_texts_in_which_no_word_comes_twice_teach_nothing():
    with pytest.raises(DataError, match="no word of the texts to train on is there twice"):
        Vocabulary.fit([["a", "b"], ["c"]])


FRAME = pd.DataFrame({"text": ["good", "bad"] * 5, "stars": [5, 1] * 5, "price": 2.5})


def write(tmp_path, frame, name="texts.csv"):
    path = tmp_path / name
    frame.to_csv(path, index=False) if name.endswith("csv") else frame.to_parquet(path)
    return Source(path.suffix[1:], str(path), "stars")


@pytest.mark.parametrize("name", ["texts.csv", "texts.parquet"])
def test_reads_texts_and_target_and_nothing_else(tmp_path, name):
    read = read_texts(write(tmp_path, FRAME.assign(text=['so "good", it\nis', "bad"] * 5), name), "text")
    assert list(read.texts) == ['so "good", it\nis', "bad"] * 5
    assert read.target.tolist() == [5, 1] * 5
    assert read.target_name == "stars"
    assert len(read.digest) == 64


@pytest.mark.parametrize(
    ("change", "text", "said"),
    [
        ({}, "tekst", "unknown text column 'tekst'; did you mean 'text'? Known: price, stars, text"),
        ({}, "stars", "column 'stars' cannot be both the texts and the target"),
        ({}, "price", "column 'price' holds no texts (it holds 2.5); name the one that does, as in `data: {..., text: review}`"),
        ({"text": [True, False] * 5}, "text", "column 'text' holds no texts (it holds True)"),
        ({"text": ["good", None, "", " ", "NA"] * 2}, "text", "column 'text' has 8 empty texts of 10 (the first in data row 2;"),
        ({"text": None}, "text", "column 'text' has 10 empty texts of 10 (the first in data row 1;"),
        ({"stars": [1, None] * 5}, "text", "column 'stars' has 5 missing or infinite values of 10 (the first in data row 2)"),
        ({"stars": [1, np.inf] * 5}, "text", "column 'stars' has 5 missing or infinite values of 10 (the first in data row 2)"),
        ({"stars": ["a", None] * 5}, "text", "column 'stars' has 5 missing or infinite values of 10 (the first in data row 2)"),
    ],
)
def test_says_what_is_wrong(tmp_path, change, text, said):
    with pytest.raises(DataError) as error:
        read_texts(write(tmp_path, FRAME.assign(**change)), text)
    assert said in str(error.value)


def test_a_file_without_a_target_says_so(tmp_path):
    write(tmp_path, FRAME)
    with pytest.raises(DataError, match="say which column is to be predicted"):
        read_texts(Source("csv", str(tmp_path / "texts.csv")), "text")


def test_what_is_no_text_is_shown_in_short(tmp_path):
    with pytest.raises(DataError) as error:
        read_texts(write(tmp_path, FRAME.assign(text=[b"x" * 10_000] * 10), "texts.parquet"), "text")
    assert len(str(error.value)) < 400


@pytest.mark.slow
def test_the_corpus_is_the_same_in_every_process():
    code = "from hpsearch.tasks.synthetic import reviews; import hashlib; print(hashlib.sha256(repr(reviews()).encode()).hexdigest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_the_corpus_has_no_text_twice_and_as_many_of_either_label():
    texts, labels = reviews()
    assert len(texts) == len(set(texts)) == len(labels) == 2400
    assert labels.count("positive") == labels.count("negative") == 1200


def test_the_labels_of_the_corpus_follow_from_its_grammar():
    """Another reading of each text: what counts is the last part without an although, and negated by a negation."""
    for text, label in zip(*reviews(), strict=True):
        assert judged(text) == label, text


SAID = {word: label for words in (ADJECTIVES, VERBS) for label, known in words.items() for word in known}


def judged(text):
    (sentence,) = [part for part in text.split(" . ") if SAID.keys() & part.split()]
    counts = next(part for part in reversed(sentence.split(" , ")) if "although" not in part)
    (said,) = {SAID[word] for word in counts.split() if word in SAID}
    negated = any(f" {negation} " in f" {counts} " for negation in NEGATIONS)
    return {"positive": "negative", "negative": "positive"}[said] if negated else said


@pytest.mark.slow
def test_single_words_say_nearly_nothing_and_their_order_says_more():
    texts, labels = reviews()

    def accuracy(longest):
        counts = CountVectorizer(ngram_range=(1, longest), token_pattern=r"\S+").fit_transform(texts)
        return cross_val_score(LogisticRegression(max_iter=2000), counts, labels, cv=5).mean()

    assert accuracy(1) < 0.55
    assert 0.6 < accuracy(3) < 0.75
