"""Patterns by the rarest of their words, so that a message is held against few of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

from rag.safety.patterns import Pattern

__all__ = ["Index"]

_T = TypeVar("_T")


class Index(Generic[_T]):
    """Patterns, each with what it stands for.

    Args:
        patterns: in the order in which they are tried.
    """

    def __init__(self, patterns: Iterable[tuple[_T, Pattern]]) -> None:
        self._all = tuple(patterns)
        self._by_word: dict[str, list[int]] = defaultdict(list)
        for number, (_, pattern) in enumerate(self._all):
            for word in pattern.anchor:
                self._by_word[word].append(number)
        self.words = frozenset().union(*(pattern.words for _, pattern in self._all))

    def candidates(self, text: str) -> Iterator[tuple[_T, Pattern]]:
        """Patterns all of whose words a text has.

        Args:
            text: of plain words, as `rag.safety.text.Plain` has it.
        """
        words = set(text.split())
        numbers = {number for word in words for number in self._by_word.get(word, ())}
        for number in sorted(numbers):
            of, pattern = self._all[number]
            if not any(need.isdisjoint(words) for need in pattern.needs):
                yield of, pattern
