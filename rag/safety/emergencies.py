"""Emergencies and crises, found by rules before anything else is done with a message."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from pydantic import Field

from rag.answers import RuleMatch
from rag.safety.context import Context, Kind, Sentence
from rag.safety.index import Index
from rag.safety.patterns import Lexicon
from rag.safety.rules import Strict, compiled, read
from rag.safety.spelling import Spelling, common_words
from rag.safety.text import Plain, plain

__all__ = ["Emergencies", "EmergencyRule", "Look", "RuleFile"]

#: What a message may have besides the name of an illness to be nothing but that.
_NOTHING = (" . ", " ! ", " ! ! ", " ! ! ! ")
#: Kinds of patterns that do not hang on what else a message says.
_CERTAIN: tuple[Kind, ...] = ("always", "condition")
#: Words of a message that has hardly anything besides a match: "anaphylaxis!", "he has arrested".
_FEW = 4
_KINDS: tuple[Kind, ...] = ("always", "event", "symptom", "condition")

_WORD = re.compile(r"\w+")
#: Matches of a rule in a message that are looked at: a word that is repeated a thousand times would
#: cost the square of that.
_LOOKED_AT = 25


class EmergencyRule(Strict):
    """One rule.

    Attributes:
        id: ``emergency/chest-pain``.
        outcome: what a match means.
        always: patterns that count in any question.
        event: patterns that say that it happens now.
        symptom: patterns that count unless the question is general.
        condition: illnesses, which count where somebody has them now.
    """

    id: str = Field(pattern=r"^(emergency|crisis)/[a-z-]+$")
    outcome: Literal["emergency", "crisis"]
    always: tuple[str, ...] = ()
    event: tuple[str, ...] = ()
    symptom: tuple[str, ...] = ()
    condition: tuple[str, ...] = ()


class RuleFile(Strict):
    """``config/emergencies.yaml``."""

    version: str
    classes: Mapping[str, tuple[str, ...]]
    rules: tuple[EmergencyRule, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What the rules make of a message.

    Attributes:
        matches: one a rule, those of emergencies first.
        certain: what else the message says does not matter: one of them is of a pattern that always
            counts, or the name of an illness that somebody has; or there is hardly anything else.
    """

    matches: tuple[RuleMatch, ...]
    certain: bool


class Emergencies:
    """The rules, ready for use.

    Args:
        rules: a file to read instead of the one that ships.
        context: the same of what speaks against a match.

    Raises:
        RulesError: a file is wrong; the line is told.
        OSError: a file cannot be read.
    """

    def __init__(self, rules: Path | None = None, context: Path | None = None) -> None:
        content, source = read(RuleFile, "emergencies.yaml", rules)
        lexicon = Lexicon(content.classes)
        conditions = [each for rule in content.rules for each in rule.condition]
        self.version = content.version
        self._rules = content.rules
        self._index = Index(
            ((number, kind), pattern)
            for number, rule in enumerate(content.rules)
            for kind in _KINDS
            for pattern in compiled(getattr(rule, kind), lexicon, source, ("rules", number, kind))
        )
        # after the rules: what is wrong with a class is told where the class stands
        self._context = Context.load(content.classes, conditions, context)
        words = self._index.words | self._context.words
        self._spelling = Spelling(words, common_words())

    def read(self, message: str) -> Plain:
        """The message in plain words, its misspelt words of the rules put right."""
        return plain(message, self._spelling.known, self._spelling.corrected)

    def find(self, message: str) -> tuple[RuleMatch, ...]:
        """Rules that a message matches, those of emergencies first; one match a rule.

        Args:
            message: as it was written, in any length.
        """
        return self.look(message).matches

    def look(self, message: str) -> Look:
        """The same, and whether they hang on what else the message says.

        Args:
            message: as it was written, in any length.
        """
        of = self.read(message)
        found: dict[int, tuple[int, int]] = {}
        figures: list[tuple[int, int]] | None = None
        certain = len(_WORD.findall(of.text)) <= _FEW
        for (number, kind), pattern in self._index.candidates(of.text):
            if number in found and (certain or kind not in _CERTAIN):
                continue
            for span in islice(pattern.find(of.text), _LOOKED_AT):
                if figures is None:
                    figures = list(self._context.idioms.spans(of.text))
                if self._counts(of.text, span, kind, number, figures):
                    found.setdefault(number, span)
                    certain = certain or kind in _CERTAIN
                    break
        matches = tuple(
            RuleMatch(self._rules[number].id, self.version, *of.span(*found[number]))
            for number in sorted(found)
        )
        return Look(matches, certain)

    def _counts(
        self,
        text: str,
        span: tuple[int, int],
        kind: Kind,
        number: int,
        figures: list[tuple[int, int]],
    ) -> bool:
        start, end = span
        if any(a < end and start < b for a, b in figures):
            return False
        if kind == "condition" and any(
            a < end and start < b for a, b in self._context.never.spans(text)
        ):
            return False
        crisis = self._rules[number].outcome == "crisis"
        begin = max(text.rfind(mark, 0, start + 1) for mark in (" . ", " ? ", " ! "))
        begin = 0 if begin < 0 else begin + 2
        stops = [at for mark in (" . ", " ? ", " ! ") if (at := text.find(mark, end - 1)) >= 0]
        stop = min(stops, default=len(text) - 3) + 2
        return self._context.stands(
            Sentence(
                pre=text[begin:start],
                match=text[start:end],
                post=text[end:stop] + " ",
                kind=kind,
                crisis=crisis,
                alone=text[:start] + text[end:] in _NOTHING,
            )
        )
