"""Pseudonyms: nobody's id, and nobody changes sides."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.cohort import held_out, side_of
from models.pseudonyms import Pseudonyms, is_pseudonym

pytestmark = pytest.mark.unit

ids = st.text(min_size=1, max_size=30) | st.integers(0, 10**6).map(lambda n: f"p{n:06d}")


@given(ids, st.none() | st.binary(min_size=1, max_size=9))
def test_a_patient_stays_on_its_side_by_any_name(patient: str, key: bytes | None) -> None:
    name = Pseudonyms(key).of(patient)
    assert held_out(name) == held_out(patient)
    assert side_of(name) == side_of(patient)
    assert is_pseudonym(name)
    assert len(name) < 40


@given(ids, ids)
def test_two_patients_have_two_names_and_one_has_one(one: str, other: str) -> None:
    names = Pseudonyms()
    assert (names.of(one) == names.of(other)) == (one == other)
    assert Pseudonyms().of(one) == names.of(one)


def test_with_a_key_ids_cannot_be_looked_up() -> None:
    plain = hashlib.sha256(b"mrn-4711").hexdigest()[:32]
    assert plain in Pseudonyms().of("mrn-4711")
    keyed, other = Pseudonyms(b"secret"), Pseudonyms(b"Secret")
    assert plain not in keyed.of("mrn-4711")
    assert keyed.of("mrn-4711") != other.of("mrn-4711")
    assert len({Pseudonyms().check, keyed.check, other.check}) == 3
    assert (Pseudonyms().kind, keyed.kind) == ("sha256", "hmac-sha256")


@pytest.mark.parametrize("name", ["p000001", "mrn-4711", "h3e0f-s", ""])
def test_an_id_is_no_pseudonym(name: str) -> None:
    assert not is_pseudonym(name)
