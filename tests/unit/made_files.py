"""Files of every kind that a corpus is made of."""

from pathlib import Path

from rag.corpus.entries import Entry
from rag.corpus.reading import read_entry
from rag.corpus.report import Report
from rag.documents import Document

__all__ = ["medquad", "pdf", "read"]


def medquad(*pairs: tuple[str, str, str], focus: str = "Gout", head: str = "") -> bytes:
    """A file of MedQuAD: (qid, question, answer) of each pair, the answer as XML."""
    body = "".join(
        f'<QAPair pid="1"><Question qid="{qid}" qtype="symptoms">{question}</Question>'
        f"<Answer>{answer}</Answer></QAPair>"
        for qid, question, answer in pairs
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}<Document id="1" source="GARD" '
        f'url="https://example.org/gout"><Focus>{focus}</Focus><Synonyms><Synonym>Podagra'
        f"</Synonym></Synonyms><QAPairs>{body}</QAPairs></Document>"
    ).encode()


def pdf(*pages: str) -> bytes:
    """A PDF with the lines of each page; a page without a text is empty."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    numbers = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{numbers}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for index, page in enumerate(pages):
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in page.split("\n") if line)
        stream = f"BT /F1 11 Tf 50 750 Td {shown}ET".encode()
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * index} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    out = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    return (
        out
        + (
            f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
            f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
        ).encode()
    )


def read(
    name: str, data: bytes, folder: str = "guides", asked: bool = False
) -> tuple[list[Document], Report]:
    """Read one file as if it lay in a folder."""
    report = Report()
    entry = Entry(f"{folder}/{Path(name).as_posix()}", folder, folder, lambda: data, asked)
    return read_entry(entry, data, report), report
