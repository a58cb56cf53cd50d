"""The topic of silences from a command: read those that are known, publish one, end one.

What they keep from paging is in `config.silences`.
"""

from dataclasses import dataclass, field

from pydantic import ValidationError

from config.settings import Settings
from streams.alert_events import Silence
from streams.topics import catalogue
from streams.whole_topic import read_whole, send

__all__ = ["Silences", "publish_silence", "read_silences"]


@dataclass(slots=True)
class Silences:
    """What is on the topic.

    Attributes:
        known: by id; also those whose time is over or to come.
        problems: records that say nothing that could be understood.
    """

    known: dict[str, Silence] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def take(self, key: bytes | None, value: bytes | None, offset: int) -> None:
        """Take a record in: the newest of a key counts, and one without a value ends it."""
        name = (key or b"").decode(errors="replace")
        self.known.pop(name, None)
        if not value:
            return
        try:
            silence = Silence.model_validate_json(value)
        except ValidationError as error:
            where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "its value"
            self.problems.append(f"{name or 'a record without key'}, offset {offset}: {where}")
            return
        if silence.silence_id != name:
            self.problems.append(f"{name or 'a record without key'}, offset {offset}: its key")
            return
        self.known[name] = silence


async def read_silences(settings: Settings) -> Silences:
    """Read the silences as they are now.

    Raises:
        TopicError: there is no such topic.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = Silences()
    for record in await read_whole(settings, catalogue(settings).alerts_silences.name):
        found.take(record.key, record.value, record.offset)
    return found


async def publish_silence(settings: Settings, silence_id: str, silence: Silence | None) -> None:
    """Publish a silence, or end it; the topic is created where it is missing.

    Args:
        settings: name the broker and the topic.
        silence_id: which.
        silence: None ends it.

    Raises:
        aiokafka.errors.KafkaError: the broker does not take it.
    """
    value = None if silence is None else silence.model_dump_json().encode()
    await send(settings, catalogue(settings).alerts_silences.name, silence_id.encode(), value)
