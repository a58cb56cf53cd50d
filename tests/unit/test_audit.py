"""The audits' chains: what they show, and what they do not."""

import pytest

from streams.audit import Break, Chain, check
from streams.chat_events import ChatAuditEntry

pytestmark = pytest.mark.unit

#: As a release wrote it that did not tell whom a refusal was about.
OLDER = (
    b'{"number":0,"previous":"000000000000000000000000000000000000000000000000000000000000'
    b'0000","hash":"6c49fc7282f0fe33fe4cfc3b440d5f01376c6afb5b05f65fd5f958bd35495607","que'
    b'stion_id":"q-000041","answer_id":"5b1f0c9b7a3e4826b1c4f7d2e8a96053","outcome":"answe'
    b'red","at":"2026-01-31T12:00:00.021000Z","asked_by":null,"patient":null,"rules":[],"t'
    b'ools":[],"documents":["vigil/sepsis-early-signs-adults"],"question":"8dfe749bd66c181'
    b'70926162e62241d6b5ce7b684c1a1d420ddbf4841853c0369","content":"421e23d294b72a49c19eda'
    b'f97c32b70057ac10a0e4b76bf2948c309b20536759"}'
)


def test_an_entry_of_an_older_release_holds_and_the_chain_goes_on() -> None:
    last = ChatAuditEntry.model_validate_json(OLDER)
    newer = Chain(last).bind(last.model_copy(update={"about": "0" * 64}))
    assert check(enumerate([OLDER, newer]), ChatAuditEntry) == (2, [])


def test_whom_a_refusal_was_about_cannot_be_taken_off() -> None:
    last = ChatAuditEntry.model_validate_json(OLDER)
    bound = Chain().bind(last.model_copy(update={"about": "0" * 64}))
    without = bound.replace(b',"about":"' + b"0" * 64 + b'"', b"")
    assert without != bound
    assert check([(0, without)], ChatAuditEntry) == (1, [Break(0, "entry 0 was changed")])
