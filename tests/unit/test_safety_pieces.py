"""A long message is read whole and in pieces, and nothing of it is left out."""

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


@given(st.text(st.sampled_from("ab .\n?é"), max_size=1200))
def test_every_word_is_in_a_piece_and_no_piece_is_longer_than_told(message: str) -> None:
    whole, *rest = pieces(message)
    assert whole == message
    if len(message) > LONGEST:
        assert all(len(piece) <= LONGEST for piece in rest)
        assert all(piece in message for piece in rest)
        assert "".join(message.split()) in _joined(rest)


def _joined(parts: list[str]) -> str:
    """Put pieces together, each over the end of the one before as far as they agree."""
    found = ""
    for part in parts:
        part = "".join(part.split())
        longest = min(len(part), len(found))
        shared = next(n for n in range(longest, -1, -1) if found.endswith(part[:n]))
        found += part[shared:]
    return found
