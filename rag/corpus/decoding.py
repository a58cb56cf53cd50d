"""Bytes of a text file as text."""

import codecs
import re

from rag.corpus.entries import ReadError
from rag.corpus.report import Report

__all__ = ["decode"]

#: UTF-32 before UTF-16, whose mark it begins with.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([a-zA-Z0-9_.:-]{1,40})", re.I)


def decode(data: bytes, report: Report, html: bool = False) -> str:
    """Decode by the byte order mark, else as UTF-8, else as what HTML declares or Windows-1252.

    Args:
        data: of the file.
        report: is told of a file that is not UTF-8.
        html: whether a ``<meta charset>`` may say the encoding.

    Raises:
        ReadError: it is no text in any of them.
    """
    for mark, marked in _MARKS:
        if data.startswith(mark):
            return _checked(data, marked)
    try:
        return _checked(data, "utf-8")
    except ReadError:
        if b"\0" in data:
            raise
    declared = _CHARSET.search(data[:4096]) if html else None
    if declared and (encoding := _known(declared[1].decode())):
        return _checked(data, encoding)
    text = _checked(data, "windows-1252")
    report.warn("not UTF-8, read as Windows-1252: save it as UTF-8 if letters look wrong")
    return text


def _known(encoding: str) -> str | None:
    try:
        found = codecs.lookup(encoding)
    except LookupError:
        return None
    # Python also calls hex and zip encodings
    return found.name if getattr(found, "_is_text_encoding", True) else None


def _checked(data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except UnicodeError:
        raise ReadError(f"not text in {encoding.upper()}: save it as UTF-8") from None
    if "\0" in text:
        raise ReadError("holds zero bytes, so it is no text: is the ending of its name right?")
    return text
