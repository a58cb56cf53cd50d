"""How well sentences answer a question, by their words."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["SPENT", "relevance", "repeated"]

#: Score of what is taken or cannot be.
SPENT = -1.0
# BM25's saturation and length normalisation, at their usual values.
_K1, _B = 1.2, 0.75


def relevance(
    question: Sequence[str], sentences: Sequence[Sequence[str]], priors: Sequence[float]
) -> NDArray[np.float64]:
    """BM25 of sentences, scaled so that the best has 1, and what speaks for each beforehand.

    Args:
        question: its stems.
        sentences: their stems.
        priors: of each, 0 to 1.

    Returns:
        Scores, 0 to 2, shape [n].
    """
    scores = np.asarray(priors, dtype=np.float64).copy()
    if not sentences:
        return scores
    counts = [Counter(sentence) for sentence in sentences]
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.float64)
    mean = max(float(lengths.mean()), 1.0)
    wanted = dict.fromkeys(question)
    total = np.zeros(len(sentences))
    for word in wanted:
        has = np.array([count[word] for count in counts], dtype=np.float64)
        found = int((has > 0).sum())
        if found:
            rarity = np.log1p((len(sentences) - found + 0.5) / (found + 0.5))
            total += rarity * has * (_K1 + 1) / (has + _K1 * (1 - _B + _B * lengths / mean))
    best = float(total.max())
    return scores + total / best if best > 0 else scores


def repeated(words: frozenset[str], said: frozenset[str]) -> float:
    """Share of a sentence's words that another has said, 0 to 1."""
    return len(words & said) / len(words) if words else 1.0
