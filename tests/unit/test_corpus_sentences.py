"""Sentences and passages: where they begin and end, and that nothing is lost between them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.corpus.chunks import ChunkSettings, chunk_document, chunk_spans
from rag.corpus.cleaning import clean
from rag.corpus.sentences import sentences
from rag.documents import Document

pytestmark = pytest.mark.unit

#: Texts of sentences, abbreviations, long words and lines, as they come after cleaning.
WORDS = st.sampled_from(
    [
        *("The", "fever", "e.g.", "Dr.", "1.5", "mg/dL", "rose.", "Why?", "It", "(see", "below)."),
        *("\n", "-", "x" * 30, "vitamin C.", "\n\n", "temperature", "Call", "now!"),
    ]
)
TEXTS = st.lists(WORDS, max_size=80).map(lambda words: clean(" ".join(words))) | st.text().map(
    clean
)
SETTINGS = st.integers(1, 120).flatmap(
    lambda size: st.builds(ChunkSettings, st.just(size), st.integers(0, size - 1))
)


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "sentence",
    [
        "Some signs, e.g. Fever, come early.",
        "Dr. Smith of St. Mary's and Prof. A. B. Jones agree.",
        "The lactate was mg/dL 1.5 and then 2.5 mmol/L at 10 a.m. Monday.",
        "See Fig. 2 and no. 5 of Singer et al. Definitions differ.",
        "The U.S. Food and Drug Administration approved it.",
        "He asked for vs. Them and approx. 20 more.",
        "Staphylococcus, i.e. S. Aureus in old books, is common.",
        "Wait... and see.",
        "1. Wash your hands.",
        "In this order: 1. Wash your hands.",
        "(a) Call for help.",
    ],
)
def test_a_full_stop_within_a_sentence_does_not_end_it(sentence: str) -> None:
    assert cut(sentence) == [sentence]
    assert cut(f"It is so. {sentence} They know.") == ["It is so.", sentence, "They know."]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Take vitamin C.", "Drink enough."),
        ("He has hepatitis B.", "The liver is inflamed."),
        ("She lives in the U.S.", "The rest do not."),
        ("Is it sepsis?", "Call for help!"),
        ('He said "no."', '"Why?" she asked.'),
        ("The answer is no.", "Nobody knows."),
        ("Rest, drink, etc.", "If it goes on, call."),
        ("It was 38.5.", "20 people had it."),
        ("It rose (see below).", "It fell."),
        ("It rose to 2.5 mmol/L.", "It fell."),
    ],
)
def test_a_full_stop_at_the_end_ends_it(first: str, second: str) -> None:
    assert cut(f"{first} {second}") == [first, second]


def test_a_line_is_a_sentence_of_its_own() -> None:
    assert cut("Signs\n- fever\n- chills\n\nCall. Now.") == [
        "Signs", "- fever", "- chills", "Call.", "Now.",
    ]  # fmt: skip


@given(TEXTS)
def test_sentences_hold_every_character_that_is_no_space(text: str) -> None:
    found = sentences(text)
    assert "".join("".join(cut(text)).split()) == "".join(text.split())
    ends = 0
    for start, end in found:
        assert ends <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        ends = end


@given(TEXTS, SETTINGS)
def test_passages_hold_every_character_that_is_no_space(text: str, settings: ChunkSettings) -> None:
    covered = [False] * len(text)
    for start, end in chunk_spans(text, settings):
        assert 0 <= start < end <= len(text)
        covered[start:end] = [True] * (end - start)
    assert all(held or char.isspace() for held, char in zip(covered, text, strict=True))


@given(TEXTS, SETTINGS)
def test_a_passage_is_no_longer_than_its_size_unless_one_word_is(
    text: str, settings: ChunkSettings
) -> None:
    for start, end in chunk_spans(text, settings):
        assert end - start <= settings.size or len(text[start:end].split()) == 1


@given(TEXTS, SETTINGS)
def test_neighbours_share_no_more_than_the_overlap_and_the_next_goes_on(
    text: str, settings: ChunkSettings
) -> None:
    spans = chunk_spans(text, settings)
    for (start, end), (next_start, next_end) in pairwise(spans):
        assert end - next_start <= settings.overlap
        assert next_start > start
        assert next_end > end


@given(TEXTS, SETTINGS)
def test_a_passage_cuts_no_word_and_begins_a_sentence_unless_that_is_too_long(
    text: str, settings: ChunkSettings
) -> None:
    found = sentences(text)
    for start, end in chunk_spans(text, settings):
        assert start == 0 or text[start - 1].isspace()
        assert end == len(text) or text[end].isspace()
        around = next((s, e) for s, e in found if s <= start < e)
        assert start == around[0] or around[1] - around[0] > settings.size


def test_passages_overlap_by_whole_sentences() -> None:
    text = "One is here. Two is here. Three is here. Four is here."
    spans = chunk_spans(text, ChunkSettings(40, 15))
    assert [text[start:end] for start, end in spans] == [
        "One is here. Two is here. Three is here.",
        "Three is here. Four is here.",
    ]


def test_passages_of_a_document_are_numbered_and_an_empty_one_has_none() -> None:
    document = Document("a", "c", "t", "One is here. " * 200)
    found = chunk_document(document)
    assert [chunk.number for chunk in found] == list(range(len(found)))
    assert {chunk.document_id for chunk in found} == {"a"}
    assert chunk_document(Document("a", "c", "t", "")) == []


@pytest.mark.parametrize(("size", "overlap"), [(0, 0), (100, 100), (100, -1)])
def test_settings_that_cannot_be_are_refused(size: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="take"):
        ChunkSettings(size, overlap)
