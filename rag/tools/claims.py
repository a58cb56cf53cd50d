"""Who asks and what they may see: claims in the headers of a question, and refusals.

    vigil-claims            {"sub": "dr-quill", "role": "physician", "units": ["icu-2"],
                             "patients": [], "exp": 1767229200}
    vigil-claims-signature  HMAC-SHA256 of the bytes of the header above, hexadecimal

**Against whom.** Two things stand between a stranger and a patient.

* The ACLs of the topic of questions say who may produce to it at all. Where only trusted gateways
  may, that signs people in and writes the claims, this is enough, and the key may be left out: then
  signatures are not looked at.
* The signature is against gateways that pass on what their clients send, headers included: a client
  can write any claims, but not sign them. The key is known to what signs people in and to Vigil, to
  no gateway and no client. With a key, claims that are not signed are refused, never taken as less.

What it does not do: it is not bound to one question, so whoever reads the topic can use claims
again until ``exp``. Keep ``exp`` minutes away, encrypt the way to the broker, and let nobody else
read the topic. There is no algorithm to choose in the header, so none can be chosen that is weak.

A refusal says nothing of whether a patient, a unit or an alert exists: what may not be seen and
what is not there read the same.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

__all__ = [
    "CLAIMS_HEADER",
    "SIGNATURE_HEADER",
    "Claims",
    "Reason",
    "Refusal",
    "Subject",
    "read_claims",
    "sign",
    "subject_hash",
]

CLAIMS_HEADER = "vigil-claims"
SIGNATURE_HEADER = "vigil-claims-signature"
#: Claims name some units and patients; more than this is no claim.
_MOST_BYTES = 16_384

Reason = Literal["no_claims", "malformed", "not_signed", "expired", "no_right", "wrong_role"]
Subject = Literal["patient", "unit", "alert", "claims"]

_TEXTS: dict[Reason, str] = {
    "no_claims": "I answer questions about patients only to people who are signed in.",
    "malformed": "I cannot read who you are: sign in again, and tell the operators if it goes on.",
    "not_signed": "I cannot tell that it is you who asks: sign in again.",
    "expired": "Your sign-in has expired: sign in again and repeat the question.",
    "no_right": "I have nothing that you may see about that. If you care for this patient or work "
    "on this ward, ask for the right to see them.",
    "wrong_role": "I can answer that only to staff.",
}

_Name = Annotated[str, Field(min_length=1, max_length=128)]


class Claims(BaseModel):
    """What somebody may see, as the sign-in says.

    Attributes:
        sub: who asks: the account, for staff the contact of the alert policy.
        role: ``patient`` sees only themself. Roles that see everybody are a setting; every other
            one sees the units and patients that are listed.
        units: whose patients may be seen.
        patients: that may be seen wherever they are; of the role ``patient`` the one that asks.
        exp: until when, seconds since 1970.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    sub: _Name
    role: Annotated[str, Field(min_length=1, max_length=64)]
    units: tuple[_Name, ...] = ()
    patients: tuple[_Name, ...] = ()
    exp: Annotated[float, Field(gt=0, allow_inf_nan=False)]

    @property
    def is_patient(self) -> bool:
        """Whether a patient asks."""
        return self.role == "patient"

    @property
    def own_id(self) -> str | None:
        """Id of the patient who asks; None where staff does, or where it is not plain which one."""
        if not self.is_patient or len(self.patients) > 1:
            return None
        return self.patients[0] if self.patients else self.sub


class Refusal(BaseModel):
    """An answer that is not given, and what is kept of it.

    Attributes:
        reason: why.
        text: for whoever asked; tells nothing of anybody.
        subject: what was asked about.
        subject_hash: of its id, see `subject_hash`; "" where none was named.
        asker_hash: of the claims' ``sub``; "" where nobody is known.
        tool: that was asked for; "" = none was yet.
    """

    model_config = ConfigDict(frozen=True)

    reason: Reason
    text: str
    subject: Subject = "claims"
    subject_hash: str = ""
    asker_hash: str = ""
    tool: str = ""

    @classmethod
    def because(
        cls,
        reason: Reason,
        *,
        subject: Subject = "claims",
        subject_hash: str = "",
        asker_hash: str = "",
        tool: str = "",
    ) -> "Refusal":
        """Refuse."""
        return cls(
            reason=reason,
            text=_TEXTS[reason],
            subject=subject,
            subject_hash=subject_hash,
            asker_hash=asker_hash,
            tool=tool,
        )


def subject_hash(kind: str, name: str, key: bytes | None = None) -> str:
    """SHA-256 of what was asked about, keyed (HMAC) where there is a key.

    Without a key whoever can guess ids can look them up, so an audit that others read needs one.

    >>> subject_hash("patient", "a") == subject_hash("unit", "a")
    False
    """
    told = f"{kind}/{name}".encode()
    if key is None:
        return hashlib.sha256(told).hexdigest()
    return hmac.new(key, told, hashlib.sha256).hexdigest()


def sign(claims: bytes, key: bytes) -> str:
    """Sign the bytes of claims.

    Raises:
        ValueError: the key is empty: with it anybody could sign.
    """
    if not key:
        raise ValueError("the key of claims is empty: anybody could sign with it; set a secret one")
    return hmac.new(key, claims, hashlib.sha256).hexdigest()


def read_claims(
    headers: Iterable[tuple[str, bytes | None]],
    *,
    key: bytes | None,
    now_s: float,
    audit_key: bytes | None = None,
) -> Claims | Refusal:
    """Read the claims of a question.

    Args:
        headers: of the record.
        key: of the signature; None = the topic's ACLs are trusted alone, see above.
        now_s: wall clock, seconds since 1970.
        audit_key: of the hashes in a refusal; None = plain SHA-256.

    Raises:
        ValueError: the key is empty.
    """
    found: dict[str, list[bytes]] = {CLAIMS_HEADER: [], SIGNATURE_HEADER: []}
    for name, value in headers:
        if name in found:
            found[name].append(value or b"")
    told, signatures = found[CLAIMS_HEADER], found[SIGNATURE_HEADER]
    if not told:
        return Refusal.because("no_claims")
    # of two, one may come from the client and pass for the gateway's
    if len(told) > 1 or len(signatures) > 1 or len(told[0]) > _MOST_BYTES:
        return Refusal.because("malformed")
    if key is not None:
        wanted = sign(told[0], key).encode()
        if not signatures or not hmac.compare_digest(wanted, signatures[0].strip().lower()):
            return Refusal.because("not_signed")
    try:
        claims = Claims.model_validate_json(told[0])
    except ValidationError:
        return Refusal.because("malformed")
    if claims.is_patient and claims.own_id is None:
        return Refusal.because("malformed")
    if claims.exp <= now_s:
        return Refusal.because("expired", asker_hash=subject_hash("asker", claims.sub, audit_key))
    return claims
