"""CSV: a question and its answer a row.

Columns ``question`` and ``answer``, and any of ``question_type, question_focus, synonyms, source,
url, licence, id``; in any order and case, separated by comma, semicolon or tab; UTF-8. Synonyms are
separated by ``;`` or ``|``.
"""

import csv
import io
import re
from collections.abc import Iterator

from rag.corpus.cleaning import clean, clean_line, without_html
from rag.corpus.decoding import decode
from rag.corpus.entries import Entry, ReadError
from rag.corpus.report import Report
from rag.documents import Document

__all__ = ["read_csv"]

_NEEDED = ("question", "answer")
#: Other spellings of a column.
_ALSO = {"focus": "question_focus", "focus_area": "question_focus", "qtype": "question_type"}
_ALSO |= {"license": "licence"}
#: The parser refuses longer fields, 128 KiB unless it is told otherwise.
_LONGEST_FIELD = 16 * 2**20


def read_csv(entry: Entry, data: bytes, report: Report) -> Iterator[Document]:
    """Read the rows with a question and an answer.

    A document's id is the file's name, a slash and the row's ``id``, or else its number from 1.

    Raises:
        ReadError: it has not the columns, or breaks off; the rows before that were given.
    """
    text = decode(data, report)
    csv.field_size_limit(_LONGEST_FIELD)
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        names = [_column(name) for name in next(rows, [])]
        if missing := [name for name in _NEEDED if name not in names]:
            raise ReadError(
                f"no column {' and '.join(missing)}: its first line must name the columns "
                "question, answer, question_type, question_focus, synonyms"
            )
        for number, row in enumerate(rows, 1):
            if not any(map(str.strip, row)):
                continue
            if len(row) != len(names):
                report.drop("row with more or fewer fields than columns")
                continue
            yield from _document(entry, dict(zip(names, row, strict=True)), number, report)
    except csv.Error as error:
        raise ReadError(f"line {rows.line_num}: not CSV ({error}): mend the quotes") from None


def _document(entry: Entry, row: dict[str, str], number: int, report: Report) -> Iterator[Document]:
    asked = clean_line(without_html(row["question"]))
    text = clean(without_html(row["answer"]))
    if not asked or not text:
        report.drop("no answer" if asked else "no question")
        return
    synonyms = (clean_line(name) for name in re.split(r"[;|]", row.get("synonyms", "")))
    yield Document(
        id=f"{entry.stem}/{clean_line(row.get('id', '')) or number}",
        collection=entry.stem,
        title=asked,
        text=text,
        focus=clean_line(row.get("question_focus", "")),
        synonyms=tuple(dict.fromkeys(name for name in synonyms if name)),
        question_type=clean_line(row.get("question_type", "")),
        source=clean_line(row.get("source", "")),
        url=row.get("url", "").strip(),
        licence=clean_line(row.get("licence", "")),
    )


def _column(name: str) -> str:
    name = re.sub(r"[\W_]+", "_", name.strip().casefold()).strip("_")
    return _ALSO.get(name, name)
