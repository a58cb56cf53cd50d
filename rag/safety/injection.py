"""Text of people and documents is data: what looks like an instruction in it is flagged.

Nothing depends on flagging everything. An extractive answer takes no instructions at all, and an
endpoint gets texts inside a fence that they cannot close. What is flagged is never quoted.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from rag.safety.rules import Strict, read

__all__ = ["Flag", "as_data", "flag", "visible"]


@dataclass(frozen=True, slots=True)
class Flag:
    """A place that looks like an instruction.

    Attributes:
        rule: ``injection/override``; ``injection/hidden`` of invisible characters.
        version: of the rules' file.
        start: offset of its first character.
        end: offset after its last.
    """

    rule: str
    version: str
    start: int
    end: int


class InjectionFile(Strict):
    """``config/injection.yaml``."""

    version: str
    patterns: Mapping[str, str]


#: Tags (U+E0000), zero-width and bidirectional controls: they hide text or turn it round. Joiners
#: of emoji and of scripts that need them stand alone between letters of those; a run is no such.
_HIDDEN = re.compile(
    "[\U000e0000-\U000e007f]+|[\u202a-\u202e\u2066-\u2069]"
    "|[\u200b\u2060\ufeff\u180e\u00ad]{2,}|[\u200b-\u200f\u2060-\u2064\ufeff]{3,}"
)
_FENCE = re.compile(r"</?data\b[^>]*>", re.I)


@lru_cache(maxsize=1)
def _rules() -> tuple[str, tuple[tuple[str, re.Pattern[str]], ...]]:
    content, source = read(InjectionFile, "injection.yaml")
    done = []
    for name, text in content.patterns.items():
        try:
            done.append((f"injection/{name.replace('_', '-')}", re.compile(text, re.I | re.M)))
        except re.error as error:
            raise source.wrong(("patterns", name), f"{name}: {error}: correct it") from None
    return content.version, tuple(done)


def flag(text: str) -> tuple[Flag, ...]:
    """Places that look like instructions, in their order.

    Args:
        text: a question, a document, a result of a tool.

    Raises:
        RulesError: the file of rules is wrong.
    """
    version, rules = _rules()
    shown, places = _shown(text)
    found = {
        Flag(name, version, places[match.start()], places[match.end() - 1] + 1)
        for name, pattern in rules
        for match in pattern.finditer(shown)
        if match.end() > match.start()
    }
    found |= {Flag("injection/hidden", version, *match.span()) for match in _HIDDEN.finditer(text)}
    return tuple(sorted(found, key=lambda each: (each.start, each.end, each.rule)))


def visible(text: str) -> str:
    """The text without characters that nobody sees; for a prompt, never for a quote."""
    return "".join(
        character
        for character in text
        if character in "\n\t" or unicodedata.category(character) not in ("Cf", "Cc", "Co", "Cn")
    )


def as_data(text: str, name: str = "text") -> str:
    """The text in a fence, for the prompt of an endpoint.

    The fence carries a mark made of the text, which therefore cannot stand in it; whatever looks
    like a fence inside is taken apart.

    Args:
        text: anything.
        name: what it is, a word: ``question``, ``document``.

    Raises:
        ValueError: the name is not a word.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", name):
        raise ValueError(f"{name!r} is not a word of small letters: call it question or document")
    body = _FENCE.sub(
        lambda found: found[0].replace("<", "\u2039").replace(">", "\u203a"), visible(text)
    )
    mark = hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f'<data name="{name}" mark="{mark}">\n{body}\n</data mark="{mark}">'


def _shown(text: str) -> tuple[str, list[int]]:
    """The text as people see it, and the place in the original of each character."""
    if text.isascii():
        return text, list(range(len(text)))
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        if "\U000e0020" <= character <= "\U000e007e":  # letters in disguise
            character = chr(ord(character) - 0xE0000)
        for part in unicodedata.normalize("NFKC", character):
            if unicodedata.category(part) != "Cf":
                letters.append(part)
                places.append(place)
    return "".join(letters), places
