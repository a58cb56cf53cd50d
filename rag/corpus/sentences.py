"""Where the sentences of a text begin and end.

By rules, without a model, so that the same text is always cut at the same places. A line feed ends
a sentence: in a cleaned text lines carry structure. A full stop ends one unless it belongs to an
abbreviation, a number, an initial or the number of an item, or the next word begins in small
letters.
"""

import re

from rag.corpus.abbreviations import NEVER_END, SOMETIMES_END, STARTERS

__all__ = ["sentences"]

#: Marks that end, what closes after them, and the space behind; each mark is looked at once.
_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'\u201d\u2019)\]»]*+(?=\s)")
_BEFORE = re.compile(r"[\w.&/-]+$")
_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
_OPENING = "\"'\u201c\u2018([«-\u2013\u2014•*"
_NUMBER = re.compile(r"\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,4})")
#: "(a) Rest." after a sentence.
_ITEM = re.compile(r"\([a-z]\)\s")
_DOTTED = re.compile(r"(?:[A-Za-z]\.)+[A-Za-z]")
#: The longest text before a full stop that is looked at.
_LOOK_BACK = 40


def sentences(text: str) -> list[tuple[int, int]]:
    r"""Find the sentences of a text.

    Args:
        text: a cleaned one.

    Returns:
        (start, end) of each, in order, without the space around; together they hold every
        character that is no space.

    >>> text = "Dr. Lee saw it, e.g. a lactate of 2.5 mmol/L. It rose."
    >>> [text[start:end] for start, end in sentences(text)]
    ['Dr. Lee saw it, e.g. a lactate of 2.5 mmol/L.', 'It rose.']
    """
    found: list[tuple[int, int]] = []
    for line in re.finditer(r"[^\n]+", text):
        start = line.start()
        for mark in _END.finditer(text, line.start(), line.end()):
            if _ends(text, start, mark, line.end()):
                _add(found, text, start, mark.end())
                start = mark.end()
        _add(found, text, start, line.end())
    return found


def _add(found: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    part = text[start:end]
    start += len(part) - len(part.lstrip())
    if part := part.strip():
        found.append((start, start + len(part)))


def _ends(text: str, start: int, mark: re.Match[str], line_end: int) -> bool:
    """Whether a mark ends the sentence that began at ``start``."""
    rest = text[mark.end() : min(mark.end() + _LOOK_BACK, line_end)].lstrip()
    opened = rest.lstrip(_OPENING).lstrip()
    if not opened:
        return not rest or rest[0] in _OPENING
    if opened[0].islower() and not _ITEM.match(rest):
        return False
    if mark[0][0] in "!?" or mark[0].startswith(".."):
        return True
    begins = max(start, mark.start() - _LOOK_BACK)
    before = _BEFORE.search(text[begins : mark.start()])
    if before is None:
        return True
    token, at = before[0], begins + before.start()
    led = text[start:at].rstrip(" (-")
    if _NUMBER.fullmatch(token) and (not led or led[-1] in ":;"):
        return False  # "1. Wash your hands.", "In this order: 1. Wash them."
    return _token_ends(token, text[begins:at], opened)


def _token_ends(token: str, earlier: str, rest: str) -> bool:
    """Whether the full stop after a token ends a sentence, given what stands on both sides."""
    word = token.lower()
    following = _WORD.match(rest)
    starter = following is not None and following[0].lower() in STARTERS
    if word in NEVER_END:
        # "no" is an abbreviation before a number alone: "The answer is no. It was 5."
        return word in ("no", "nos") and not rest[0].isdigit()
    if word in SOMETIMES_END or _DOTTED.fullmatch(token):
        return starter
    if len(token) == 1 and token.isalpha() and token.isupper():
        # "vitamin C. Take" ends, "John F. Kennedy" and "A. Smith" do not
        named = re.search(r"(\S+)\s+$", earlier)
        return starter or (named is not None and named[1][0].islower() and named[1][-1] != ".")
    return True
