"""A few documents and an encoder that needs no model."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rag.documents import Document
from rag.encoder import DIMENSIONS
from rag.index import Index
from rag.words import stems


class WordEncoder:
    """A text's vector is the sum of its words' ones, which are made from their hashes."""

    version = "words-1"

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded += texts
        vectors = np.array([self._sum(text) for text in texts], np.float32)
        vectors = vectors.reshape(-1, DIMENSIONS)
        lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return np.asarray(vectors / lengths, np.float32)

    def _sum(self, text: str) -> NDArray[np.float64]:
        total = np.zeros(DIMENSIONS)
        for word in stems(text):
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
            total += np.random.default_rng(seed).normal(size=DIMENSIONS)
        return total


def document(
    name: str,
    title: str,
    text: str = "Nothing else is known.",
    focus: str = "",
    synonyms: tuple[str, ...] = (),
    kind: str = "",
    collection: str = "made",
) -> Document:
    return Document(name, collection, title, text, focus, synonyms, kind)


GOUT = ("Gout", ("Podagra", "Uric acid arthritis"))
SEPSIS = ("Sepsis", ("Blood poisoning",))

DOCUMENTS = (
    document("gout/what", "What is (are) Gout ?", "Gout is an arthritis.", *GOUT, "information"),
    document("gout/cure", "What are the treatments for Gout ?", "Colchicine.", *GOUT, "treatment"),
    document("gout/why", "What causes Gout ?", "Crystals of urate.", *GOUT, "causes"),
    document("sepsis/what", "What is (are) Sepsis ?", "A reaction.", *SEPSIS, "information"),
    document(
        "sepsis/cure", "What are the treatments for Sepsis ?", "Fluids.", *SEPSIS, "treatment"
    ),
    document(
        "marfan/genes", "Is Marfan syndrome inherited ?", "Dominant.", "Marfan syndrome", (),
        "inheritance", "rare",
    ),
)  # fmt: skip


def made_index() -> Index:
    index = Index(WordEncoder())
    index.upsert(DOCUMENTS)
    return index
