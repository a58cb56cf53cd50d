"""A document that comes by itself, over the stream and not out of a file, made fit to be kept."""

from dataclasses import replace

from rag.corpus.cleaning import clean, clean_line, says_something, without_html
from rag.documents import Document

__all__ = ["prepared"]


def prepared(document: Document) -> Document | None:
    """Clean a document as a build would.

    Returns:
        None where its text says nothing: empty, a placeholder or only a question.
    """
    text = clean(without_html(document.text))
    if not says_something(text):
        return None
    synonyms = (clean_line(name) for name in document.synonyms)
    return replace(
        document,
        title=clean_line(without_html(document.title)),
        text=text,
        focus=clean_line(document.focus),
        synonyms=tuple(dict.fromkeys(name for name in synonyms if name)),
        question_type=clean_line(document.question_type),
        source=clean_line(document.source),
        url=document.url.strip(),
        licence=clean_line(document.licence),
    )
