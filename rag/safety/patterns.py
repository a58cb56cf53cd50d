r"""The small language in which rules are written, and its translation to regular expressions.

A pattern is a sequence of elements with spaces between them, over the words of a message:

========== =====================================================================
``pain``   the word
``ache+``  the word and its forms: ache, aches, ached, aching
``{pain}`` any phrase of the class ``pain``
``(a|b c)`` any of these
``x?``     there or not (of a word, a class or a bracket)
``~3``     up to three words of the same sentence, none of them a denial
``x ~~3 y`` both, in either order, up to three words between them; once in a pattern
``<90``    a number below 90 (of 74/38 the first), ``>150`` one above
========== =====================================================================
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rag.safety.source import PatternError, Source

__all__ = ["Lexicon", "Pattern", "forms", "holds", "union"]

_PIECE = re.compile(
    r"(?P<gap>~\d+)|(?P<class>\{[a-z_]+\})|(?P<open>\()|(?P<less><\d+(?:\.\d+)?)"
    r"|(?P<more>>\d+(?:\.\d+)?)|(?P<word>[a-z0-9.,?!/]+\+?)"
)
_BOUND = re.compile(r"\(\?P<([LM][0-9_]+)>")
#: A word of a gap: of the same sentence, and no denial, which would say the contrary.
_BETWEEN = r" (?!(?:no|not|den(?:y|ies|ied|ying)|without|never|neither|nor) )[^ .!?]+"
_VOWELS = "aeiou"


def forms(word: str) -> tuple[str, ...]:
    """A word and its forms in -s, -ed and -ing.

    >>> forms("choke")
    ('choke', 'chokes', 'choked', 'choking')
    """
    if word.endswith("e"):
        return word, word + "s", word + "d", word[:-1] + "ing"
    if word.endswith("y") and word[-2] not in _VOWELS:
        return word, word[:-1] + "ies", word[:-1] + "ied", word + "ing"
    if word.endswith(("s", "sh", "ch", "x")):
        return word, word + "es", word + "ed", word + "ing"
    stem = word
    if len(word) <= 4 and word[-1] not in _VOWELS + "wxy" and word[-2] in _VOWELS and (
        len(word) < 3 or word[-3] not in _VOWELS
    ):  # fmt: skip
        stem = word + word[-1]  # stab, stabbing
    return word, word + "s", stem + "ed", stem + "ing"


@dataclass(frozen=True, slots=True)
class Element:
    """Part of a pattern.

    Attributes:
        regex: of it, with the space before each word.
        firsts: words of which one has to be in the message; None: it asks for none.
        words: all of its words.
    """

    regex: str
    firsts: frozenset[str] | None
    words: frozenset[str]


@dataclass(slots=True)
class Lexicon:
    """Classes of words, by name.

    Args:
        classes: phrases of each; a phrase may name other classes and have forms (``ache+``).
    """

    classes: Mapping[str, Sequence[str]]
    _done: dict[str, Element] = field(default_factory=dict)

    def element(self, name: str, above: tuple[str, ...] = ()) -> Element:
        """The element that stands for a class.

        Raises:
            PatternError: there is no such class, or it contains itself.
        """
        if name not in self._done:
            if name not in self.classes:
                raise PatternError(f"there is no class {{{name}}}: add it to classes")
            if name in above:
                raise PatternError(f"the class {{{name}}} contains itself: take it out")
            self._done[name] = self._any(self.classes[name], (*above, name))
        return self._done[name]

    def _any(self, phrases: Sequence[str], above: tuple[str, ...]) -> Element:
        parts = [self.sequence(phrase, above) for phrase in phrases]
        firsts: frozenset[str] | None = frozenset()
        words: frozenset[str] = frozenset()
        regexes: dict[str, None] = {}
        for elements in parts:
            needed = [each.firsts for each in elements if each.firsts is not None]
            firsts = None if not needed or firsts is None else firsts | _rarest(needed)
            words = words.union(*(each.words for each in elements))
            regexes["".join(each.regex for each in elements)] = None
        return Element(f"(?:{'|'.join(regexes)})", firsts, words)

    def sequence(self, text: str, above: tuple[str, ...] = ()) -> list[Element]:
        """Elements of a pattern without ``~~``.

        Raises:
            PatternError: it is not in the language.
        """
        return list(self._elements(text.strip(), above))

    def _elements(self, text: str, above: tuple[str, ...]) -> Iterator[Element]:
        at = 0
        while at < len(text):
            if text[at] == " ":
                at += 1
                continue
            found = _PIECE.match(text, at)
            if found is None:
                raise PatternError(f"{text[at:]!r} is not in the language of patterns")
            at = found.end()
            piece = found.group()
            match found.lastgroup:
                case "gap":
                    yield Element(rf"(?:{_BETWEEN}){{0,{piece[1:]}}}?", None, frozenset())
                    continue
                case "class":
                    element = self.element(piece[1:-1], above)
                case "open":
                    end = _closing(text, at)
                    element = self._any(_split(text[at:end]), above)
                    at = end + 1
                case "less" | "more":
                    side = "L" if piece[0] == "<" else "M"
                    bound = piece[1:].replace(".", "_")
                    yield Element(rf" (?P<{side}{bound}>\d+(?:\.\d+)?)(?:/\d+)?", None, frozenset())
                    continue
                case _:
                    optional = piece.endswith("?") and len(piece) > 1
                    piece = piece.removesuffix("?") if optional else piece
                    words = forms(piece[:-1]) if piece.endswith("+") else (piece,)
                    regex = "|".join(re.escape(word) for word in words)
                    element = Element(f" (?:{regex})", frozenset(words), frozenset(words))
                    if optional:
                        yield Element(f"(?:{element.regex})?", None, element.words)
                        continue
            if text[at : at + 1] == "?":
                at += 1
                element = Element(f"(?:{element.regex})?", None, element.words)
            yield element


#: Words in so many sentences that they tell nothing.
_FREQUENT = frozenset([
    "a", "am", "an", "and", "are", "as", "at", "be", "been", "by", "can", "do", "does", "for",
    "from", "had", "has", "have", "having", "he", "her", "his", "i", "in", "into", "is", "it",
    "its", "just", "me", "my", "no", "not", "now", "of", "off", "on", "or", "out", "she", "so",
    "that", "the", "there", "they", "this", "to", "up", "was", "will", "with", "would", "you",
    "your", "our", "we", "what", "when", "how", "if", "more", "all", "get", "got", "feel",
    "feels", "feeling"
])  # fmt: skip


def _rarest(needed: Sequence[frozenset[str]]) -> frozenset[str]:
    return min(needed, key=lambda words: (len(words & _FREQUENT), len(words)))


def _closing(text: str, at: int) -> int:
    depth = 1
    for place in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return place
    raise PatternError(f"{text!r}: a bracket is not closed")


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that can be looked for.

    Attributes:
        regex: over `rag.safety.text.Plain.text`.
        needs: sets of words; one of each has to be in the message.
        anchor: the rarest of them; empty where it needs none.
        words: all of its words.
    """

    regex: re.Pattern[str]
    needs: tuple[frozenset[str], ...]
    anchor: frozenset[str]
    words: frozenset[str]

    @classmethod
    def all_of(cls, text: str, lexicon: Lexicon) -> tuple["Pattern", ...]:
        """Translate a pattern: two where it has ``~~``.

        Raises:
            PatternError: it is not in the language.
        """
        sides = re.split(r"~~(\d+)", text)
        if len(sides) == 1:
            return (cls._of(text, lexicon),)
        if len(sides) != 3:
            raise PatternError(f"{text!r} has ~~ more than once")
        left, gap, right = sides
        return (
            cls._of(f"{left} ~{gap} {right}", lexicon),
            cls._of(f"{right} ~{gap} {left}", lexicon),
        )

    @classmethod
    def _of(cls, text: str, lexicon: Lexicon) -> "Pattern":
        elements = lexicon.sequence(text)
        needs = tuple(each.firsts for each in elements if each.firsts is not None)
        if not needs:
            raise PatternError(f"{text!r} asks for no word: it would match anything")
        try:
            text_of = "".join(each.regex for each in elements) + "(?= )"
            regex = re.compile(_numbered(text_of))
        except re.error as error:
            raise PatternError(f"{text!r}: {error}") from None
        words: frozenset[str] = frozenset()
        return cls(regex, needs, _rarest(needs), words.union(*(each.words for each in elements)))

    def find(self, text: str, start: int = 0) -> Iterator[tuple[int, int]]:
        """Places in a text of plain words, from the space before each."""
        while (found := self.regex.search(text, start)) is not None:
            if holds(found):
                yield found.span()
                start = found.end()
            else:  # a number out of bounds must not hide what begins after it
                start = found.start() + 1


