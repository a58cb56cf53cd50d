"""The local outbox: on the disk before it says so, and readable after a crash."""

import asyncio
import io
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from config.clock import from_ms, now_ms
from config.settings import Settings
from streams.delivery.choose import providers
from streams.delivery.local import LocalOutbox
from streams.delivery.message import Accepted, Busy, Message

PAGE = Message(
    page_id="p1",
    channel="sms",
    to="+14155550123",
    references=("C7Q2XM",),
    subject="Urgent on W3",
    body="W3: urgent [bold]C7Q2XM[/bold] https://vigil.example/a/C7Q2XM",
    message_id="<p1@vigil>",
    possible_repeat=False,
)


async def accepted(outbox: LocalOutbox, message: Message = PAGE) -> str:
    outcome = await outbox.send(message)
    assert isinstance(outcome, Accepted)
    return outcome.provider_id


async def test_a_message_is_one_line_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "new" / "outbox.jsonl"
    provider_id = await accepted(LocalOutbox(path))
    (row,) = map(json.loads, path.read_text().splitlines())
    assert row["provider_id"] == provider_id
    assert (row["page_id"], row["to"], row["references"]) == ("p1", PAGE.to, ["C7Q2XM"])
    assert path.stat().st_mode & 0o077 == 0


async def test_a_message_is_on_the_disk_before_it_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    await accepted(LocalOutbox(tmp_path / "outbox.jsonl"))
    assert len(synced) == 1


async def test_many_at_once_are_as_many_lines(tmp_path: Path) -> None:
    outbox = LocalOutbox(tmp_path / "outbox.jsonl")
    ids = await asyncio.gather(
        *(accepted(outbox, replace(PAGE, page_id=str(i))) for i in range(50))
    )
    rows = [json.loads(line) for line in (tmp_path / "outbox.jsonl").read_text().splitlines()]
    assert sorted(row["provider_id"] for row in rows) == sorted(ids)


async def test_a_line_torn_by_a_crash_harms_no_other(tmp_path: Path) -> None:
    path = tmp_path / "outbox.jsonl"
    outbox = LocalOutbox(path)
    first = await accepted(outbox, replace(PAGE, references=("FGH234",)))
    with path.open("a") as file:
        file.write('{"provider_id": "torn')
    second = await accepted(outbox)
    since = from_ms(now_ms()) - timedelta(minutes=1)
    assert await outbox.find(PAGE, since) == second
    assert await outbox.find(replace(PAGE, references=("FGH234",)), since) == first


async def test_find_goes_by_number_reference_and_time(tmp_path: Path) -> None:
    outbox = LocalOutbox(tmp_path / "outbox.jsonl")
    before = from_ms(now_ms())
    assert await outbox.find(PAGE, before) is None
    provider_id = await accepted(outbox)
    assert await outbox.find(PAGE, before) == provider_id
    assert await outbox.find(replace(PAGE, references=("FGH234", "C7Q2XM")), before) == provider_id
    assert await outbox.find(replace(PAGE, references=("FGH234",)), before) is None
    assert await outbox.find(replace(PAGE, to="+14155550124"), before) is None
    assert await outbox.find(PAGE, before + timedelta(hours=1)) is None


async def test_an_outbox_that_cannot_be_opened_has_taken_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    outcome = await LocalOutbox(tmp_path / "file" / "outbox.jsonl").send(PAGE)
    assert isinstance(outcome, Busy)


@pytest.mark.parametrize("no_color", [True, False])
async def test_the_terminal_shows_the_text_as_it_is(
    tmp_path: Path, no_color: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=40)
    await accepted(LocalOutbox(tmp_path / "outbox.jsonl", console))
    assert PAGE.body in shown.getvalue()
    assert "sms to +14155550123" in shown.getvalue()
    assert "\x1b[3" not in shown.getvalue()  # bold at most, no colour


def test_without_an_account_and_a_server_everything_goes_to_the_local_outbox(
    tmp_path: Path,
) -> None:
    chosen = providers(Settings(home=tmp_path))
    assert {name: provider.channel for name, provider in chosen.items()} == {
        "sms": "local",
        "email": "local",
        "local": "local",
    }


def test_what_is_set_up_is_used(tmp_path: Path) -> None:
    chosen = providers(
        Settings(
            home=tmp_path,
            twilio_account_sid="AC1",
            twilio_auth_token="t0ken",
            twilio_from="+15005550006",
            smtp_host="mail.example",
            smtp_from="vigil@hospital.example",
        )
    )
    assert {name: provider.name for name, provider in chosen.items()} == {
        "sms": "twilio",
        "email": "smtp",
        "local": "local",
    }
