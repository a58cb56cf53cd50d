"""What is retrieved: documents, and passages of them."""

from dataclasses import dataclass

__all__ = ["Chunk", "Document", "Hit"]


@dataclass(frozen=True, slots=True)
class Document:
    """A text that can be quoted.

    Attributes:
        id: unique in the corpus; of a MedQuAD pair its collection's number, a slash and its qid,
            ``1/0000001_1-1``.
        collection: the data set or folder it comes from.
        title: the question that it answers, or its heading.
        text: cleaned, and never changed afterwards: quotes are spans of it.
        focus: what it is about ("Sepsis"); empty where nobody said so.
        synonyms: other names of the focus.
        question_type: "symptoms", "treatment" ...; empty where nobody said so.
        source: who published it, for people.
        url: where a reader finds it; empty where it is nowhere.
        licence: under which it may be shown; empty where nobody said so.
    """

    id: str
    collection: str
    title: str
    text: str
    focus: str = ""
    synonyms: tuple[str, ...] = ()
    question_type: str = ""
    source: str = ""
    url: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document: ``text[start:end]`` of it.

    Attributes:
        document_id: of which document.
        number: counted from 0 within the document.
        start: offset of its first character.
        end: offset after its last character.
    """

    document_id: str
    number: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found.

    Attributes:
        document: whole.
        score: the fused one, which orders hits; comparable within one search only.
        cosine: of the question and the nearest vector of the document, -1 to 1; comparable between
            searches.
        covered: share of the question's content words that the document has, each by how rare it
            is among all documents, 0 to 1.
    """

    document: Document
    score: float
    cosine: float
    covered: float
