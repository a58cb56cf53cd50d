"""A text is encoded once, and its vector is that of the encoder."""

import numpy as np
import pytest

from rag import remembering
from rag.remembering import Remembering
from tests.unit.made_corpus import WordEncoder

pytestmark = pytest.mark.unit


def test_a_text_is_encoded_once_and_vectors_come_in_the_order_of_the_texts() -> None:
    plain = WordEncoder()
    encoder = Remembering(plain)
    first = encoder.encode(["gout", "sepsis", "gout"])
    again = encoder.encode(["sepsis", "asthma"])
    assert plain.encoded == ["gout", "sepsis", "asthma"]
    np.testing.assert_array_equal(first[[0, 2]], WordEncoder().encode(["gout", "gout"]))
    np.testing.assert_array_equal(again, WordEncoder().encode(["sepsis", "asthma"]))


def test_what_is_long_or_was_long_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "_KEPT", 1)
    plain = WordEncoder()
    encoder = Remembering(plain)
    long = "gout " * 500
    for text in (long, long, "a", "b", "a"):
        encoder.encode([text])
    assert plain.encoded == [long, long, "a", "b", "a"]


def test_no_texts_give_no_vectors() -> None:
    assert Remembering(WordEncoder()).encode([]).shape == (0, 384)
