"""Who the patients are to the model: one small state a patient, from `admissions`.

Pure: knows a store of bytes per partition, like `tables.windows`.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.dataset import context_row
from models.stay import FEMALE, MALE

__all__ = ["NOBODY", "StayFacts", "Stays"]

Load = Callable[[int, bytes], bytes | None]

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

    Args:
        load: reads a state.
        capacity: stays kept in memory.
    """

    def __init__(self, load: Load, *, capacity: int) -> None:
        self._load = load
        self._capacity = capacity
        self._facts: OrderedDict[tuple[int, bytes], StayFacts | None] = OrderedDict()

    def get(self, partition: int, key: bytes) -> StayFacts | None:
        """Return what is known of a patient, None if nothing is."""
        place = partition, key
        if place in self._facts:
            self._facts.move_to_end(place)
            return self._facts[place]
        stored = self._load(partition, key)
        return self._remember(place, None if stored is None else _decode(stored))

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
        self._remember((partition, key), facts)
        return _encode(facts)

    def discharge(self, partition: int, key: bytes) -> None:
        """Forget a patient; the stored state is to be deleted."""
        self._remember((partition, key), None)

    def forget(self, partition: int) -> None:
        """Drop what is in memory of a partition that was revoked."""
        for place in [place for place in self._facts if place[0] == partition]:
            del self._facts[place]

    def contexts(self, facts: list[StayFacts | None]) -> NDArray[np.int64]:
        """Return the context rows of stays, shape [n, 4]."""
        rows = [(known or NOBODY).context for known in facts]
        return np.array(rows, np.int64).reshape(len(rows), 4)

    def _remember(self, place: tuple[int, bytes], facts: StayFacts | None) -> StayFacts | None:
        self._facts[place] = facts
        self._facts.move_to_end(place)
        if len(self._facts) > self._capacity:
            self._facts.popitem(last=False)
        return facts


def _ms(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
