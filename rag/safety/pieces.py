"""A long message in pieces: what is urgent may be one sentence among many.

The net was fitted to messages of a few sentences. Of a long one it makes a mean, in which a
sentence is lost; so it reads the pieces of it as well. Each has the sentences around, which may say
that something was long ago.
"""

import re

__all__ = ["LONGEST", "pieces"]

#: Characters of a piece, about what the messages have that the net was fitted to.
LONGEST = 250
#: Where a piece may end: after a sentence, a line, or else between two words.
_SENTENCE = re.compile(r"[.!?\n]*[^.!?\n]+[.!?\n]*\s*|[.!?\n]+\s*")
_WORDS = re.compile(rf"\S.{{0,{LONGEST - 1}}}(?=\s|$)\s*|\S{{{LONGEST}}}", re.DOTALL)


def pieces(message: str) -> list[str]:
    """A message whole and, where it is long, in pieces that share a sentence with the one before.

    What is one sentence and longer than a piece is cut between words, and shares nothing.

    Args:
        message: as it was written.

    Returns:
        At least one; the first is the whole message.
    """
    if len(message) <= LONGEST:
        return [message]
    sentences = [
        part
        for sentence in _SENTENCE.findall(message)
        for part in ([sentence] if len(sentence) <= LONGEST else _WORDS.findall(sentence))
    ]
    found: list[str] = []
    held: list[str] = []
    for sentence in sentences:
        if held and sum(map(len, held)) + len(sentence) > LONGEST:
            found.append("".join(held).strip())
            held = held[-1:] if len(held[-1]) + len(sentence) <= LONGEST else []
        held.append(sentence)
    return [message, *found, "".join(held).strip()]
