"""The answers application: questions in, answers with their sources out.

    documents ─→ file ─→ dead.letters
        ⇣ (every worker) index
    recommendations ─→ keep ─→ ward
    alerts ⇣ (every worker)      ⇣ (every worker)
    chat.questions ─→ ask ─→ chat.answers, chat.audit
                       ↕
                  conversations
                  ward, conversations: RocksDB tables with changelog

Run it with ``vigil worker answers``; of several workers each answers a part of the conversations.
"""

from typing import TYPE_CHECKING, Any

from agents.documents import DocumentsAgent
from agents.questions import QuestionsAgent
from agents.ward import WardAgent
from config.clock import HOUR_MS
from config.settings import Settings, settings
from rag.safety.rate import RateLimit
from streams.answering import Evidence, answerer, evidence, warm_up
from streams.application import VigilApp, new_app
from streams.audit_hashes import audit_key
from streams.topics import catalogue
from tables.conversations import Conversations, Rules
from tables.store import BatchTable
from tables.wards import Wards

__all__ = ["build"]

if TYPE_CHECKING:
    app: VigilApp

_MINUTE_MS = 60_000
#: Answers of a conversation that are kept for questions that are read again: more than may be
#: asked between two commits.
_GIVEN = 16


def build(settings: Settings, found: Evidence) -> VigilApp:
    """Build the application: its topology, read from top to bottom.

    Args:
        settings: of this process.
        found: what there is to answer from.
    """
    app = new_app("answers", settings)
    topics = catalogue(settings)
    partitions, buffer_mib = settings.partitions, settings.rocksdb_buffer_mib

    # documents → index
    file = DocumentsAgent(app, topics, found.retriever.index)
    app.agent(app.batch_topic(topics.documents.name), name="file")(file.run)
    app.task(file.documents.follow)

    # recommendations, alerts → ward
    ward_table = BatchTable(
        app,
        "ward",
        partitions=partitions,
        buffer_mib=buffer_mib,
        about="what is known of each patient",
    )
    wards = Wards(partitions, silent_ms=round(settings.ward_silent_hours * HOUR_MS))
    keep = WardAgent(app, topics, wards, ward_table)
    app.agent(app.batch_topic(topics.recommendations.name), name="keep")(keep.run)
    app.task(keep.changes.follow)
    app.task(keep.alerts.follow)

    # chat.questions → chat.answers, chat.audit
    conversation_table = BatchTable(
        app,
        "conversations",
        partitions=partitions,
        buffer_mib=buffer_mib,
        about="what was asked and answered in each session",
    )
    conversations = Conversations(
        Rules(ttl_ms=round(settings.chat_ttl_minutes * _MINUTE_MS), given=_GIVEN)
    )
    limit = RateLimit(settings.chat_questions_per_minute, settings.chat_burst)
    answers = answerer(settings, found, wards)
    ask = QuestionsAgent(app, topics, answers, conversations, limit, conversation_table)
    app.agent(app.batch_topic(topics.chat_questions.name), name="ask")(ask.run)
    app.task(ask.read_ahead)

    app.prerequisites = (file.documents.ready, keep.changes.ready, keep.alerts.ready)
    return app


def __getattr__(name: str) -> Any:
    """Build ``app`` when Faust asks for it: importing this module needs no broker."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    chosen = settings()
    audit_key(chosen, warn=True)
    found = evidence(chosen)
    warm_up(chosen, found)
    return build(chosen, found)
