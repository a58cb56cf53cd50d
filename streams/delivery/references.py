"""References: what a page calls an alert, short enough to be typed with one thumb.

Without vowels none of them is a word; without 0, 1, B, D, I, L, O, S, Z and the like none looks
like another.
"""

import hashlib
import re
from collections.abc import Container

__all__ = ["ALPHABET", "LENGTH", "PAGES", "find_references", "new_reference"]

ALPHABET = "23456789CFGHJMPQRVWX"
LENGTH = 6
#: Stands in a text before the reference of each alert that it pages. Where a text only speaks of an
#: alert (nobody has answered it) the reference stands alone.
PAGES = "Ref "

#: What is typed for a character that looks like it.
_READ_AS = str.maketrans("BSZ", "852")

_ONE = re.compile(f"[{ALPHABET}]{{{LENGTH}}}")


def new_reference(name: str, taken: Container[str]) -> str:
    """Make the reference of an alert from its id: one that no other has.

    >>> new_reference("a", ()) == new_reference("a", ())
    True
    """
    salt = 0
    while True:
        digest = int.from_bytes(hashlib.sha256(f"{name}/{salt}".encode()).digest())
        letters = []
        for _ in range(LENGTH):
            digest, letter = divmod(digest, len(ALPHABET))
            letters.append(ALPHABET[letter])
        if (reference := "".join(letters)) not in taken:
            return reference
        salt += 1


def find_references(tokens: list[str], glued_to: frozenset[str]) -> list[str]:
    """Find references among what somebody typed, each once, in order.

    Args:
        tokens: in capitals, without punctuation.
        glued_to: words that may stand before a reference without a space.

    >>> find_references(["OK", "C7Q", "2XM"], frozenset())
    ['C7Q2XM']
    """
    found: list[str] = []
    # whole words first: two halves may be two words by chance
    for width in (1, 2, 3):
        for at in range(len(tokens) - width + 1):
            reference = _as_reference("".join(tokens[at : at + width]), glued_to)
            if reference and reference not in found:
                found.append(reference)
        if found:
            return found
    return found


def _as_reference(token: str, glued_to: frozenset[str]) -> str | None:
    ends = token[-LENGTH:].translate(_READ_AS)
    if _ONE.fullmatch(ends) and (len(token) == LENGTH or token[:-LENGTH] in glued_to):
        return ends
    return None
