"""What is not for Vigil to answer: a dose, a diagnosis, a change of somebody's medicines."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from rag.answers import RuleMatch
from rag.safety.index import Index
from rag.safety.patterns import Lexicon
from rag.safety.rules import Strict, compiled, read
from rag.safety.spelling import Spelling, common_words
from rag.safety.text import plain

__all__ = ["RefusalFile", "RefusalRule", "Refusals"]


class RefusalRule(Strict):
    """One rule.

    Attributes:
        id: ``refusal/dose``.
        patterns: any of which is refused.
    """

    id: str = Field(pattern=r"^refusal/[a-z-]+$")
    patterns: tuple[str, ...]


class RefusalFile(Strict):
    """``config/refusals.yaml``."""

    version: str
    classes: Mapping[str, tuple[str, ...]]
    rules: tuple[RefusalRule, ...]
    unless: tuple[str, ...]
    texts: Mapping[str, str]


class Refusals:
    """The rules, ready for use.

    Args:
        path: a file to read instead of the one that ships.

    Raises:
        RulesError: the file is wrong; the line is told.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path | None = None) -> None:
        content, source = read(RefusalFile, "refusals.yaml", path)
        for number, rule in enumerate(content.rules):
            if rule.id not in content.texts:
                raise source.wrong(("rules", number), f"{rule.id} has no text: add it to texts")
        lexicon = Lexicon(content.classes)
        self._content = content
        self.version = content.version
        self._index = Index(
            (rule.id, pattern)
            for number, rule in enumerate(content.rules)
            for pattern in compiled(rule.patterns, lexicon, source, ("rules", number, "patterns"))
        )
        self._unless = compiled(content.unless, lexicon, source, ("unless",))
        words = self._index.words.union(*(pattern.words for pattern in self._unless))
        self._spelling = Spelling(words, common_words())

    def find(self, message: str) -> tuple[RuleMatch, ...]:
        """Rules that a message matches, one match a rule, in the order of the file."""
        of = plain(message, self._spelling.known, self._spelling.corrected)
        found: dict[str, tuple[int, int]] = {}
        other: list[tuple[int, int]] | None = None
        for rule, pattern in self._index.candidates(of.text):
            if rule in found:
                continue
            for start, end in pattern.find(of.text):
                if other is None:
                    other = [span for each in self._unless for span in each.find(of.text)]
                if not any(a < end and start < b for a, b in other):
                    found[rule] = (start, end)
                    break
        return tuple(RuleMatch(rule, self.version, *of.span(*span)) for rule, span in found.items())

    def text(self, rule: str, emergency: str) -> str:
        """What people are told.

        Args:
            rule: id of the one that matched.
            emergency: number of the region's emergency services.
        """
        return self._content.texts[rule].format(emergency=emergency)
