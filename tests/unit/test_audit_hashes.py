"""Hashes in audits: with a key nobody finds an id by trying ids; without one it is said."""

import logging

import pytest

from config.settings import Settings
from rag.tools.claims import subject_hash
from streams.audit_hashes import Hashes, audit_key, sha256_of


def test_with_a_key_a_hash_is_found_by_whoever_has_the_key_and_by_nobody_else() -> None:
    found = Hashes(b"k").of("patient", "p-77")
    assert found == subject_hash("patient", "p-77", b"k") == Hashes(b"k").of("patient", "p-77")
    tried = [sha256_of(told) for told in (b"p-77", b"patient/p-77")]
    assert found not in [*tried, Hashes(b"other").of("patient", "p-77")]


def test_with_a_key_words_and_ids_that_were_made_of_others_are_keyed_too() -> None:
    keyed = Hashes(b"k")
    assert keyed.of_bytes(b"What is the risk of p-77?") != sha256_of(b"What is the risk of p-77?")
    assert keyed.of_id("211c81ed90f515159cadeeddebe116a9") != "211c81ed90f515159cadeeddebe116a9"


def test_without_a_key_hashes_are_as_they_were() -> None:
    plain = Hashes()
    assert plain.of("patient", "p-77") == sha256_of(b"p-77")
    assert plain.of_bytes(b"text") == sha256_of(b"text")
    assert plain.of_id("a") == "a"


def test_a_worker_without_a_key_says_so_and_how_to_have_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert audit_key(Settings(), warn=True) is None
    assert "VIGIL_AUDIT_KEY" in caplog.text


def test_the_key_is_never_shown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGIL_AUDIT_KEY", "very-secret")
    chosen = Settings()
    with caplog.at_level(logging.DEBUG):
        assert audit_key(chosen, warn=True) == b"very-secret"
    assert "very-secret" not in caplog.text + repr(chosen) + str(chosen.model_dump())
