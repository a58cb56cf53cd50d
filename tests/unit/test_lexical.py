"""BM25 over documents that come and go."""

import random

import bm25s
import numpy as np
import pytest

from rag.lexical import LexicalIndex

pytestmark = pytest.mark.unit


def texts(count: int, seed: int = 1) -> list[list[str]]:
    drawn = random.Random(seed)
    return [[f"w{drawn.randint(0, 40)}" for _ in range(drawn.randint(3, 30))] for _ in range(count)]


def test_scores_are_those_of_bm25s() -> None:
    corpus = texts(60)
    theirs = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    theirs.index(corpus, show_progress=False)
    ours = LexicalIndex(k1=1.2, b=0.75)
    for each in corpus:
        ours.add(each)
    question = ["w1", "w7", "w33"]
    np.testing.assert_allclose(ours.scores(question), theirs.get_scores(question), rtol=1e-4)


def test_what_was_added_and_removed_scores_like_an_index_made_of_what_is_left() -> None:
    index = LexicalIndex()
    rows = [index.add(each, later=number < 20) for number, each in enumerate(texts(30))]
    index.merge()
    rows += [index.add(each) for each in texts(10, seed=2)]
    gone = {rows[3], rows[25], rows[35]}
    for row in gone:
        index.remove(row)
    left = LexicalIndex()
    for row, each in enumerate([*texts(30), *texts(10, seed=2)]):
        if row not in gone:
            left.add(each)
    question = ["w2", "w5", "w9"]
    scores = index.scores(question)
    assert len(index) == 37
    assert all(scores[row] == 0 for row in gone)
    kept = [row for row in rows if row not in gone]
    np.testing.assert_allclose(scores[kept], left.scores(question), rtol=1e-5)


def test_a_merge_changes_no_score() -> None:
    index = LexicalIndex()
    for each in texts(30):
        index.add(each)
    index.remove(4)
    before = index.scores(["w1", "w2"])
    index.merge()
    np.testing.assert_array_equal(index.scores(["w1", "w2"]), before)


def test_an_empty_index_and_unknown_words_score_nothing() -> None:
    index = LexicalIndex()
    assert index.scores(["w1"]).tolist() == []
    index.add(["w1"])
    assert index.scores(["other"]).tolist() == [0]


def test_a_removed_document_has_no_words_and_can_be_removed_again() -> None:
    index = LexicalIndex()
    row = index.add(["gout", "pain"])
    assert index.held(row, ["gout", "fever"]) == {"gout"}
    index.remove(row)
    index.remove(row)
    assert index.held(row, ["gout"]) == set()
    assert (len(index), index.frequency("gout")) == (0, 0)
