"""Who the patients are to the model: one small state a patient, from `admissions`.

Pure: knows a store of bytes per partition, like `tables.windows`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.dataset import context_row
from models.stay import FEMALE, MALE

__all__ = ["NOBODY", "StayFacts", "Stays"]

#: Reads the bytes of keys in a partition, None where there are none.
Load = Callable[[int, list[bytes]], Sequence[bytes | None]]

_SEX = {"female": FEMALE, "male": MALE, None: None}


class StayFacts(msgspec.Struct, array_like=True, frozen=True):
    """What is stored of a stay.

    Attributes:
        context: columns of a window, see `models.dataset.context_row`.
        unit_id: ward or unit.
    """

    context: tuple[int, int, int, int]
    unit_id: str | None = None


#: Nothing is known.
NOBODY = StayFacts(tuple(context_row(None, None, None, None).tolist()))

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StayFacts).decode


class Stays:
    """Stays in memory, in front of a store.

    Who was asked for lately is young. When the young are as many as the capacity they become the
    old, and of the old before them those are dropped that nobody has asked for since: so the least
    recently used go, without a list to be kept in order at each question.

    Args:
        load: reads states.
        capacity: how many are kept at least, and twice as many at most.
    """

    def __init__(self, load: Load, *, capacity: int) -> None:
        self._load = load
        self._capacity = capacity
        self._young: dict[int, dict[bytes, StayFacts | None]] = {}
        self._old: dict[int, dict[bytes, StayFacts | None]] = {}
        self._count = 0

    def get(self, partition: int, keys: Sequence[bytes]) -> list[StayFacts | None]:
        """Return what is known of each patient, None if nothing is."""
        self._age()
        young = self._young.setdefault(partition, {})
        absent = [key for key in keys if key not in young]
        if absent:
            self._bring(partition, young, list(dict.fromkeys(absent)))
        return [young[key] for key in keys]

    def admit(self, partition: int, key: bytes, admission: Any) -> bytes:
        """Take in an admission; return the state to be stored.

        Args:
            partition: of the patient.
            key: the patient.
            admission: a row of `streams.events.Admission`.
        """
        context = context_row(
            admission.age_years,
            _SEX[admission.sex],
            _ms(admission.icu_admitted_at),
            _ms(admission.hospital_admitted_at),
        )
        age, sex, icu, hospital = context.tolist()
        facts = StayFacts((age, sex, icu, hospital), admission.unit_id)
        self._put(partition, key, facts)
        return _encode(facts)

    def discharge(self, partition: int, key: bytes) -> None:
        """Forget a patient; the stored state is to be deleted."""
        self._put(partition, key, None)

    def forget(self, partition: int) -> None:
        """Drop what is in memory of a partition that was revoked."""
        self._count -= len(self._young.pop(partition, {}))
        self._old.pop(partition, None)

    def contexts(self, facts: list[StayFacts | None]) -> NDArray[np.int64]:
        """Return the context rows of stays, shape [n, 4]."""
        rows = [(known or NOBODY).context for known in facts]
        return np.array(rows, np.int64).reshape(len(rows), 4)

    def _bring(
        self, partition: int, young: dict[bytes, StayFacts | None], keys: list[bytes]
    ) -> None:
        """Make patients young: from among the old, or from the store."""
        old = self._old.get(partition, {})
        stored = [key for key in keys if key not in old]
        states = self._load(partition, stored) if stored else []
        young.update((key, old.pop(key)) for key in keys if key in old)
        for key, state in zip(stored, states, strict=True):
            young[key] = None if state is None else _decode(state)
        self._count += len(keys)

    def _put(self, partition: int, key: bytes, facts: StayFacts | None) -> None:
        self._age()
        self._old.get(partition, {}).pop(key, None)
        young = self._young.setdefault(partition, {})
        self._count += key not in young
        young[key] = facts

    def _age(self) -> None:
        if self._count >= self._capacity:
            self._old, self._young, self._count = self._young, {}, 0


def _ms(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
