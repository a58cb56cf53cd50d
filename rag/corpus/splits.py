"""Sides of a data set for evaluation: train, validation and production, 60, 20 and 20 of a hundred.

A question's side follows from its normalised words and the seed alone, so that a question asked in
two documents is on one side, whatever else is in the data and in whatever order.
"""

import hashlib
from typing import Literal, get_args

from rag.corpus.cleaning import normalised

__all__ = ["SIDES", "Side", "side_of"]

Side = Literal["train", "validation", "production"]
SIDES: tuple[Side, ...] = get_args(Side)
_SIDE: tuple[Side, ...] = ("train", "train", "train", "validation", "production")


def side_of(question: str, seed: int = 0) -> Side:
    """Side of a question.

    Args:
        question: in any spelling; case, punctuation and space do not count.
        seed: another one is another split.

    >>> side_of("What is (are) Sepsis ?") == side_of("what is are sepsis")
    True
    """
    digest = hashlib.sha256(f"corpus {seed} {normalised(question)}".encode()).hexdigest()
    return _SIDE[int(digest, 16) % len(_SIDE)]
