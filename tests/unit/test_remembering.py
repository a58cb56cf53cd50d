"""A text is encoded once, and its vector is that of the encoder."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from rag import remembering
from rag.remembering import Remembering, SharedStates
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


class BothEncoder(WordEncoder):
    """Makes states beside the vectors."""

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        return self.encode(texts), [np.full((2, 384), len(text), np.float32) for text in texts]


def test_what_the_safety_net_has_read_is_not_encoded_again_for_the_search() -> None:
    plain = BothEncoder()
    memory = Remembering(plain)
    states = SharedStates(plain, memory).states(["gout", "sepsis"])
    assert [each[0, 0] for each in states] == [4, 6]
    vectors = memory.encode(["sepsis", "gout"])
    assert plain.encoded == ["gout", "sepsis"]
    np.testing.assert_array_equal(vectors, WordEncoder().encode(["sepsis", "gout"]))


def test_no_texts_give_no_vectors() -> None:
    assert Remembering(WordEncoder()).encode([]).shape == (0, 384)
