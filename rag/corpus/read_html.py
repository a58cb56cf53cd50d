"""HTML: a document a section, without what only surrounds it."""

from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from rag.corpus.cleaning import clean_line
from rag.corpus.decoding import decode
from rag.corpus.entries import Entry, ReadError
from rag.corpus.report import Report
from rag.corpus.sections import About, Outline, documents
from rag.documents import Document

__all__ = ["read_html"]

#: Not part of the text; what no reader sees is not quoted either: it could be there to mislead.
_DROPPED = (
    "nav, script, style, header, footer, aside, noscript, template, form, button, select, textarea"
    ", iframe, object, svg, math, dialog, [hidden], [aria-hidden=true], [role=navigation]"
    ", [role=banner], [role=contentinfo], [role=search]"
)
_HIDDEN = ("display:none", "visibility:hidden")
# fmt: off
_BLOCKS = frozenset({
    "address", "article", "blockquote", "body", "br", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "hr", "li", "main", "ol", "p", "pre", "section", "summary",
    "table", "tbody", "tfoot", "thead", "tr", "ul",
})
# fmt: on
_HEADINGS = {f"h{level}": level for level in range(1, 7)}


def read_html(entry: Entry, data: bytes, report: Report) -> Iterator[Document]:
    """Read the sections of a page.

    Raises:
        ReadError: it is no text, or a page without a body.
    """
    page = LexborHTMLParser(decode(data, report, html=True))
    head = page.css_first("head > title")
    title = clean_line(head.text()) if head is not None else ""
    first = page.css_first("h1")  # often in the header, which goes
    about = About(
        title=clean_line(first.text(separator=" ")) if first is not None else title,
        source=_meta(page, "og:site_name", "author", "dc.publisher", "citation_publisher"),
        url=_link(page, "canonical") or _meta(page, "og:url"),
        licence=_link(page, "license"),
    )
    for node in page.css(_DROPPED):
        node.decompose()
    for node in page.css("[style]"):
        style = (node.attributes.get("style") or "").lower().replace(" ", "")
        if any(hidden in style for hidden in _HIDDEN):
            node.decompose()
    bodies = page.css("main") or page.css("article") or page.css("body")
    if not bodies:
        raise ReadError("a page without a body: is it HTML?")
    outline = Outline()
    _walk(bodies[0], outline)
    yield from documents(entry, outline, about)


def _walk(root: LexborNode, outline: Outline) -> None:
    """Give the outline the headings and lines below a node; without recursion, for deep pages."""
    line: list[str] = []

    def end_line() -> None:
        if said := " ".join("".join(line).split()):
            outline.line(said)
        line.clear()

    todo: list[LexborNode | str] = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, str):
            end_line()
            if node == "p":
                outline.line("")
            continue
        tag = node.tag or ""
        if tag == "-text":
            line.append(node.text_content or "")
        elif tag in _HEADINGS:
            end_line()
            outline.heading(_HEADINGS[tag], node.text(separator=" "))
        elif not tag.startswith("-"):
            if tag in _BLOCKS:
                end_line()
                todo.append(tag)
            if tag == "li":
                line.append("- ")
            elif tag in ("td", "th") and line:
                line.append(" | ")
            todo += reversed(list(node.iter(include_text=True)))


def _meta(page: LexborHTMLParser, *names: str) -> str:
    for name in names:
        for key in ("property", "name"):
            found = page.css_first(f'meta[{key}="{name}"]')
            if found is not None and (said := clean_line(found.attributes.get("content") or "")):
                return said
    return ""


def _link(page: LexborHTMLParser, relation: str) -> str:
    found = page.css_first(f'link[rel="{relation}"], a[rel="{relation}"]')
    return "" if found is None else (found.attributes.get("href") or "").strip()
