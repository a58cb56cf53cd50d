"""Where words stand in a text when white space does not count."""

import re

__all__ = ["find"]


def find(wanted: str, text: str, start: int = 0, end: int | None = None) -> tuple[int, int] | None:
    """Find words in a text to the letter, whatever white space is between them.

    Args:
        wanted: the words.
        text: where they are looked for.
        start: offset from which.
        end: offset up to which; None: to the end.

    Returns:
        Offsets of the first character and after the last, in the text as it is; None where they do
        not stand there.

    >>> find("two  words", "these are two\\nwords.")
    (10, 19)
    """
    parts = wanted.split()
    if not parts:
        return None
    pattern = re.compile(r"\s+".join(map(re.escape, parts)))
    match = pattern.search(text, start, len(text) if end is None else end)
    return match.span() if match else None
