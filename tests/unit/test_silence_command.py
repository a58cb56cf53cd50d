"""``vigil silence``: what is put on the topic, and what is refused."""

import json
from datetime import timedelta

import pytest

from config.clock import from_ms, now_ms
from config.settings import Settings
from config.silences import silenced
from streams.alert_events import Silence
from streams.commands import silence as command
from streams.silencing import Silences
from tests.shell import vigil

pytestmark = pytest.mark.unit

DRILL = ("--for", "2h", "--reason", "a drill")


class Topic:
    """The topic of silences, in memory."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes | None]] = []

    async def read(self, settings: Settings) -> Silences:
        found = Silences()
        for offset, (key, value) in enumerate(self.records):
            found.take(key, value, offset)
        return found

    async def publish(self, settings: Settings, silence_id: str, silence: Silence | None) -> None:
        value = None if silence is None else silence.model_dump_json().encode()
        self.records.append((silence_id.encode(), value))


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic()
    monkeypatch.setattr(command, "read_silences", made.read)
    monkeypatch.setattr(command, "publish_silence", made.publish)
    return made


def listed() -> list[str]:
    found = json.loads(vigil("silence", "--list", "--json").stdout)
    return [each["silence_id"] for each in found["silences"]]


def test_a_silence_begins_now_and_keeps_what_it_names_from_paging(topic: Topic) -> None:
    found = vigil("silence", "--unit", "icu-a", "--tier", "warning", *DRILL, "--json")
    assert found.exit_code == 0, found.output
    made = Silence.model_validate_json(found.stdout)
    now = from_ms(now_ms())
    assert made.ends_at - made.starts_at == timedelta(hours=2)
    assert silenced([made], "patient", "icu-a", "warning", now) == made.silence_id
    assert silenced([made], "patient", "icu-b", "warning", now) is None
    assert "@" in made.by
    assert listed() == [made.silence_id]


def test_a_silence_tells_how_to_end_it_and_ends(topic: Topic) -> None:
    shown = vigil("silence", "--kind", "operations", *DRILL, "--who", "ann").stdout
    (name,) = listed()
    assert "operations everywhere, all but urgent" in shown
    assert f"vigil silence --end {name}" in shown
    assert vigil("silence", "--end", name).exit_code == 0
    assert listed() == []
    assert topic.records[-1] == (name.encode(), None)
    assert "No silences" in vigil("silence", "--list").stdout


def test_ending_what_is_not_there_says_where_to_look(topic: Topic) -> None:
    found = vigil("silence", "--end", "s-0")
    assert found.exit_code == 1
    assert "vigil silence --list" in found.stderr
    assert topic.records == []


def test_a_list_shows_what_is_not_over_and_what_could_not_be_understood(topic: Topic) -> None:
    vigil("silence", "--for", "1m", "--reason", "[bold] why", "--who", "ann")
    made = Silence.model_validate_json(topic.records[0][1] or b"")
    old = made.model_copy(update={"silence_id": "s-old", "ends_at": made.starts_at})
    topic.records += [
        (b"s-old", old.model_dump_json().encode()),
        (b"s-bad", b'{"silence_id": "s-bad"}'),
        (b"s-else", old.model_dump_json().encode()),
    ]
    assert listed() == [made.silence_id]
    shown = vigil("silence", "--list")
    assert shown.exit_code == 0
    for words in ("[bold]", "s-bad, offset 2: starts_at", "s-else, offset 3: its key"):
        assert words in shown.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "give --for and --reason, or --list, or --end"),
        (("--unit", "a"), "needs --for and --reason"),
        (("--for", "2h"), "needs --for and --reason"),
        (("--for", "2h", "--reason", " "), "needs --for and --reason"),
        ((*DRILL, "--list"), "or --list"),
        (("--list", "--end", "s-1"), "or --list"),
        (("--for", "2 hours", "--reason", "x"), "write 30m, 2h or 1d"),
        (("--for", "0h", "--reason", "x"), "write 30m, 2h or 1d"),
        (("--for", "31d", "--reason", "x"), "up to 30d"),
        ((*DRILL, "--tier", "red"), "urgent"),
        ((*DRILL, "--tier", "urgent"), "for one unit at a time"),
        ((*DRILL, "--tier", "urgent", "--kind", "patient"), "for one unit at a time"),
    ],
)
def test_a_wrong_command_line_silences_nothing_and_says_what_would_be_right(
    topic: Topic, given: tuple[str, ...], said: str
) -> None:
    found = vigil("silence", *given)
    assert found.exit_code == 2
    assert said in " ".join(found.stderr.split())
    assert topic.records == []


@pytest.mark.parametrize("given", [("--unit", "icu-a"), ("--kind", "operations")])
def test_urgent_alerts_are_silenced_where_it_is_said_so(
    topic: Topic, given: tuple[str, ...]
) -> None:
    assert vigil("silence", "--tier", "urgent", *given, *DRILL).exit_code == 0
