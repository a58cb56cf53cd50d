"""The bytes of a conversation: what is remembered of it, versioned.

A version byte, then msgpack. Structs are written as arrays: the order of their fields is the
format, so a change of it needs another version.
"""

from typing import Literal

import msgspec

from tables.codec import StateError

__all__ = ["VERSION", "About", "Conversation", "Given", "Told", "Turn", "decode", "encode"]

VERSION = 1

#: What a question was about: a subject of medicine, or a patient.
About = Literal["subject", "patient"]


class Turn(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A question and what became of it. Turns are in the order of their first two fields.

    Attributes:
        at_ms: when it was asked, event time, ms since 1970.
        question_id: unique within the conversation.
        question: what was asked, cut to a length.
        outcome: of the answer, see `rag.answers.Outcome`.
        focus: subject of the answer's first quote; empty where it has none.
        patient: whom it was about; empty where nobody.
    """

    at_ms: int
    question_id: str
    question: str
    outcome: str
    focus: str = ""
    patient: str = ""


class Told(msgspec.Struct, array_like=True, frozen=True):
    """A part of the summary: how often older turns on a subject ended in a certain way.

    Attributes:
        focus: the subject; empty where there was none.
        outcome: of the answers.
        times: how often.
        at_ms: the newest of them, event time.
    """

    focus: str
    outcome: str
    times: int
    at_ms: int


class Given(msgspec.Struct, array_like=True, frozen=True):
    """An answer that was given, to be given again when its question is read again.

    Attributes:
        question_id: of which question.
        at_ms: when that was asked, event time.
        answer: as it went out, to the byte.
    """

    question_id: str
    at_ms: int
    answer: bytes


class Conversation(msgspec.Struct, array_like=True, frozen=True):
    """What is remembered of the conversation of a session.

    Attributes:
        last_ms: event time of its newest question.
        turns: the newest ones, in order.
        summary: of those before them, the newest first.
        given: answers, the newest last, in the order in which they were given.
    """

    last_ms: int = 0
    turns: tuple[Turn, ...] = ()
    summary: tuple[Told, ...] = ()
    given: tuple[Given, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Conversation)


def encode(conversation: Conversation) -> bytes:
    """Write a conversation."""
    return bytes([VERSION]) + _encoder.encode(conversation)


def decode(data: bytes) -> Conversation:
    """Read what `encode` wrote.

    Raises:
        StateError: another version, or bytes that are not a whole conversation.
    """
    if not data or data[0] != VERSION:
        found = f"version {data[0]}" if data else "empty"
        raise StateError(
            f"A conversation is {found}, this worker reads version {VERSION}: run the release that "
            "wrote it, or delete the table's state: conversations last minutes."
        )
    try:
        return _decoder.decode(memoryview(data)[1:])
    except msgspec.MsgspecError as error:
        raise StateError(f"A conversation is damaged: {error}.") from None
