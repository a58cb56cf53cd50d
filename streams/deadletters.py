"""Dead letters: what could not be used, whole, and why; and when there are too many of them.

`DeadLetterLimit` stops a worker when nearly everything is bad. A producer that has changed its
format, or the wrong topic in a setting, would otherwise drain the whole topic into the dead
letters, look healthy while no patient is watched, and leave a mess to replay. A worker that stops
keeps its offsets where they are and wakes somebody up.
"""

import base64
from collections import deque
from typing import Any

import msgspec

from streams.header_names import name_bytes, unreadable

__all__ = ["DeadLetterLimit", "TooManyDeadLettersError", "encode", "original"]

#: Longest reason kept: a reason is for people.
_REASON = 500


class TooManyDeadLettersError(RuntimeError):
    """Nearly everything is bad: somebody has to look."""


class DeadLetterLimit:
    """Counts good and bad records over the last so many.

    Args:
        window: records looked back on, counted in whole batches; no judgement before they are
            full.
        ratio: the highest share of dead letters that is borne.
    """

    def __init__(self, window: int, ratio: float) -> None:
        self._window, self._ratio = window, ratio
        self._batches: deque[tuple[int, int]] = deque()
        self._good = self._bad = 0

    def count(self, good: int, bad: int) -> None:
        """Count a batch, before its dead letters are sent.

        Raises:
            TooManyDeadLettersError: the share is above the limit.
        """
        self._batches.append((good, bad))
        self._good += good
        self._bad += bad
        while self._batches and self._good + self._bad - sum(self._batches[0]) >= self._window:
            old_good, old_bad = self._batches.popleft()
            self._good -= old_good
            self._bad -= old_bad
        total = self._good + self._bad
        if total >= self._window and self._bad > self._ratio * total:
            raise TooManyDeadLettersError(
                f"{self._bad} of the last {total} records could not be used. The worker stops with "
                "its offsets unmoved rather than drain the topic. See `vigil deadletters list` for "
                "the reasons; to go on all the same, raise VIGIL_DEAD_LETTER_RATIO."
            )


def encode(record: Any, reason: str) -> bytes:
    """Return the dead letter of a record, as `streams.events.DeadLetter`.

    Args:
        record: raw, with ``topic``, ``partition``, ``offset``, ``key``, ``value``,
            ``timestamp`` and ``headers``.
        reason: for people; must not name a patient.
    """
    names = [name_bytes(name) for name, _ in record.headers]
    letter = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "reason": reason[:_REASON],
        "key": _base64(record.key),
        "value": _base64(record.value),
        "timestamp_ms": record.timestamp,
        "headers": [
            (name.decode("utf-8", "backslashreplace"), _base64(value))
            for name, (_, value) in zip(names, record.headers, strict=True)
        ],
    }
    if unreadable(record):
        letter["header_names"] = [_base64(name) for name in names]
    return msgspec.json.encode(letter)


def original(letter: dict[str, Any]) -> dict[str, Any]:
    """Return what a dead letter was made of, as a producer's arguments.

    The Kafka time is part of it: without ``observed_at`` it is the observed time of a reading.
    aiokafka's producer cannot send a header whose name is not UTF-8: it is left out.
    """
    names = letter.get("header_names")
    return {
        "key": _bytes(letter["key"]),
        "value": _bytes(letter["value"]),
        "timestamp_ms": letter["timestamp_ms"],
        "headers": [
            (name, _bytes(value))
            for place, (name, value) in enumerate(letter["headers"])
            if names is None or _bytes(names[place]) == name.encode()
        ],
    }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
