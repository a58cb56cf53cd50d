"""PDF: a document a page, so that a quote can name the page that it stands on."""

import io
import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pypdf import PdfReader

from rag.corpus.cleaning import clean, clean_line
from rag.corpus.entries import Entry, ReadError
from rag.corpus.ocr import Ocr, find_ocr
from rag.corpus.report import Report
from rag.documents import Document

__all__ = ["NO_OCR", "read_pdf"]

NO_OCR = "page of a PDF without text: install Vigil's extra `ocr` (vigil[ocr]) to read scans"
EMPTY = "page without text"
#: A line at the top or foot of more than half of at least so many pages is no part of the text.
_FEWEST_PAGES = 3
_HYPHEN = re.compile(r"(?<=[a-z])[-\u2010\u00ad]\n(?=[a-z])")
_PAGE_NUMBER = re.compile(r"(?:page )?[0-9]{1,4}(?: ?(?:/|of) ?[0-9]{1,4})?", re.IGNORECASE)

# what it mends in a file is nothing that a person can act on
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def read_pdf(entry: Entry, data: bytes, report: Report) -> Iterator[Document]:
    """Read the pages with a text; those without are recognised where the extra ``ocr`` is.

    Raises:
        ReadError: it is encrypted or broken; the pages before that were given.
    """
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ReadError("encrypted: save it without a password")
        given = reader.metadata.title if reader.metadata else None
        pages = [page.extract_text() or "" for page in reader.pages]
    except ReadError:
        raise
    except Exception as error:  # of many kinds: files are broken in more ways than it foresees
        raise ReadError(
            f"not a PDF that can be read ({type(error).__name__}: {error}): save it anew"
        ) from error
    title = clean_line(str(given or "")) or entry.stem.replace("_", " ").replace("-", " ")
    repeated = _repeated(pages)
    recognise = None if all(map(str.strip, pages)) else find_ocr()
    for number, page in enumerate(pages, 1):
        text = _text(page, repeated)
        if not text:
            text = _recognised(data, number, recognise, report)
        if not text:
            report.drop(EMPTY)
            continue
        yield Document(
            id=f"{entry.name}#page={number}",
            collection=entry.collection,
            title=title if len(pages) == 1 else f"{title}, page {number}",
            text=text,
        )


def _recognised(data: bytes, number: int, recognise: Ocr | None, report: Report) -> str:
    if recognise is None:
        report.warn(NO_OCR)
        return ""
    report.warn("page of a PDF read by OCR: letters may be wrong")
    return clean(recognise(data, number))


def _text(page: str, repeated: set[str]) -> str:
    lines = clean(page).split("\n")
    kept = [line for line in lines if _mask(line) not in repeated]
    while kept and _PAGE_NUMBER.fullmatch(kept[-1]):
        kept.pop()
    while kept and _PAGE_NUMBER.fullmatch(kept[0]):
        kept.pop(0)
    return clean(_unwrapped(_HYPHEN.sub("", "\n".join(kept))))


def _unwrapped(text: str) -> str:
    """Join the lines that a page's width broke: those nearly as long as the longest ones."""
    lines = text.split("\n")
    lengths = sorted(map(len, lines))
    wide = lengths[int(0.9 * (len(lengths) - 1))] * 0.75
    joined = lines[:1]
    for before, line in pairwise(lines):
        goes_on = len(before) >= wide and not before.endswith((".", "!", "?", ":"))
        goes_on = goes_on or line[:1].islower() or (len(before) >= wide and line[:1].isalnum())
        if before and line and goes_on and not line.startswith("- "):
            joined[-1] += f" {line}"
        else:
            joined.append(line)
    return "\n".join(joined)


def _mask(line: str) -> str:
    return re.sub(r"[0-9]+", "#", line.strip())


def _repeated(pages: Sequence[str]) -> set[str]:
    """Running heads and feet, their numbers masked."""
    if len(pages) < _FEWEST_PAGES:
        return set()
    found: Counter[str] = Counter()
    for page in pages:
        lines = [line for line in clean(page).split("\n") if line]
        found.update({_mask(line) for line in (*lines[:2], *lines[-2:])})
    return {line for line, count in found.items() if count > len(pages) / 2}
