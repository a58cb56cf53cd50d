"""A long message is read whole and in pieces, and nothing of it is left out."""

import re

from hypothesis import given
from hypothesis import strategies as st

from rag.safety.pieces import LONGEST, pieces


def test_a_short_message_is_one_piece() -> None:
    assert pieces("my chest hurts. since an hour.") == ["my chest hurts. since an hour."]
    assert pieces("") == [""]


def test_a_long_message_comes_whole_first_and_then_in_sentences_that_overlap() -> None:
    first, second, third = (f"{word} {'x ' * 50}end." for word in ("One", "Two", "Three"))
    message = f"{first} {second} {third}"
    assert pieces(message) == [message, f"{first} {second}", f"{second} {third}"]


def test_without_a_full_stop_words_stay_whole() -> None:
    message = "and then " * 100
    assert all(set(piece.split()) <= {"and", "then"} for piece in pieces(message))


def _numbered(parts: list[tuple[int, str]]) -> str:
    """Words of which no two are alike, so long and so ended."""
    return "".join(f"{number}{'x' * size}{end}" for number, (size, end) in enumerate(parts))


#: A text of single characters would hardly ever be long enough to be cut.
ENDS = st.sampled_from([" ", " ", " ", "\n", ". ", "?\n", "... ", "! "])
SIZES = st.sampled_from([0, 1, 4, 9, 30, LONGEST + 20])
LONG = st.lists(st.tuples(SIZES, ENDS), max_size=99).map(_numbered)


@given(LONG, st.sampled_from(["", "...", "\n ? "]))
def test_every_word_is_in_a_piece_and_no_piece_is_longer_than_told(text: str, lead: str) -> None:
    message = lead + text
    whole, *rest = pieces(message)
    assert whole == message
    if len(message) > LONGEST:
        assert all(len(piece) <= LONGEST for piece in rest)
        assert all(piece in message for piece in rest)
        kept = {word for piece in rest for word in re.findall(r"\w+", piece)}
        assert {word for word in re.findall(r"\w+", message) if len(word) <= LONGEST} <= kept
        assert sum(map(len, rest)) >= len("".join(message.split()))
