"""Cleaning: one form of a text, and no sense lost."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.corpus.cleaning import clean, clean_line, normalised, says_something, without_html
from rag.corpus.prepare import prepared
from rag.corpus.sentences import sentences
from rag.corpus.splits import SIDES, side_of
from rag.documents import Document

pytestmark = pytest.mark.unit

DIRT = st.text(
    st.sampled_from("aZ.?-*\u2022 \u00a0\t\r\n\u200b\ufeff\x00\u0301e\u2028\ud800\u202e"),
    max_size=60,
)


@given(DIRT | st.text())
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    once = clean(text)
    assert clean(once) == once
    assert once == once.strip()
    once.encode()  # no half of a pair is left


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("e\u0301te\u0301", "\u00e9t\u00e9"),
        ("a\u00a0\u2003 b\tc", "a b c"),
        ("a\x00\x07b\u200bc\ufeff\u202ed", "abcd"),
        ("one\r\ntwo\rthree\n\n\n\n\nfour", "one\ntwo\nthree\n\nfour"),
        ("Signs:    - fever    - chills", "Signs:\n- fever\n- chills"),
        ("\u2022 fever\n* chills", "- fever\n- chills"),
        ("a range of 5 - 10 days", "a range of 5 - 10 days"),
        (
            "A line of text that a page was too narrow to\nhold goes on.",
            "A line of text that a page was too narrow to hold goes on.",
        ),
    ],
)
def test_characters_and_space_get_one_form(dirty: str, cleaned: str) -> None:
    assert clean(dirty) == cleaned


def test_tags_and_entities_go_and_comparisons_stay() -> None:
    assert clean(
        without_html("<p>If p &lt; .05<br/>or x < 5 and y > 3</p><script>x()</script>")
    ) == ("If p < .05\nor x < 5 and y > 3")


def test_a_title_is_one_line_without_a_space_before_its_question_mark() -> None:
    assert clean_line(" What is\n (are)  Gout ? ?") == "What is (are) Gout?"


@pytest.mark.parametrize("text", ["", " - ", "N/A", "none", "...", "Is it inherited?"])
def test_a_text_that_says_nothing_is_no_answer(text: str) -> None:
    assert not says_something(text)


def test_a_short_answer_is_one() -> None:
    assert says_something("Yes.")
    assert says_something("Is it inherited? Yes")


@given(st.text(), st.integers(0, 5))
def test_the_same_question_in_another_spelling_is_on_the_same_side(text: str, seed: int) -> None:
    assert side_of(f"  {text} ?", seed) == side_of(text, seed) == side_of(normalised(text), seed)


def test_sides_are_sixty_twenty_and_twenty_of_a_hundred() -> None:
    found = [side_of(f"question {number}") for number in range(2_000)]
    shares = [found.count(side) / 2_000 for side in SIDES]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.03)
    assert found != [side_of(f"question {number}", 1) for number in range(2_000)]


@pytest.mark.parametrize(
    "part",
    [*(" ", ".", "a", "e.g. ", "<a ", "<script>", "<", "a\n", "a  - ", '?"', "\n "), "a.", "<!--"],
)
def test_no_text_takes_long_however_it_was_made_to(part: str) -> None:
    text = f"{part * 16_000}x"
    began = perf_counter()
    sentences(clean(without_html(text)))
    assert perf_counter() - began < 5  # squares of its length would be some twenty seconds


def test_a_document_of_the_stream_is_cleaned_as_one_of_a_file_and_says_something() -> None:
    dirty = Document("a", "c", "Why\n ?", "<p>So\u00a0it   is.</p>", synonyms=("x ", "x", ""))
    found = prepared(dirty)
    assert found == Document("a", "c", "Why?", "So it is.", synonyms=("x",))
    assert prepared(found) == found
    assert prepared(Document("a", "c", "Why?", "<p>N/A</p>")) is None
