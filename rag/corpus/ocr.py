"""Text of a scanned page, where the extra ``ocr`` is installed: rapidocr and pypdfium2."""

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any

__all__ = ["Ocr", "find_ocr"]

#: The bytes of a PDF and the number of a page, from 1 → the text of that page.
Ocr = Callable[[bytes, int], str]

#: Dots an inch: small print in scans is lost below 200.
_DOTS = 200
_POINTS_AN_INCH = 72


@lru_cache(maxsize=1)
def find_ocr() -> Ocr | None:
    """Load what recognises text; None where the extra is not installed."""
    try:
        engine: Any = import_module("rapidocr_onnxruntime").RapidOCR()
        pdfium: Any = import_module("pypdfium2")
    except ImportError:
        return None

    def recognise(data: bytes, number: int) -> str:
        with pdfium.PdfDocument(data) as document:
            picture = document[number - 1].render(scale=_DOTS / _POINTS_AN_INCH).to_numpy()
        found, _ = engine(picture)
        return "\n".join(text for _, text, _ in found or [])

    return recognise
