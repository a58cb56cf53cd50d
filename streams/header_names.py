"""Header names that are not UTF-8: texts from which their bytes come back.

Bytes that are no UTF-8 are lone surrogates in it (PEP 383): `streams.unpacking` reads them so, and
nobody can send them on. Whoever reads records from others makes a dead letter of such a record.
"""

from typing import Any

__all__ = ["name_bytes", "require_names", "unreadable"]


def unreadable(record: Any) -> str:
    """Why a record's headers cannot be used; empty where they can."""
    for name, _ in record.headers:
        if not name.isascii():
            try:
                name.encode()
            except UnicodeEncodeError:
                return "the name of a header is not UTF-8"
    return ""


def require_names(record: Any) -> None:
    """Check that the names of a record's headers are UTF-8.

    Raises:
        ValueError: one is not.
    """
    if record.headers and (why := unreadable(record)):
        raise ValueError(why)


def name_bytes(name: str) -> bytes:
    """Return a header's name as it was on the wire."""
    return name.encode("utf-8", "surrogateescape")
