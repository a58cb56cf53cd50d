"""The one catalogue of topics: name, key, event model, partitions, retention.

Nothing else in the code spells a topic's name. `catalogue` binds the names of the settings;
`ensure` creates what is missing and tells what differs.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code
from pydantic import BaseModel

from config.clock import DAY_MS
from config.settings import Settings
from streams.alert_events import (
    Acknowledgement,
    AlertChange,
    AuditEntry,
    RaisedEvent,
    Receipt,
    Silence,
)
from streams.chat_events import ChatAnswer, ChatAuditEntry, DocumentEvent, Question
from streams.events import (
    Admission,
    DeadLetter,
    DriftEvent,
    LabResult,
    ModelEvent,
    Outcome,
    Reading,
    Recommendation,
)
from streams.patience import patiently

__all__ = ["Catalogue", "Difference", "Topic", "TopicError", "catalogue", "ensure", "prepare"]

log = logging.getLogger(__name__)

Key = Literal["patient_id", "model", "alert_id", "silence_id", "session_id", "document_id"]


class TopicError(RuntimeError):
    """A topic could not be created or read."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic.

    Attributes:
        role: what the code calls it; the field of `Catalogue`.
        name: what Kafka calls it.
        key: what a record's key is, or None where it has none.
        model: pydantic model of a record's value; None where the value is not JSON alone.
        partitions: how many when Vigil creates it. All topics that carry patients to the bedside
            have the same number, so that one worker has one patient's records of every topic.
        ordered: whether its records make sense in one order only: then it has one partition.
        config: Kafka's topic settings when Vigil creates it.
        direction: as seen by Vigil.
        about: one line for people.
    """

    role: str
    name: str
    key: Key | None
    model: type[BaseModel] | None
    partitions: int
    direction: Literal["in", "out", "internal"]
    about: str
    config: dict[str, str] = field(default_factory=dict)
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every topic, by its role."""

    vitals: Topic
    vitals_routed: Topic
    vitals_late: Topic
    admissions: Topic
    labs: Topic
    outcomes: Topic
    recommendations: Topic
    dead_letters: Topic
    lessons: Topic
    models: Topic
    drift: Topic
    alerts_raised: Topic
    alerts_acknowledged: Topic
    alerts_silences: Topic
    delivery_receipts: Topic
    alerts: Topic
    audit: Topic
    chat_questions: Topic
    chat_answers: Topic
    documents: Topic
    chat_audit: Topic

    def __iter__(self):  # type: ignore[no-untyped-def]  # a dataclass with slots has no typed iter
        """Iterate over the topics in the order in which they are declared."""
        return (getattr(self, role) for role in self.__slots__)


