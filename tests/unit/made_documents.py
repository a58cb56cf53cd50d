"""Documents, hits and a splitter of sentences for the tests of answers."""

import re

from rag.answers import Quote
from rag.documents import Document, Hit

ASTHMA = Document(
    "1/asthma-1",
    "made",
    "What are the treatments for Asthma ?",
    "What are the treatments for asthma? Asthma is treated with two kinds of medicine. "
    "Quick-relief\n"
    "medicine stops symptoms. Long-term control medicine prevents symptoms in 9 of 10 people. "
    "The weather on the island is pleasant. For more information, visit the site of the society.",
    focus="Asthma",
    synonyms=("Bronchial asthma",),
    question_type="treatment",
    source="Made Institute",
    url="https://example.org/asthma",
)
ASTHMA_GENES = Document(
    "1/asthma-2",
    "made",
    "Is Asthma inherited ?",
    "Asthma runs in families. Many genes are involved in asthma. Nobody knows all of them yet.",
    focus="Asthma",
    question_type="inheritance",
)
GOUT = Document(
    "2/gout-1",
    "made",
    "What are the treatments for Gout ?",
    "Gout is treated with medicine against pain. It does not prevent further attacks of gout.",
    focus="Gout",
    question_type="treatment",
    url="https://example.org/gout",
)


def hit(document: Document, cosine: float = 0.8, covered: float = 1.0) -> Hit:
    return Hit(document, cosine, cosine, covered)


def sentences(text: str) -> list[tuple[int, int]]:
    """Up to a full stop and a space."""
    return [match.span() for match in re.finditer(r"\S[^.?!:]*(?:[.?!:]|$)", text)]


def quote_of(document: Document, words: str) -> Quote:
    start = document.text.index(words)
    return Quote.of(document, start, start + len(words))
