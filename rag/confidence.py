"""How sure it is that what was found answers a question, and from where on Vigil answers.

A logistic function of a few figures of the search. Its coefficients and the threshold stand in
``confidence.json``; ``python -m bench.abstention`` fits them and draws the curve from which the
threshold was chosen.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA

from rag.asked import content_words, name_words
from rag.documents import Document, Hit

__all__ = ["FEATURES", "Confidence", "ConfidenceError", "features", "shipped"]

#: Figures of a search, in the order of the coefficients.
FEATURES = (
    "cosine",
    "covered",
    "named",
    "cosine_covered",
    "same_subject",
    "rankers_agree",
)
#: Hits that are looked at, the best first.
_LOOKED_AT = 5
#: Letters of a stem from which on it can be told from others with a letter wrong.
_LONG = 6
_FORMAT = "vigil-confidence/1"


class ConfidenceError(ValueError):
    """The coefficients cannot be used; the message says why."""


def features(question: str, hits: Sequence[Hit]) -> NDArray[np.float64]:
    """Figures of one search, shape [6], each -1 to 1; all 0 where nothing was found.

    ``cosine`` is that of the nearest hit; ``covered`` the larger share of the question's words,
    each by how rare it is, that it or the first hit has, and ``named`` the largest share of a name
    of a hit's subject that is in the question, a slip of the finger in a long word allowed.
    ``same_subject`` is the share of hits of the first one's subject, and ``rankers_agree`` tells
    how far down the fused order the nearest is: 1, 1/2, 1/3 …

    Args:
        question: as it was searched for.
        hits: what was found, the best first.
    """
    looked = list(hits[:_LOOKED_AT])
    if not looked:
        return np.zeros(len(FEATURES))
    first, nearest = looked[0], max(looked, key=lambda hit: hit.cosine)
    subject = _subject(first)
    covered = max(first.covered, nearest.covered)
    asked = frozenset(content_words(question))
    return np.array(
        [
            nearest.cosine,
            covered,
            max(_named(hit.document, asked) for hit in looked),
            nearest.cosine * covered,
            sum(_subject(hit) == subject for hit in looked) / len(looked),
            1 / (1 + looked.index(nearest)),
        ]
    )


def _subject(hit: Hit) -> str:
    return (hit.document.focus or hit.document.title).casefold()


def _named(document: Document, asked: frozenset[str]) -> float:
    names = (name_words(name) for name in (document.focus, *document.synonyms))
    return max(
        (sum(_is_in(word, asked) for word in name) / len(name) for name in names if name),
        default=0.0,
    )


def _is_in(word: str, asked: frozenset[str]) -> bool:
    """Whether a word was written, or a long one with one letter wrong or two swapped."""
    if word in asked:
        return True
    return len(word) >= _LONG and any(OSA.distance(word, a, score_cutoff=1) <= 1 for a in asked)


@dataclass(frozen=True, slots=True)
class Confidence:
    """A fitted function and a threshold.

    Attributes:
        version: of the coefficients, for audits.
        weights: of `FEATURES`, in their order.
        bias: added to the weighted sum.
        threshold: confidence from which a question is answered, 0 to 1.
    """

    version: str
    weights: tuple[float, ...]
    bias: float
    threshold: float

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            ConfidenceError: a weight is missing, or a number is out of its range.
        """
        if len(self.weights) != len(FEATURES) or not np.isfinite([*self.weights, self.bias]).all():
            raise ConfidenceError(
                f"confidence: {len(FEATURES)} finite weights needed, for {', '.join(FEATURES)}; "
                "fit them again with `python -m bench.abstention`"
            )
        if not 0 <= self.threshold <= 1:
            raise ConfidenceError(
                f"confidence: the threshold is {self.threshold}; it lies between 0 and 1"
            )

    def of(self, question: str, hits: Sequence[Hit]) -> float:
        """Probability that what was found answers the question, 0 to 1; 0 for nothing.

        Args:
            question: as it was searched for.
            hits: what was found, the best first.
        """
        return float(self.of_features(features(question, hits)[np.newaxis])[0]) if hits else 0.0

    def of_features(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same of many searches at once.

        Args:
            rows: see `features`, shape [n, 6].

        Returns:
            Shape [n].
        """
        logits = rows @ np.array(self.weights) + self.bias
        return np.asarray(1 / (1 + np.exp(-np.clip(logits, -500, 500))))

    def answers(self, question: str, hits: Sequence[Hit]) -> bool:
        """Whether there is evidence enough to answer; see `of`."""
        return bool(hits) and self.of(question, hits) >= self.threshold


@lru_cache(maxsize=4)
def shipped(threshold: float | None = None) -> Confidence:
    """Read the coefficients that ship with Vigil.

    Args:
        threshold: to use instead of the one that ships.

    Raises:
        ConfidenceError: they are not of this version of the code.
    """
    return parse(files("rag").joinpath("confidence.json").read_text(encoding="utf-8"), threshold)


def parse(text: str, threshold: float | None = None) -> Confidence:
    """Read coefficients.

    Args:
        text: JSON, as ``python -m bench.abstention`` writes it.
        threshold: to use instead of the one in it.

    Raises:
        ConfidenceError: they are not of this version of the code.
    """
    try:
        given: dict[str, Any] = json.loads(text)
        if given["format"] != _FORMAT or tuple(given["features"]) != FEATURES:
            raise ConfidenceError(
                "confidence: the coefficients are of another version of Vigil: fit them again with "
                "`python -m bench.abstention`"
            )
        return Confidence(
            str(given["version"]),
            tuple(float(weight) for weight in given["weights"]),
            float(given["bias"]),
            float(given["threshold"]) if threshold is None else threshold,
        )
    except ConfidenceError:
        raise
    except (LookupError, TypeError, ValueError) as error:
        raise ConfidenceError(
            f"confidence: the coefficients cannot be read ({error!r}): fit them again with "
            "`python -m bench.abstention`"
        ) from None
