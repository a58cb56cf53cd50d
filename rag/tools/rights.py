"""Who may see which patient, unit and alert.

One place decides; tools are handed only what passed here.
"""

from dataclasses import dataclass

from rag.tools.claims import Claims, Reason, Refusal, Subject, subject_hash

__all__ = ["Rights"]


@dataclass(frozen=True, slots=True)
class Rights:
    """The rule.

    Attributes:
        everywhere: roles that see every patient and unit.
        audit_key: of the hashes in refusals; None = plain SHA-256.
    """

    everywhere: frozenset[str] = frozenset({"site"})
    audit_key: bytes | None = None

    def __post_init__(self) -> None:
        if "patient" in self.everywhere:
            raise ValueError("the role 'patient' may not see everybody: take it off the list")

    def all_of(self, claims: Claims) -> bool:
        """Whether everybody may be seen."""
        return claims.role in self.everywhere

    def sees_patient(self, claims: Claims, patient_id: str, unit_id: str | None) -> bool:
        """Whether a patient may be seen.

        Args:
            claims: of who asks.
            patient_id: whom.
            unit_id: where the patient is now; None = it is not known.
        """
        if claims.is_patient:
            return patient_id == claims.own_id
        return (
            self.all_of(claims)
            or patient_id in claims.patients
            or (unit_id is not None and unit_id in claims.units)
        )

    def sees_unit(self, claims: Claims, unit_id: str) -> bool:
        """Whether a unit may be seen: all of its patients, and how many there are."""
        if claims.is_patient:
            return False
        return self.all_of(claims) or unit_id in claims.units

    def refuse(
        self, reason: Reason, claims: Claims, tool: str, subject: Subject, name: str
    ) -> Refusal:
        """Refuse, with what is kept of it."""
        return Refusal.because(
            reason,
            subject=subject,
            subject_hash=subject_hash(subject, name, self.audit_key) if name else "",
            asker_hash=subject_hash("asker", claims.sub, self.audit_key),
            tool=tool,
        )
