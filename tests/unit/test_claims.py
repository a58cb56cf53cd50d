"""Who may see whom: claims, signatures, and refusals that tell nothing."""

import json
from typing import Any

import pytest

from rag.tools.claims import (
    CLAIMS_HEADER,
    SIGNATURE_HEADER,
    Claims,
    Refusal,
    read_claims,
    sign,
    subject_hash,
)
from rag.tools.rights import Rights
from tests.unit.made_ward import NOW_S, claims, site

_KEY = b"a secret of the hospital"


def _headers(key: bytes | None = _KEY, **more: Any) -> list[tuple[str, bytes]]:
    told = {"sub": "nurse-day", "role": "nurse", "units": ["ICU-2"], "exp": NOW_S + 60} | more
    value = json.dumps(told).encode()
    headers = [(CLAIMS_HEADER, value)]
    if key is not None:
        headers.append((SIGNATURE_HEADER, sign(value, key).encode()))
    return headers


def _read(headers: list[tuple[str, bytes]], key: bytes | None = _KEY) -> Claims | Refusal:
    return read_claims(headers, key=key, now_s=NOW_S)


def _reason(found: Claims | Refusal) -> str:
    assert isinstance(found, Refusal)
    return found.reason


def test_signed_claims_are_read() -> None:
    found = _read([("other", b"x"), *_headers()])

    assert isinstance(found, Claims)
    assert (found.sub, found.units, found.patients) == ("nurse-day", ("ICU-2",), ())


def test_without_a_key_the_topic_is_trusted_and_signatures_are_not_looked_at() -> None:
    assert isinstance(_read(_headers(key=None), key=None), Claims)
    assert isinstance(_read(_headers(key=b"another"), key=None), Claims)


@pytest.mark.parametrize("signed_with", [None, b"another key"])
def test_claims_that_are_not_signed_with_the_key_are_refused(signed_with: bytes | None) -> None:
    assert _reason(_read(_headers(key=signed_with))) == "not_signed"


def test_claims_that_were_changed_after_signing_are_refused() -> None:
    (name, value), signature = _headers()
    changed = value.replace(b"ICU-2", b"ICU-3")
    assert changed != value

    assert _reason(_read([(name, changed), signature])) == "not_signed"


def test_a_second_claims_header_beside_the_gateways_is_refused() -> None:
    mine = _headers(role="site")[0]

    assert _reason(_read([mine, *_headers()])) == "malformed"
    assert _reason(_read([*_headers(), (SIGNATURE_HEADER, b"0")])) == "malformed"


def test_an_empty_key_would_sign_for_everybody_and_is_an_error() -> None:
    with pytest.raises(ValueError, match="anybody could sign"):
        _read(_headers(), key=b"")


def test_no_claims_are_refused() -> None:
    assert _reason(_read([])) == "no_claims"
    assert _reason(_read([], key=None)) == "no_claims"


@pytest.mark.parametrize("exp", [NOW_S - 1, NOW_S])
def test_expired_claims_are_refused(exp: float) -> None:
    assert _reason(_read(_headers(exp=exp))) == "expired"


@pytest.mark.parametrize(
    "more",
    [
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"sub": ""},
        {"role": 7},
        {"units": "ICU-2"},
        {"units": [1]},
        {"patients": [""]},
        {"role": "patient", "patients": ["a", "b"]},
    ],
)
def test_claims_that_say_something_else_are_refused(more: dict[str, Any]) -> None:
    assert _reason(_read(_headers(**more))) == "malformed"


@pytest.mark.parametrize("value", [b"", b"{", b"[]", b"\xff", b"{" * 20_000])
def test_claims_that_are_not_an_object_are_refused(value: bytes) -> None:
    headers = [(CLAIMS_HEADER, value), (SIGNATURE_HEADER, sign(value, _KEY).encode())]

    assert _reason(_read(headers)) == "malformed"


def test_a_unit_or_a_patient_that_is_listed_may_be_seen() -> None:
    rights = Rights()
    nurse = claims(patients=("elsewhere",))

    assert rights.sees_patient(nurse, "any", "ICU-2")
    assert rights.sees_patient(nurse, "elsewhere", "ICU-9")
    assert rights.sees_unit(nurse, "ICU-2")


def test_nobody_else_may_be_seen() -> None:
    rights = Rights()

    assert not rights.sees_patient(claims(), "any", "ICU-3")
    assert not rights.sees_patient(claims(), "any", "icu-2")
    assert not rights.sees_patient(claims(), "any", None)
    assert not rights.sees_unit(claims(), "ICU-3")


def test_only_roles_of_the_setting_see_everybody() -> None:
    assert Rights().sees_patient(site(), "any", None)
    assert Rights().sees_unit(site(), "any")
    assert not Rights(frozenset()).sees_patient(site(), "any", None)
    assert not Rights().sees_patient(claims(role="administrator", units=()), "any", "ICU-2")
    with pytest.raises(ValueError, match="patient"):
        Rights(frozenset({"patient"}))


@pytest.mark.parametrize("patients", [("p1",), ()])
def test_a_patient_sees_themself_alone(patients: tuple[str, ...]) -> None:
    me = claims(sub="account-7" if patients else "p1", role="patient", patients=patients)

    assert Rights().sees_patient(me, "p1", "ICU-2")
    assert not Rights().sees_patient(me, "p2", "ICU-2")
    assert not Rights().sees_unit(me, "ICU-2")


def test_a_refusal_carries_hashes_and_no_names() -> None:
    refusal = Rights().refuse("no_right", claims(), "current_risk", "patient", "p000123")
    told = refusal.model_dump_json()

    assert "p000123" not in told
    assert "nurse-day" not in told
    assert refusal.subject_hash == subject_hash("patient", "p000123")
    assert (refusal.tool, refusal.subject) == ("current_risk", "patient")


def test_with_a_key_whoever_guesses_an_id_cannot_look_it_up() -> None:
    plain, keyed = subject_hash("patient", "p1"), subject_hash("patient", "p1", b"k")

    assert plain != keyed
    refusal = Rights(audit_key=b"k").refuse("no_right", claims(), "t", "patient", "p1")
    assert refusal.subject_hash == keyed
