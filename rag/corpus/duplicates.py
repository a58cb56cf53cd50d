"""One document for the same question with the same answer, and one id for each document."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rag.corpus.cleaning import normalised, says_something
from rag.corpus.report import Report
from rag.documents import Document

__all__ = ["DUPLICATE", "SAYS_NOTHING", "Kept", "keep"]

DUPLICATE = "duplicate of another's question and answer"
SAYS_NOTHING = "text that says nothing: empty, a placeholder or only a question"


@dataclass(frozen=True, slots=True)
class Kept:
    """Documents without duplicates.

    Attributes:
        documents: each id once; the first of equal ones.
        same: id of a duplicate → id of the document that stands for it.
        renamed: id given here → the id in the source, which several documents have there.
    """

    documents: list[Document]
    same: dict[str, str]
    renamed: dict[str, str]


def keep(documents: Iterable[Document], report: Report) -> Kept:
    """Drop what says nothing and what was said before; make ids unique.

    The second document of an id gets ``~2`` behind it, and so on, in the order given.
    """
    kept: list[Document] = []
    same: dict[str, str] = {}
    renamed: dict[str, str] = {}
    stands: dict[bytes, str] = {}
    used: dict[str, int] = {}
    for document in documents:
        if not says_something(document.text):
            report.drop(SAYS_NOTHING)
            continue
        count = used[document.id] = used.get(document.id, 0) + 1
        known = document
        if count > 1:
            known = replace(document, id=f"{document.id}~{count}")
            renamed[known.id] = document.id
        first = stands.setdefault(_digest(known), known.id)
        if first == known.id:
            kept.append(known)
        else:
            report.drop(DUPLICATE)
            same[known.id] = first
    return Kept(kept, same, renamed)


def _digest(document: Document) -> bytes:
    pair = f"{normalised(document.title)}\0{normalised(document.text)}"
    return hashlib.sha256(pair.encode()).digest()
