"""The audits' chains: what they show, and what they do not."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.audit import Break, Chain, Head, check, head
from streams.chat_events import ChatAuditEntry
from tests.shell import vigil

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


# -- the end


def _entries(count: int) -> list[tuple[int, bytes | None]]:
    last, chain = ChatAuditEntry.model_validate_json(OLDER), Chain()
    return [(offset, chain.bind(last)) for offset in range(count)]


def _head(entries: list[tuple[int, bytes | None]]) -> Head:
    found = head(entries, ChatAuditEntry, 3)
    assert found is not None
    return found


def test_an_end_that_was_cut_off_shows_to_whoever_has_kept_an_earlier_head() -> None:
    kept = _head(_entries(5))
    assert (kept.partition, kept.number) == (3, 4)
    cut = _entries(3)
    assert check(cut, ChatAuditEntry) == (3, []), "the chain alone does not show it"
    (gone,) = check(cut, ChatAuditEntry, [kept])[1]
    assert gone.offset is None
    assert "entry 4, which an earlier check has found, is not there" in gone.what


def test_an_end_that_was_cut_off_shows_although_the_chain_has_gone_on_since() -> None:
    kept = _head(_entries(5))
    going_on = Chain(ChatAuditEntry.model_validate_json(_entries(3)[-1][1] or b""))
    other = ChatAuditEntry.model_validate_json(OLDER).model_copy(update={"question_id": "other"})
    entries = [*_entries(3), *((n, going_on.bind(other)) for n in range(3, 9))]
    assert check(entries, ChatAuditEntry) == (9, [])
    assert len(check(entries, ChatAuditEntry, [kept])[1]) == 1


def test_a_topic_that_was_made_anew_shows() -> None:
    assert len(check([], ChatAuditEntry, [_head(_entries(1))])[1]) == 1


def test_a_chain_that_has_gone_on_holds_with_every_earlier_head() -> None:
    heads = [_head(_entries(count)) for count in (1, 4, 9)]
    assert check(_entries(9), ChatAuditEntry, heads) == (9, [])


def test_an_empty_partition_has_no_head_and_what_is_no_entry_is_none() -> None:
    assert head([], ChatAuditEntry, 3) is None
    assert _head([*_entries(2), (2, b"else"), (3, None)]) == _head(_entries(2))


# -- the command


def _topic(monkeypatch: pytest.MonkeyPatch, entries: list[tuple[int, bytes | None]]) -> None:
    async def read(_: Any, topic: str, told: Any, partition: int) -> list[Any]:
        found = entries if partition == 3 else []
        return [SimpleNamespace(offset=offset, value=value) for offset, value in found]

    monkeypatch.setattr("streams.commands.audit.read_whole", read)


def test_the_command_takes_what_it_has_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _topic(monkeypatch, _entries(5))
    before = vigil("audit", "verify", "--of", "answers", "--json")
    assert before.exit_code == 0
    (tmp_path / "before.json").write_text(before.stdout)
    again = ("audit", "verify", "--of", "answers", "--expect", str(tmp_path / "before.json"))
    _topic(monkeypatch, _entries(7))
    assert vigil(*again).exit_code == 0

    _topic(monkeypatch, _entries(3))
    ended = vigil(*again)
    assert ended.exit_code == 1
    assert "partition 3: entry 4" in ended.stdout
    assert "whole" not in ended.stdout
    monkeypatch.setenv("VIGIL_PARTITIONS", "2")
    assert vigil(*again).exit_code == 1, "its partition is gone"


def test_what_no_check_has_written_or_one_of_another_record_is_said(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text("{}")
    ended = vigil("audit", "verify", "--expect", str(tmp_path / "odd.json"))
    assert ended.exit_code == 2
    assert "vigil audit verify --json" in " ".join(ended.stderr.split())
    (tmp_path / "other.json").write_text('{"of": "answers", "heads": []}')
    ended = vigil("audit", "verify", "--expect", str(tmp_path / "other.json"))
    assert ended.exit_code == 2
    assert "add --of answers" in " ".join(ended.stderr.split())
