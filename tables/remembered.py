"""States of patients in memory, in front of a store: for tables that are read at every reading.

Who was asked for lately is young. When the young are as many as the capacity they become the old,
and of the old before them those are dropped that nobody has asked for since: so the least recently
used go, without a list to be kept in order at each question.

Pure: knows a store of bytes per partition.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Load", "Remembered"]

T = TypeVar("T")

#: Reads the bytes of keys in a partition, None where there are none.
Load = Callable[[int, list[bytes]], Sequence[bytes | None]]


class Remembered(Generic[T]):
    """What is known of patients.

    Args:
        load: reads states.
        decode: of a state.
        capacity: how many patients are kept at least, and twice as many at most.
    """

    def __init__(self, load: Load, decode: Callable[[bytes], T], *, capacity: int) -> None:
        self._load, self._decode = load, decode
        self._capacity = capacity
        self._young: dict[int, dict[bytes, T | None]] = {}
        self._old: dict[int, dict[bytes, T | None]] = {}
        self._count = 0

    def get(self, partition: int, keys: Sequence[bytes]) -> list[T | None]:
        """Return what is known of each patient, None if nothing is."""
        self._age()
        young = self._young.setdefault(partition, {})
        absent = [key for key in keys if key not in young]
        if absent:
            self._bring(partition, young, list(dict.fromkeys(absent)))
        return [young[key] for key in keys]

    def put(self, partition: int, key: bytes, known: T | None) -> None:
        """Remember something new of a patient; None forgets the patient."""
        self._age()
        self._old.get(partition, {}).pop(key, None)
        young = self._young.setdefault(partition, {})
        self._count += key not in young
        young[key] = known

    def forget(self, partition: int) -> None:
        """Drop what is in memory of a partition that was revoked."""
        self._count -= len(self._young.pop(partition, {}))
        self._old.pop(partition, None)

    def _bring(self, partition: int, young: dict[bytes, T | None], keys: list[bytes]) -> None:
        """Make patients young: from among the old, or from the store."""
        old = self._old.get(partition, {})
        stored = [key for key in keys if key not in old]
        states = self._load(partition, stored) if stored else []
        young.update((key, old.pop(key)) for key in keys if key in old)
        for key, state in zip(stored, states, strict=True):
            young[key] = None if state is None else self._decode(state)
        self._count += len(keys)

    def _age(self) -> None:
        if self._count >= self._capacity:
            self._old, self._young, self._count = self._young, {}, 0
