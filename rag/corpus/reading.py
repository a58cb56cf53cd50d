"""Documents of any mix of files: each reader by the ending of the file's name."""

from collections.abc import Callable, Iterator

from rag.corpus.entries import Entry, ReadError
from rag.corpus.read_csv import read_csv
from rag.corpus.read_html import read_html
from rag.corpus.read_markdown import read_markdown
from rag.corpus.read_medquad import read_medquad
from rag.corpus.read_pdf import read_pdf
from rag.corpus.report import Report
from rag.documents import Document

__all__ = ["READERS", "Reader", "read_entry"]

#: A file, its bytes, whom to tell what was left out → its documents, cleaned.
Reader = Callable[[Entry, bytes, Report], Iterator[Document]]

READERS: dict[str, Reader] = {
    ".xml": read_medquad,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".pdf": read_pdf,
    ".md": read_markdown,
    ".markdown": read_markdown,
    ".html": read_html,
    ".htm": read_html,
    ".xhtml": read_html,
}


def read_entry(entry: Entry, data: bytes, report: Report) -> list[Document]:
    """Read a file; what cannot be read is named in the report and stops nothing.

    A file of no known kind is counted where it was found in a folder, and an error where it was
    named itself.
    """
    reader = READERS.get(entry.suffix)
    if reader is None:
        if entry.asked:
            report.unreadable(entry.name, f"of no kind that is read: {', '.join(READERS)}, tar")
        else:
            report.drop(f"file of another kind ({entry.suffix or 'no ending'})")
        return []
    documents: list[Document] = []
    try:
        documents += reader(entry, data, report)
    except ReadError as error:
        report.unreadable(entry.name, str(error))
    return documents
