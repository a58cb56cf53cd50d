"""Sentences of a document that could be quoted, read once however often the document is found.

Whole sentences only, so every quote stands in its source to the letter.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from rag.asked import content_words

__all__ = ["Flagged", "Part", "Quotable", "Span", "Split"]

#: Splits a text into sentences: offsets of each, in order.
Split = Callable[[str], Sequence[tuple[int, int]]]


class Span(Protocol):
    """A place in a text; `rag.safety.injection.Flag` is one."""

    @property
    def start(self) -> int:
        """Offset of its first character."""

    @property
    def end(self) -> int:
        """Offset after its last."""


#: Finds what may not be quoted in a text, `rag.safety.injection.flag`.
Flagged = Callable[[str], Sequence[Span]]

#: Texts whose sentences are kept, 4 KiB each: the same ones are found again and again.
_KEPT = 2_048
#: Characters from which a text is a long one, and takes some hundred KiB: of those fewer are kept.
_LONG, _LONG_KEPT = 20_000, 16
# What stands before a sentence and is no part of it: a bullet, a label of the source.
_LEAD_IN = re.compile(r"(?:\s|[-*\u2022\u00b7\u2013]\s|summary\s*:)+", re.IGNORECASE)
#: Says where something could be read, and not what.
_ELSEWHERE = re.compile(
    r"these resources|for (?:more|additional|further) information|to (?:learn|find out) more|"
    r"see (?:also|the)|click|visit|the human phenotype ontology|key points",
    re.IGNORECASE,
)
#: An entry of a list of addresses: "National Eye Institute: Dry Eye".
_ENTRY = re.compile(r"[A-Z][^.:]{3,90}: [A-Z][^.]*")
#: Announces what is not in it, a list below: it ends in a colon, or without any mark in a word that
#: nothing ends with.
_ANNOUNCES = re.compile(
    r":$|\s(?:includ(?:e|es|ed|ing)|as|by|with|without|in|of|to|for|from|on|at|into|about|than|if|"
    r"through|during|that|which|who|when|because|are|is|was|were|be|has|have|may|can|should|or|and|"
    r"a|an|the)$"  # in small letters: vitamin A is no such word
)
#: Leans on the sentence before it, and reads badly alone.
_LEANS = re.compile(
    r"(these|this|those|that|it|its|they|their|he|she|his|her|however|therefore|thus|also|but|and|"
    r"or|other|others|another|in addition|for example|as a result|such)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence that could be quoted.

    Attributes:
        number: counts all sentences of its text, from 0.
        start: offset of its first character.
        end: offset after its last.
        words: its stems.
        elsewhere: it says where something could be read, and not what.
        leans: on the sentence before it.
    """

    number: int
    start: int
    end: int
    words: tuple[str, ...]
    elsewhere: bool
    leans: bool


class Quotable:
    """Reads texts. Safe to call from several threads.

    Args:
        split: into sentences.
        flagged: finds what may not be quoted; a sentence with any of it is left out.
            None: everything may be.
        shortest: characters of a sentence worth quoting; shorter ones are headings.
        longest: characters of one that can still be shown whole.
    """

    def __init__(self, split: Split, flagged: Flagged | None, shortest: int, longest: int) -> None:
        self._split, self._flagged = split, flagged
        self._shortest, self._longest = shortest, longest
        self._known = lru_cache(_KEPT)(self._read)
        self._known_long = lru_cache(_LONG_KEPT)(self._read)

    def of(self, text: str) -> tuple[Part, ...]:
        """Sentences of a text that could be quoted, in order."""
        return self._known(text) if len(text) <= _LONG else self._known_long(text)

    def _read(self, text: str) -> tuple[Part, ...]:
        # of the whole text: what is flagged may begin in one sentence and end in the next
        barred = _disjoint(self._flagged(text)) if self._flagged else []
        found = []
        for number, (start, end) in enumerate(self._split(text)):
            lead = _LEAD_IN.match(text, start, end)
            start = lead.end() if lead else start
            end = start + len(text[start:end].rstrip())
            while barred and barred[-1][1] <= start:
                barred.pop()
            if barred and barred[-1][0] < end:
                continue
            said = text[start:end]
            # a text may open by repeating its question
            whole = said[-1:] != "?" and not _ANNOUNCES.search(said)
            if self._shortest <= len(said) <= self._longest and whole:
                elsewhere = bool(_ELSEWHERE.match(said) or _ENTRY.fullmatch(said))
                words, leans = tuple(content_words(said)), bool(_LEANS.match(said))
                found.append(Part(number, start, end, words, elsewhere, leans))
        return tuple(found)


def _disjoint(spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Where any of the spans is, the last place first."""
    found: list[tuple[int, int]] = []
    for start, end in sorted((each.start, each.end) for each in spans):
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((start, end))
    return found[::-1]
