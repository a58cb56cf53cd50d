"""The corpus that ships: sepsis and vital signs, in the project's own words, sources cited."""

from dataclasses import replace
from functools import lru_cache
from importlib.resources import files

from rag.corpus.entries import Entry
from rag.corpus.read_markdown import read_markdown
from rag.corpus.report import Report
from rag.documents import Document

__all__ = ["COLLECTION", "shipped"]

COLLECTION = "vigil"
_FOLDER = "shipped"


@lru_cache(maxsize=1)
def _shipped() -> tuple[Document, ...]:
    report = Report()
    found: list[Document] = []
    for file in sorted(files("rag").joinpath(_FOLDER).iterdir(), key=lambda each: each.name):
        if not file.name.endswith(".md"):
            continue
        name = f"{COLLECTION}/{file.name.removesuffix('.md')}"
        entry = Entry(name, COLLECTION, _FOLDER, file.read_bytes)
        found += (
            replace(document, collection=COLLECTION)
            for document in read_markdown(entry, entry.read(), report)
        )
    return tuple(found)


def shipped() -> list[Document]:
    """Read the documents that ship with the project; ids are ``vigil/`` and a file's name."""
    return list(_shipped())
