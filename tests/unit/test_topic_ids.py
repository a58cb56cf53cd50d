"""Kafka is asked for the ids of topics in a version of its protocol that has them."""

from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

import streams.topic_ids
from streams.topic_ids import _Request, _RequestStruct, _Response, topic_ids

pytestmark = pytest.mark.unit

ID = bytes(range(16))
TEXT = "AAECAwQFBgcICQoLDA0ODw"


def _topic(name: str, topic_id: bytes = ID, code: int = 0) -> tuple[Any, ...]:
    return code, name, topic_id, False, [(0, 0, 1, 0, [1], [1], [], {})], 0, {}


class Client:
    """A broker that gives one answer after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)

    def get_random_node(self) -> int:
        return 1

    async def send(self, node: int, request: Any, *, group: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(topics=answer)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.topic_ids, "_ASK_AGAIN_S", 0)


def test_a_question_names_its_topics_and_asks_for_nothing_else() -> None:
    asked = _Request(["one"]).build(_RequestStruct)

    assert asked.encode() == b"\x02" + bytes(16) + b"\x04one\x00" + b"\x00\x00\x00" + b"\x00"


def test_an_answer_is_read_to_its_end() -> None:
    answer = _Response(7, [(1, "host", 9092, None, {})], "c", 1, [_topic("one")], 0, {})

    read = BytesIO(answer.encode())
    assert _Response.decode(read).topics == answer.topics
    assert not read.read()


async def test_an_id_is_written_as_kafkas_tools_do() -> None:
    assert await topic_ids(Client([_topic("one")]), ["one"]) == {"one": TEXT}


async def test_without_topics_nobody_is_asked() -> None:
    assert await topic_ids(Client(), []) == {}


@pytest.mark.parametrize(
    "answer", [NotImplementedError("v9 is the newest"), [_topic("one", bytes(16))]]
)
async def test_a_broker_that_gives_no_ids_is_good_enough(answer: Any) -> None:
    assert await topic_ids(Client(answer), ["one"]) == {"one": ""}


@pytest.mark.parametrize(
    "answer",
    [KafkaConnectionError(), [_topic("one", code=UnknownTopicOrPartitionError.errno)]],
    ids=["gone", "not yet"],
)
async def test_a_broker_that_does_not_know_yet_is_asked_again(answer: Any) -> None:
    assert await topic_ids(Client(answer, [_topic("one")]), ["one"]) == {"one": TEXT}


async def test_a_broker_that_will_not_tell_is_not_asked_again() -> None:
    refusal = [_topic("one", code=TopicAuthorizationFailedError.errno)]

    with pytest.raises(TopicAuthorizationFailedError):
        await topic_ids(Client(refusal), ["one"])
