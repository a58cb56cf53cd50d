"""Markdown: a document a section, with front matter.

Front matter is YAML between two lines ``---`` at the top: ``title, focus, synonyms, question_type,
source, url, licence``; each may be absent, and others are not looked at.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rag.corpus.cleaning import clean_line, without_html
from rag.corpus.decoding import decode
from rag.corpus.entries import Entry, ReadError
from rag.corpus.report import Report
from rag.corpus.sections import About, Outline, documents
from rag.documents import Document

__all__ = ["read_markdown"]

_PARSER = MarkdownIt("commonmark").enable("table")
_FENCE = "---"


def read_markdown(entry: Entry, data: bytes, report: Report) -> Iterator[Document]:
    """Read the sections of a file.

    Raises:
        ReadError: it is no text, or its front matter is wrong.
    """
    matter, body = _front_matter(decode(data, report))
    outline = Outline()
    _lines(_PARSER.parse(body), outline)
    yield from documents(entry, outline, _about(matter))


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
    text = text.replace("\r\n", "\n")
    if not text.startswith(f"{_FENCE}\n"):
        return {}, text
    matter, fence, body = text[len(_FENCE) + 1 :].partition(f"\n{_FENCE}\n")
    if not fence:
        return {}, text  # a rule, not front matter
    try:
        found = yaml.safe_load(matter)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 2}: " if mark else ""
        raise ReadError(f"{where}its front matter is not YAML: mend it") from None
    if found is None:
        return {}, body
    if not isinstance(found, dict):
        raise ReadError("its front matter is no list of names and values: write `title: …`")
    return {str(name).casefold(): value for name, value in found.items()}, body


def _about(matter: dict[str, Any]) -> About:
    def text(name: str) -> str:
        value = matter.get(name)
        if isinstance(value, dict | list):
            raise ReadError(f"{name} in its front matter is no text: write it on one line")
        return "" if value is None else clean_line(str(value))

    synonyms = matter.get("synonyms") or []
    names = synonyms if isinstance(synonyms, list) else [synonyms]
    return About(
        title=text("title"),
        focus=text("focus"),
        synonyms=tuple(dict.fromkeys(name for each in names if (name := clean_line(str(each))))),
        question_type=text("question_type"),
        source=text("source"),
        url=text("url"),
        licence=text("licence") or text("license"),
    )


def _lines(tokens: Sequence[Token], outline: Outline) -> None:
    """Give the outline the headings and lines of the tokens of a file."""
    level = 0
    lead = ""
    row: list[str] | None = None
    for token in tokens:
        if token.type == "heading_open":
            level = int(token.tag[1])
        elif token.type == "list_item_open":
            lead = f"{token.info}. " if token.info else "- "
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row is not None:
            outline.line(" | ".join(row))
            row = None
        elif token.type == "inline":
            said = _inline(token.children or [])
            if row is not None:
                row.append(" ".join(said.split()))
            elif level:
                outline.heading(level, said)
                level = 0
            else:
                outline.line(lead + said)
                lead = ""
        elif token.type in ("fence", "code_block"):
            outline.line(token.content)
        elif token.type == "html_block":
            outline.line(without_html(token.content))
        elif token.type in ("paragraph_close", "table_close") and not token.hidden:
            outline.line("")


def _inline(tokens: Sequence[Token]) -> str:
    """Words of a line, without marks: of a link its text, of a picture what it shows."""
    said: list[str] = []
    for token in tokens:
        if token.type in ("text", "code_inline", "image"):
            said.append(token.content)
        elif token.type == "softbreak":
            said.append(" ")
        elif token.type == "hardbreak":
            said.append("\n")
    return "".join(said)