def _holds(bound: str, value: str | None) -> bool:
    if value is None:
        return True
    limit = float(bound[1:].partition("n")[0].replace("_", "."))
    return float(value) < limit if bound[0] == "L" else float(value) > limit


def union(
    phrases: Sequence[str],
    lexicon: Lexicon,
    source: Source,
    place: tuple[str | int, ...],
    words: set[str] | None = None,
) -> str:
    """An expression for any of some phrases.

    Args:
        phrases: patterns without ``~~``.
        lexicon: classes.
        source: of the phrases, for errors.
        place: of the phrases in it.
        words: gets all words of the phrases.

    Raises:
        RulesError: one is not in the language.
    """
    regexes = []
    for number, text in enumerate(phrases):
        try:
            elements = lexicon.sequence(text)
        except PatternError as error:
            raise source.wrong((*place, number), str(error)) from None
        regexes.append("".join(each.regex for each in elements))
        if words is not None:
            words.update(*(each.words for each in elements))
    return _numbered(f"(?:{'|'.join(regexes)})")


def _numbered(regex: str) -> str:
    """A group's name may stand once in an expression, a bound more often."""
    count = itertools.count()
    return _BOUND.sub(lambda found: f"(?P<{found[1]}n{next(count)}>", regex)


def holds(found: re.Match[str]) -> bool:
    """Whether the numbers of a match are within their bounds."""
    return not found.re.groupindex or all(
        _holds(bound, value) for bound, value in found.groupdict().items()
    )
