"""The ids that Kafka gives topics: one that is made anew under its old name has another.

They came with Kafka 2.8, and aiokafka asks an older question; so here is the newer one.
"""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Any, ClassVar

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

__all__ = ["topic_ids"]

_ASK_AGAIN_S = 0.1
_GIVE_UP_S = 30


class _Uuid(AbstractType):
    """16 bytes; zeros are no id."""

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: Any) -> bytes:
        found: bytes = data.read(16)
        return found


_NO_ID = bytes(16)
_TEXT = CompactString("utf-8")
_TAGS = ("tags", TaggedFields)
_BROKER = ("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS
_PARTITION = (
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("isr", CompactArray(Int32)),
    ("offline_replicas", CompactArray(Int32)),
    _TAGS,
)
_TOPIC = (
    ("error_code", Int16),
    ("name", _TEXT),
    ("topic_id", _Uuid),
    ("is_internal", Boolean),
    ("partitions", CompactArray(*_PARTITION)),
    ("authorized_operations", Int32),
    _TAGS,
)


class _Response(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", CompactArray(*_BROKER)),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        ("topics", CompactArray(*_TOPIC)),
        ("authorized_operations", Int32),
        _TAGS,
    )


class _RequestStruct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _Request(Request[_RequestStruct]):
    API_KEY: ClassVar[int] = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics: list[Any] = [(_NO_ID, name, {}) for name in topics]

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._topics, False, False, False, {})


async def topic_ids(client: Any, topics: Iterable[str]) -> dict[str, str]:
    """Ask for the ids of topics; ask again until the broker knows them.

    Args:
        client: of aiokafka, connected.
        topics: names.

    Returns:
        By name; empty text where the broker gives no ids.

    Raises:
        aiokafka.errors.KafkaError: it will not tell.
        TimeoutError: it did not tell in time.
    """
    names = sorted(topics)
    if not names:
        return {}
    async with asyncio.timeout(_GIVE_UP_S):
        while True:
            try:
                # not behind a fetch
                response = await client.send(
                    client.get_random_node(), _Request(names), group=ConnectionGroup.COORDINATION
                )
                for code, name, *_ in response.topics:
                    if code:
                        raise for_code(code)(name)
            except NotImplementedError:  # older than Kafka 2.8
                return dict.fromkeys(names, "")
            except KafkaError as error:
                if not error.retriable:
                    raise
                await asyncio.sleep(_ASK_AGAIN_S)
            else:
                return {name: _text(topic_id) for _, name, topic_id, *_ in response.topics}


def _text(topic_id: bytes) -> str:
    """Write an id as Kafka's tools do."""
    return "" if topic_id == _NO_ID else urlsafe_b64encode(topic_id).decode().rstrip("=")
