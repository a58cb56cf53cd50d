"""Documents → index: what there is to answer from, beside the corpus.

    documents → file → dead.letters
              → every worker follows → its index

An agent has a share of a topic's records, and an index needs them all: so every worker follows the
topic, and the agent only says, once, what cannot be used.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from agents.work import Work, dead_letter, each, reason, settle
from rag.corpus.prepare import prepared
from rag.documents import Document
from rag.index import Index
from streams.application import VigilApp, report_lag
from streams.chat_events import DocumentEvent
from streams.following import Following
from streams.header_names import require_names
from streams.metrics import metrics
from streams.outbox import Outbox
from streams.topics import Catalogue
from streams.transport import Batch

__all__ = ["COLLECTION", "DocumentsAgent", "document_of"]

log = logging.getLogger(__name__)

#: Of documents that came by the topic.
COLLECTION = "documents"


def document_of(record: Any) -> tuple[str, Document | None]:
    """Read a record; without a value the document is removed.

    Raises:
        ValueError: it is none.
    """
    require_names(record)
    if record.key is None:
        raise ValueError("the record has no key: produce it under its document_id")
    name = record.key.decode("utf-8")
    if record.value is None:
        return name, None
    event = DocumentEvent.model_validate_json(record.value)
    if event.document_id != name:
        raise ValueError("the record's key is not its document_id: produce it under that key")
    document = Document(
        id=name,
        collection=COLLECTION,
        title=event.title,
        text=event.text,
        focus=event.focus,
        synonyms=tuple(event.synonyms),
        question_type=event.question_type,
        source=event.source,
        url=event.url,
        licence=event.licence,
    )
    cleaned = prepared(document)
    if cleaned is None:
        raise ValueError("the text says nothing: it is empty, a placeholder or only a question")
    return name, cleaned


class DocumentsAgent:
    """Says what cannot be used; and keeps this worker's index up to date.

    Args:
        app: the application.
        topics: all of them.
        index: of this worker.

    Attributes:
        documents: follows the topic.
    """

    def __init__(self, app: VigilApp, topics: Catalogue, index: Index) -> None:
        self._app, self._topics, self._documents = app, topics, index
        self.documents = Following(app.settings, topics.documents.name, self._index)

    async def run(self, stream: Any) -> None:
        """Take a batch, tell what cannot be used."""
        await each(self._app, stream, self._check)

    async def _check(self, event: Any) -> None:
        batch: Batch = event.value
        outbox = Outbox(self._app.batch_producer)
        # long texts take their time
        for record, error in await asyncio.to_thread(_unusable, batch.records):
            dead_letter(self._app, self._topics, outbox, record, error)
        acks = await outbox.hand_over()
        self._app.add_future(settle(self._app, acks, Work(event)))
        report_lag(self._app, batch.tp, batch.end)

    async def _index(self, records: Sequence[Any]) -> None:
        # encoding takes its time: questions are answered meanwhile
        await asyncio.to_thread(self._change, records)
        metrics.documents.set(len(self._documents))

    def _change(self, records: Sequence[Any]) -> None:
        changed: dict[str, Document | None] = {}
        for record in records:
            # whoever has the partition says what is wrong with it
            with suppress(ValueError):
                name, document = document_of(record)
                changed[name] = document
        put = [
            document
            for name, document in changed.items()
            if document is not None and self._documents.get(name) != document
        ]
        if put:
            self._documents.upsert(put)
        self._documents.remove([name for name, document in changed.items() if document is None])


def _unusable(records: Sequence[Any]) -> list[tuple[Any, str]]:
    """Records that are no documents, and why."""
    found = []
    for record in records:
        try:
            document_of(record)
        except ValueError as error:
            found.append((record, reason(error)))
    return found