def catalogue(settings: Settings) -> Catalogue:
    """Bind the topics to the names and sizes of the settings."""

    def topic(
        role: str,
        direction: Literal["in", "out", "internal"],
        about: str,
        model: type[BaseModel] | None,
        *,
        key: Key | None = "patient_id",
        partitions: int = settings.partitions,
        ordered: bool = False,
        **config: str,
    ) -> Topic:
        return Topic(
            role=role,
            name=settings.topic_prefix + getattr(settings, f"topic_{role}"),
            key=key,
            model=model,
            partitions=1 if ordered else partitions,
            direction=direction,
            about=about,
            config={name.replace("_", "."): value for name, value in config.items()},
            ordered=ordered,
        )

    week, quarter = str(7 * DAY_MS), str(90 * DAY_MS)
    return Catalogue(
        vitals=topic(
            "vitals", "in", "Vital signs as devices send them.", Reading, retention_ms=week
        ),
        vitals_routed=topic(
            "vitals_routed",
            "internal",
            "Vital signs that came without their patient's key, sent on by patient.",
            Reading,
            retention_ms=week,
            # the time a reading was first produced at is its event time and part of its id
            message_timestamp_type="CreateTime",
        ),
        vitals_late=topic(
            "vitals_late",
            "out",
            "Vital signs older than the grace, as they came; not scored.",
            Reading,
            retention_ms=quarter,
        ),
        # Admissions are facts about a patient and the newest one counts: compacted.
        admissions=topic(
            "admissions",
            "in",
            "Who the patient is to the model.",
            Admission,
            cleanup_policy="compact",
        ),
        labs=topic(
            "labs", "in", "Laboratory results, by LOINC code.", LabResult, retention_ms=quarter
        ),
        outcomes=topic("outcomes", "in", "How a stay ended.", Outcome, retention_ms=quarter),
        recommendations=topic(
            "recommendations",
            "out",
            "The risk of a patient, its basis and what to do next.",
            Recommendation,
            retention_ms=quarter,
        ),
        # A dead letter carries the original bytes as base64: a third larger than what came in.
        dead_letters=topic(
            "dead_letters",
            "out",
            "Records that could not be used, whole, and why.",
            DeadLetter,
            key=None,
            retention_ms=quarter,
            max_message_bytes=str(4 * 1024 * 1024),
        ),
        lessons=topic(
            "lessons",
            "internal",
            "What was scored, once a patient and hour, and how the stays ended.",
            None,
            ordered=True,
            retention_ms=quarter,
        ),
        # a champion's files are some hundred kilobytes, as base64 a third more
        models=topic(
            "models",
            "internal",
            "Champions, what they learned since, challengers, and which of them scores.",
            ModelEvent,
            key="model",
            ordered=True,
            cleanup_policy="compact",
            max_message_bytes=str(4 * 1024 * 1024),
        ),
        drift=topic(
            "drift",
            "out",
            "What patients, scores or errors are like has changed.",
            DriftEvent,
            key=None,
            partitions=1,
            retention_ms=quarter,
        ),
        # Who is paged depends on who was paged before: all that the pager reads has one order.
        alerts_raised=topic(
            "alerts_raised",
            "internal",
            "Who has to be looked at, by whom it was found; and how many patients are watched.",
            RaisedEvent,
            key="alert_id",
            ordered=True,
            retention_ms=quarter,
        ),
        alerts_acknowledged=topic(
            "alerts_acknowledged",
            "in",
            "Answers of people to alerts.",
            Acknowledgement,
            key="alert_id",
            ordered=True,
            retention_ms=quarter,
        ),
        alerts_silences=topic(
            "alerts_silences",
            "in",
            "When nobody is to be paged about what.",
            Silence,
            key="silence_id",
            ordered=True,
            cleanup_policy="compact",
        ),
        delivery_receipts=topic(
            "delivery_receipts",
            "internal",
            "What providers say later of messages that they took.",
            Receipt,
            key=None,
            ordered=True,
            retention_ms=week,
        ),
        alerts=topic(
            "alerts",
            "out",
            "Every change in the life of an alert and of each page.",
            AlertChange,
            key="alert_id",
            retention_ms=quarter,
        ),
        audit=topic(
            "audit",
            "out",
            "The same as ids and hashes, each entry bound to the one before; kept for good.",
            AuditEntry,
            key=None,
            ordered=True,
            retention_ms="-1",
        ),
        chat_questions=topic(
            "chat_questions",
            "in",
            "What clinicians and patients ask; who asks is in the headers.",
            Question,
            key="session_id",
            retention_ms=week,
        ),
        chat_answers=topic(
            "chat_answers",
            "out",
            "Answers, with the quotes that they rest on.",
            ChatAnswer,
            key="session_id",
            retention_ms=quarter,
        ),
        # every worker reads it whole: the newest text of each document counts
        documents=topic(
            "documents",
            "in",
            "Documents to answer from, beside the corpus; without a value: removed.",
            DocumentEvent,
            key="document_id",
            partitions=1,
            cleanup_policy="compact",
        ),
        chat_audit=topic(
            "chat_audit",
            "out",
            "Every answer as ids and hashes, each entry bound to its partition's last; kept for "
            "good.",
            ChatAuditEntry,
            key=None,
            retention_ms="-1",
        ),
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """What a topic is on the broker and what the catalogue says it should be."""

    topic: str
    what: str
    wanted: str
    found: str | None


async def ensure(
    settings: Settings, *, create: bool = True, changelogs: Mapping[str, int] | None = None
) -> list[Difference]:
    """Create the topics that are missing and tell what differs in those that are there.

    Args:
        settings: names the broker and the topics.
        create: False only looks.
        changelogs: names of the changelogs of tables that are to be there too, and how many
            partitions each has. Faust would make them itself, but a worker that joins before their
            metadata is known everywhere gets no partition of them.

    Returns:
        The differences that are left; empty when everything is as it should be. ``found`` is None
        for a topic that is missing.

    Raises:
        TopicError: the broker refused to create a topic.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    wanted = [*catalogue(settings), *(_changelog(*each) for each in (changelogs or {}).items())]
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    try:
        await admin.start()
        existing = set(await admin.list_topics())
        if create:
            await _create(admin, [t for t in wanted if t.name not in existing], settings)
        differences = [
            Difference(t.name, "topic", "exists", None)
            for t in wanted
            if not create and t.name not in existing
        ]
        present = [t for t in wanted if create or t.name in existing]
        return differences + await _compare(admin, present)
    finally:
        await admin.close()


async def prepare(
    settings: Settings, changelogs: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Get the topics ready for a worker: create what is missing, refuse what cannot work.

    A broker that is away is waited for, `Settings.broker_wait_s` long.

    Args:
        settings: names the broker and the topics.
        changelogs: see `ensure`.

    Returns:
        How many partitions each topic of the catalogue has. The topics of the original feed and
        those that others read may be of any size; what Vigil shares state over may not.

    Raises:
        TopicError: a topic that state is shared over has another number of partitions, or one that
            is read in order has several.
        BrokerAwayError: the broker does not answer.
    """
    topics = catalogue(settings)
    differences = await patiently(
        partial(ensure, settings, changelogs=changelogs), settings.bootstrap, settings.broker_wait_s
    )
    sizes = {topic.name: topic.partitions for topic in topics}
    shared = {topics.admissions.name, topics.labs.name, topics.vitals_routed.name}
    # that of a table of one partition may have more: they stay empty
    shared |= {name for name, partitions in (changelogs or {}).items() if partitions > 1}
    ordered = {topic.name: topic.role for topic in topics if topic.ordered}
    for difference in differences:
        if difference.what == "partitions":
            if difference.topic in ordered:
                raise TopicError(
                    f"Topic {difference.topic!r} has {difference.found} partitions: its records "
                    "are read in one order, so it has one. Name a topic that is not there yet in "
                    f"VIGIL_TOPIC_{ordered[difference.topic].upper()}, or delete this one."
                )
            if difference.topic in shared:
                raise TopicError(
                    f"Topic {difference.topic!r} has {difference.found} partitions and "
                    f"VIGIL_PARTITIONS says {difference.wanted}: set it to {difference.found}. "
                    "State is spread over the partitions, so their number stays."
                )
            sizes[difference.topic] = int(difference.found or 0)
        log.warning(
            "topic %s: %s is %s, the catalogue says %s",
            difference.topic, difference.what, difference.found, difference.wanted,
        )  # fmt: skip
    return sizes


def _changelog(name: str, partitions: int) -> Topic:
    return Topic(
        role="changelog",
        name=name,
        key="patient_id",
        model=None,
        partitions=partitions,
        direction="internal",
        about="Changelog of a table.",
        # Retention would lose the state of a quiet patient. The newest segment is not compacted: of
        # Kafka's gigabyte a lost table would be restored through many old versions.
        config={"cleanup.policy": "compact", "segment.bytes": str(64 * 1024 * 1024)},
    )


async def _create(admin: AIOKafkaAdminClient, topics: list[Topic], settings: Settings) -> None:
    if not topics:
        return
    response = await admin.create_topics(
        [
            NewTopic(t.name, t.partitions, settings.replication, topic_configs=t.config)
            for t in topics
        ]
    )
    for name, code, *message in response.topic_errors:
        error = for_code(code)
        # two of us may start at the same time
        if code != 0 and error is not TopicAlreadyExistsError:
            raise TopicError(
                f"The broker would not create topic {name!r}: {error.__name__}"
                f" {' '.join(str(part) for part in message if part)}. Check VIGIL_REPLICATION"
                f" ({settings.replication}) against the number of brokers, and your user's rights."
            )


async def _compare(admin: AIOKafkaAdminClient, topics: list[Topic]) -> list[Difference]:
    differences = []
    described = {d["topic"]: d for d in await admin.describe_topics([t.name for t in topics])}
    configs = await _configs(admin, [t.name for t in topics])
    for topic in topics:
        found = len(described[topic.name]["partitions"])
        # a topic of the original feed may be of any size: what is keyed is checked a record at a
        # time, so only topics that Vigil shares state over have to agree
        # 0: made a moment ago, and the broker that was asked has not heard how many yet
        if found not in (0, topic.partitions):
            differences.append(
                Difference(topic.name, "partitions", str(topic.partitions), str(found))
            )
        for name, value in topic.config.items():
            actual = configs[topic.name].get(name)
            if actual != value:
                differences.append(Difference(topic.name, name, value, str(actual)))
    return differences


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    found: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for _, _, _, name, entries in response.resources:
            found[name] = {entry[0]: entry[1] for entry in entries}
    return found
