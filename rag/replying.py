"""From evidence to an answer: by a model where there is one and it behaves, else of quotes.

no quotes ─→ abstained, no model is asked
quotes ─→ no endpoint ────────────────→ extractive
       └→ endpoint ─→ fails ──────────→ extractive
                   └→ reply ─→ checked ─→ its sentences, or extractive where none stays
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rag.answers import Answer, Quote
from rag.checked import checked
from rag.documents import Document
from rag.endpoint import Endpoint, EndpointError, Why
from rag.reply_text import abstained, extractive, verified

__all__ = ["How", "Reply", "reply_to"]

log = logging.getLogger(__name__)

#: How an answer was made; a label of metrics.
How = Literal["abstained", "extractive", "model", "nothing stayed"] | Why


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer and how it came about.

    Attributes:
        answer: every quote of it stands in its source.
        how: made by the model, of quotes, or why the model's reply was not used.
        dropped: sentences of the model that went.
    """

    answer: Answer
    how: How
    dropped: int = 0


async def reply_to(
    question: str,
    quotes: Sequence[Quote],
    documents: Mapping[str, Document],
    *,
    confidence: float | None = None,
    endpoint: Endpoint | None = None,
    summary: str = "",
) -> Reply:
    """Answer a question from evidence; never fails for an endpoint's sake.

    Args:
        question: resolved against its conversation.
        quotes: the evidence, the best first.
        documents: that the quotes are of, by id.
        confidence: 0 to 1 that the quotes answer the question.
        endpoint: of a model; None: the answer is made of quotes.
        summary: of the conversation.
    """
    sure = [q for q in quotes if (d := documents.get(q.document_id)) and q.stands_in(d)]
    if not sure:
        return Reply(abstained(confidence), "abstained")
    if endpoint is None:
        return Reply(extractive(sure, confidence), "extractive")
    try:
        text = await endpoint.reply(question, sure, summary)
    except EndpointError as error:
        log.warning("the answer is made of quotes: %s", error)
        return Reply(extractive(sure, confidence), error.why)
    found = checked(text, sure, documents, confidence)
    if found.dropped:
        log.info("%d sentences of the model went, %d stay", found.dropped, found.kept)
    how: How = "model" if found.kept else "nothing stayed"
    return Reply(verified(found.answer, documents), how, found.dropped)
