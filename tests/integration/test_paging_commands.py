"""Commands of paging against a real broker."""

import asyncio
import json
from typing import Any

import pytest
from click.testing import Result

from config.settings import Settings, settings
from streams.silencing import read_silences
from streams.topics import catalogue
from tests.live import producing
from tests.shell import vigil

pytestmark = pytest.mark.integration


@pytest.fixture
def shell(live: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command as a person does, against the test's broker and topics."""
    for name in ("broker", "home", "topic_prefix"):
        monkeypatch.setenv(f"VIGIL_{name.upper()}", str(getattr(live, name)))
    settings.cache_clear()

    async def run(*arguments: str) -> Result:
        # in a thread: a command has an event loop of its own
        return await asyncio.to_thread(vigil, *arguments)

    return run


async def test_a_silence_is_on_the_topic_until_it_is_ended_whatever_else_is_there(
    live: Settings, shell: Any
) -> None:
    nothing = await shell("silence", "--list")
    assert nothing.exit_code == 1
    assert "create the topics with `vigil topics`" in " ".join(nothing.stderr.split())

    drill = ("--for", "2h", "--reason", "a drill", "--json")
    first = await shell("silence", "--unit", "icu-a", *drill)
    assert first.exit_code == 0, first.output
    made = json.loads(first.stdout)
    second = json.loads((await shell("silence", "--kind", "operations", *drill)).stdout)
    async with producing(live) as producer:
        await producer.send_and_wait(catalogue(live).alerts_silences.name, b"junk", b"s-junk")

    found = await read_silences(live)
    assert {*found.known} == {made["silence_id"], second["silence_id"]}
    assert found.known[made["silence_id"]].unit_id == "icu-a"
    assert len(found.problems) == 1

    assert (await shell("silence", "--end", made["silence_id"])).exit_code == 0
    listed = json.loads((await shell("silence", "--list", "--json")).stdout)
    assert [each["silence_id"] for each in listed["silences"]] == [second["silence_id"]]
    assert (await shell("silence", "--end", made["silence_id"])).exit_code == 1
