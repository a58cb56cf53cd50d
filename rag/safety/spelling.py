"""Misspelt words of the rules, and only those: "chets" is "chest", "hearth" stays "hearth"."""

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files

from rapidfuzz.distance import OSA

__all__ = ["Spelling", "common_words"]

#: Shorter words have too many neighbours.
SHORTEST = 4
#: From so many letters on, two mistakes may be made.
LONG = 8


@lru_cache(maxsize=1)
def common_words() -> frozenset[str]:
    """English words and names that are no mistake, of four letters and more."""
    text = files("config").joinpath("common_words.txt").read_text(encoding="ascii")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))


class Spelling:
    """Words of the rules by what they may be misspelt as.

    One mistake (a letter more, less, other, or two swapped: optimal string alignment), two from
    eight letters on; the first letter may only be wrong by being swapped with the second. A word
    that English has is never corrected.

    Args:
        vocabulary: words of the rules.
        real: words that are no mistakes.
    """

    def __init__(self, vocabulary: Iterable[str], real: Iterable[str]) -> None:
        self._known = frozenset(vocabulary)
        self._real = frozenset(real)
        near: dict[tuple[str, int], list[str]] = defaultdict(list)
        for word in sorted(self._known):
            if len(word) >= SHORTEST and word.isalpha():
                near[word[0], len(word)].append(word)
        self._near = dict(near)
        self.corrected = lru_cache(maxsize=4096)(self._corrected)

    def known(self, word: str) -> bool:
        """Whether the rules have the word."""
        return word in self._known

    def _corrected(self, word: str) -> str:
        """The word that was meant; two, with a space, where they were written as one."""
        if len(word) < SHORTEST or word in self._real or word in self._known:
            return word
        for cut in range(3, len(word) - 2):
            left, right = word[:cut], word[cut:]
            if self._part(left) and self._part(right) and len(word) >= 8:
                return f"{left} {right}"
        return self._nearest(word) or word

    def _part(self, word: str) -> bool:
        return word in self._known or word in ("cant", "dont", "wont", "isnt")

    def _nearest(self, word: str) -> str | None:
        best: tuple[int, int, str] | None = None
        most = 2 if len(word) >= LONG else 1
        for first in {word[0], word[1]}:
            for length in range(len(word) - most, len(word) + most + 1):
                allowed = min(most, 2 if length >= LONG else 1)
                for other in self._near.get((first, length), ()):
                    distance = OSA.distance(word, other, score_cutoff=allowed)
                    if distance > allowed:
                        continue
                    if first != word[0] and other[:2] != word[1::-1]:
                        continue
                    # same length first: swapped and mistyped letters are commoner than lost ones
                    candidate = (distance, abs(length - len(word)), other)
                    if best is None or candidate < best:
                        best = candidate
        return best[2] if best else None
