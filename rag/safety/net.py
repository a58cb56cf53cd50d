"""A second look at messages that no rule found: how near they are to those that were urgent.

Rules say why they decide, but people write of the same thing in more ways than rules foresee. A
linear function of a message's vector (which retrieval needs anyhow) and of its words and pairs of
words was fitted to messages that people might write. It can only add an emergency or a crisis, and
stands in ``net.json``, which ``python -m bench.safety_net`` fits.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rag.encoder import DIMENSIONS
from rag.safety.spelling import Spelling, common_words
from rag.safety.text import plain

__all__ = ["CLASSES", "FORMAT", "Net", "NetError", "Urgent", "grams", "parse", "shipped", "urgency"]

Urgent = Literal["emergency", "crisis"]

#: In the order of the coefficients.
CLASSES: tuple[Urgent, ...] = ("emergency", "crisis")
FORMAT = "vigil-safety-net/1"
_AGAIN = "fit it again with `python -m bench.safety_net`"


class NetError(ValueError):
    """The coefficients cannot be used; the message says why."""


def grams(text: str) -> frozenset[str]:
    """Words of a text of plain words, and pairs of neighbours.

    >>> sorted(grams(" no pain . "))
    ['.', 'no', 'no pain', 'pain', 'pain .']
    """
    words = text.split()
    return frozenset(words) | {f"{a} {b}" for a, b in pairwise(words)}


def urgency(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """One number of both scores: a little of each counts as much as more of one.

    Somebody who walks into the sea is near both an emergency and a crisis. The larger score would
    miss that, so it is the logarithm of the squared sum of the roots of both odds.

    Args:
        scores: shape [n, 2].

    Returns:
        Shape [n].
    """
    halved: NDArray[np.float32] = 2 * np.logaddexp(scores[:, 0] / 2, scores[:, 1] / 2)
    return halved


@dataclass(frozen=True, eq=False)
class Net:
    """The fitted functions.

    Attributes:
        version: of the coefficients, with the first digits of their file's SHA-256.
        encoder: version of the one whose vectors they were fitted on.
        vector: weights of a message's vector, float32, shape [2, 384].
        words: weights of words and pairs, float32, shape [2] each.
        against: weights where a rule matched and what stood around it spoke against it, shape [2].
        bias: shape [2].
        threshold: urgent is what is above in `urgency`.
    """

    version: str
    encoder: str
    vector: NDArray[np.float32]
    words: Mapping[str, NDArray[np.float32]]
    against: NDArray[np.float32]
    bias: NDArray[np.float32]
    threshold: float
    _spelling: Spelling = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check them.

        Raises:
            NetError: coefficients are missing, or no numbers.
        """
        pairs = (*self.words.values(), self.against, self.bias)
        whole = self.vector.shape == (len(CLASSES), DIMENSIONS) and all(
            each.shape == (len(CLASSES),) for each in pairs
        )
        if not whole or not all(np.isfinite(each).all() for each in (self.vector, *pairs)):
            raise NetError(
                f"safety net: {DIMENSIONS} finite weights of the vector and one of each word "
                f"needed for each of {', '.join(CLASSES)}: {_AGAIN}"
            )
        known = {word for gram in self.words for word in gram.split()}
        object.__setattr__(self, "_spelling", Spelling(known, common_words()))

    def read(self, message: str) -> str:
        """The message in plain words, its misspelt words of the net put right."""
        return plain(message, self._spelling.known, self._spelling.corrected).text

    def scores(
        self, messages: Sequence[str], vectors: NDArray[np.float32], against: Sequence[bool]
    ) -> NDArray[np.float32]:
        """How near messages are to an emergency and to a crisis: above 0 more likely than not.

        Args:
            messages: as they were written.
            vectors: of the whole messages, of length 1, shape [n, 384].
            against: whether a rule matched but what stood around it spoke against it.

        Returns:
            For each message a number for each of `CLASSES`, shape [n, 2].

        Raises:
            ValueError: there is not one vector a message, or they are of another encoder.
        """
        if vectors.shape != (len(messages), DIMENSIONS) or len(against) != len(messages):
            raise ValueError(
                f"{len(messages)} messages and vectors of shape {list(vectors.shape)}: give one of "
                f"{DIMENSIONS} numbers for each message as it was written"
            )
        scores = vectors.astype(np.float32) @ self.vector.T + self.bias
        for row, message in enumerate(messages):
            found = sorted(gram for gram in grams(self.read(message)) if gram in self.words)
            if found:
                said = [self.words[gram] for gram in found]
                scores[row] += np.sum(said, axis=0, dtype=np.float32)
            if against[row]:
                scores[row] += self.against
        return scores

    def find(
        self, messages: Sequence[str], vectors: NDArray[np.float32], against: Sequence[bool]
    ) -> list[Urgent | None]:
        """What is urgent; where a message is both, what it is more.

        Args:
            messages: see `scores`, as of the others.
            vectors: of the messages.
            against: see `scores`.

        Raises:
            ValueError: see `scores`.
        """
        scores = self.scores(messages, vectors, against)
        above = urgency(scores) > self.threshold
        return [
            CLASSES[int(row.argmax())] if is_urgent else None
            for row, is_urgent in zip(scores, above, strict=True)
        ]


@lru_cache(maxsize=1)
def shipped() -> Net:
    """Read the coefficients that ship with Vigil.

    Raises:
        NetError: they are not of this version of the code.
    """
    return parse(files("rag.safety").joinpath("net.json").read_text(encoding="utf-8"))


def parse(text: str) -> Net:
    """Read coefficients.

    Args:
        text: JSON, as ``python -m bench.safety_net`` writes it.

    Raises:
        NetError: they are not of this version of the code.
    """
    try:
        given: dict[str, Any] = json.loads(text)
        if given["format"] != FORMAT or tuple(given["classes"]) != CLASSES:
            raise NetError(f"safety net: the coefficients are of another version: {_AGAIN}")
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return Net(
            f"{given['version']}-{digest}",
            str(given["encoder"]),
            np.array(given["vector"], np.float32),
            {gram: np.array(each, np.float32) for gram, each in given["words"].items()},
            np.array(given["against"], np.float32),
            np.array(given["bias"], np.float32),
            float(given["threshold"]),
        )
    except NetError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise NetError(
            f"safety net: the coefficients cannot be read ({error!r}): {_AGAIN}"
        ) from None
