"""A text with headings as documents, one a section.

A whole article answers many questions; each of its sections answers one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from rag.corpus.cleaning import clean, clean_line, normalised
from rag.corpus.entries import Entry
from rag.documents import Document

__all__ = ["About", "Outline", "documents"]

#: Headings below this level stay lines of their section.
_DEEPEST = 3


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of itself; as in `Document`."""

    title: str = ""
    focus: str = ""
    synonyms: tuple[str, ...] = ()
    question_type: str = ""
    source: str = ""
    url: str = ""
    licence: str = ""


@dataclass(slots=True)
class Outline:
    """Headings and the lines under them, collected in reading order.

    Attributes:
        sections: (headings from the top one down, lines) of each.
    """

    sections: list[tuple[tuple[str, ...], list[str]]] = field(default_factory=lambda: [((), [])])
    _open: list[tuple[int, str]] = field(default_factory=list)

    def heading(self, level: int, text: str) -> None:
        """Begin a section; level 1 is the topmost."""
        text = clean_line(text)
        if not text:
            return
        if level > _DEEPEST:
            self.line(f"\n{text}\n")
            return
        self._open = [(above, said) for above, said in self._open if above < level]
        self._open.append((level, text))
        self.sections.append((tuple(said for _, said in self._open), []))

    def line(self, text: str) -> None:
        """Add to the section."""
        self.sections[-1][1].append(text)

    @property
    def top(self) -> str:
        """First heading; empty where there is none."""
        return next((path[0] for path, _ in self.sections if path), "")


def documents(entry: Entry, outline: Outline, about: About) -> Iterator[Document]:
    """Make a document of every section; those without a text are dropped later, and counted.

    Its title is the section's heading, after those above it; a heading that asks stands alone.
    """
    top = about.title or outline.top or entry.stem.replace("-", " ").replace("_", " ")
    for path, lines in outline.sections:
        text = clean("\n".join(lines))
        below = [said for said in path if normalised(said) != normalised(top)]
        if not text and (not path or len(outline.sections) > 2):
            continue  # a heading with nothing but other headings under it, or nothing before one
        asked = below[-1] if below and below[-1].endswith("?") else ": ".join([top, *below])
        anchor = "#" + "/".join(map(_slug, below)) if below else ""
        yield Document(
            id=entry.name + anchor,
            collection=entry.collection,
            title=clean_line(asked),
            text=text,
            focus=about.focus,
            synonyms=about.synonyms,
            question_type=about.question_type,
            source=about.source,
            url=about.url,
            licence=about.licence,
        )


def _slug(heading: str) -> str:
    return re.sub(r"[\W_]+", "-", heading.casefold()).strip("-")
