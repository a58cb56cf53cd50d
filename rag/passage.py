"""The passage of a document that is nearest to a question, by the question's words in it."""

from collections.abc import Mapping, Sequence

from rag.documents import Chunk, Document
from rag.words import stems

__all__ = ["nearest_passage"]


def nearest_passage(
    document: Document, chunks: Sequence[Chunk], rarity: Mapping[str, float]
) -> Chunk:
    """Choose the passage with the rarest words of a question; of equals the first.

    Args:
        document: that was found.
        chunks: its passages; none: the whole text is one.
        rarity: word of the question → inverse document frequency.
    """
    if not chunks:
        return Chunk(document.id, 0, 0, len(document.text))
    if len(chunks) == 1:
        return chunks[0]

    def worth(chunk: Chunk) -> float:
        return sum(
            rarity.get(word, 0.0) for word in {*stems(document.text[chunk.start : chunk.end])}
        )

    return max(chunks, key=lambda each: (worth(each), -each.number))
