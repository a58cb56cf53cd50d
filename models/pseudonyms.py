"""Names for patients that do not say who they are.

A pseudonym is a SHA-256 of the id, keyed (HMAC, RFC 2104) where there is a key: without one,
whoever can guess ids can look them up. Hold-out and split go by the id alone, and a patient must
not change sides by being renamed: the pseudonym ends in the first letters with which
`models.cohort.held_out` and `models.cohort.side_of` say the same of it as of the id. That tells
which of some seven groups of patients it belongs to, and nothing else.
"""

import hashlib
import hmac
import itertools
import re
from dataclasses import dataclass, field

from models.cohort import held_out, side_of

__all__ = ["Pseudonyms", "is_pseudonym"]

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SHAPE = re.compile(r"h[0-9a-f]{32}-[a-z]+")


@dataclass(slots=True)
class Pseudonyms:
    """Gives pseudonyms.

    Attributes:
        key: secret; None = plain SHA-256.
    """

    key: bytes | None = None
    _known: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def kind(self) -> str:
        """How they are made."""
        return "sha256" if self.key is None else "hmac-sha256"

    @property
    def check(self) -> str:
        """Tells whether two sets were given names with the same key, and not which."""
        return self._digest("vigil: which key was it")[:16]

    def of(self, patient_id: str) -> str:
        """The pseudonym of a patient.

        >>> Pseudonyms().of("p000001")
        'ha7e238328e5f924ef332bc104c7aee69-b'
        """
        known = self._known.get(patient_id)
        if known is None:
            known = self._known[patient_id] = self._made(patient_id)
        return known

    def _made(self, patient_id: str) -> str:
        stem = f"h{self._digest(patient_id)[:32]}-"
        wanted = held_out(patient_id), side_of(patient_id)
        for length in itertools.count(1):
            for letters in itertools.product(_LETTERS, repeat=length):
                name = stem + "".join(letters)
                if (held_out(name), side_of(name)) == wanted:
                    return name
        raise AssertionError("unreachable")

    def _digest(self, text: str) -> str:
        if self.key is None:
            return hashlib.sha256(text.encode()).hexdigest()
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()


def is_pseudonym(patient_id: str) -> bool:
    """Whether an id looks like one that `Pseudonyms` gave."""
    return _SHAPE.fullmatch(patient_id) is not None
