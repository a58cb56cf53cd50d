"""Who the patients are to the model: one small state a patient, from `admissions`.

Pure: knows a store of bytes per partition, like `tables.windows`.
"""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.dataset import context_row
from models.stay import FEMALE, MALE
from models.vitals import MISSING
from models.window import CONTEXT
from tables.remembered import Load, Remembered

__all__ = ["NOBODY", "StayFacts", "Stays"]

_SEX = {"female": FEMALE, "male": MALE, None: None}


class StayFacts(msgspec.Struct, array_like=True, frozen=True):
    """What is stored of a stay.

    Attributes:
        context: columns of a window that tell of the admission, see `models.dataset.context_row`.
        unit_id: ward or unit.
    """

    context: tuple[int, int, int, int]
    unit_id: str | None = None


#: Nothing is known.
NOBODY = StayFacts((MISSING, MISSING, MISSING, MISSING))

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StayFacts).decode


class Stays(Remembered[StayFacts]):
    """Stays in memory, in front of a store; see `Remembered`."""

    def __init__(self, load: Load, *, capacity: int) -> None:
        super().__init__(load, _decode, capacity=capacity)

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
        age, sex, icu, hospital, _ = context.tolist()
        facts = StayFacts((age, sex, icu, hospital), admission.unit_id)
        self.put(partition, key, facts)
        return _encode(facts)

    def discharge(self, partition: int, key: bytes) -> None:
        """Forget a patient; the stored state is to be deleted."""
        self.put(partition, key, None)

    def contexts(self, facts: list[StayFacts | None]) -> NDArray[np.int64]:
        """Return the context rows of stays, of no laboratory result, shape [n, 5]."""
        rows = np.full((len(facts), CONTEXT), MISSING)
        if facts:
            rows[:, :-1] = [(known or NOBODY).context for known in facts]
        return rows


def _ms(moment: Any) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
