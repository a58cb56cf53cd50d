"""Data sets of transcripts: whole or not there, no question twice, nobody's name in them."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.transcript_events import Answered, Asked, Malformed, joined, parse
from rag.transcripts import Made, TranscriptError, make_set, transcripts_in

pytestmark = pytest.mark.unit


def redact(text: str) -> str:
    return text.replace("Jane Doe", "[name]")


def asked(number: int, text: str = "What is sepsis?", **more: Any) -> dict[str, Any]:
    return {"question_id": f"q{number}", "session_id": "s", "text": text, "asked_at": ""} | more


def answered(number: int, outcome: str = "answered", **more: Any) -> dict[str, Any]:
    return {"question_id": f"q{number}", "outcome": outcome, "text": "It is. [1]"} | more


QUOTE = {"document_id": "1/x", "start": 0, "end": 6, "text": "It is."}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


class Place:
    """Folders of a test."""

    def __init__(self, root: Path) -> None:
        self.inbox, self.out, self.archive = root / "inbox", root / "sets", root / "archive"
        self.inbox.mkdir()

    def write(self, name: str, *events: Any) -> Path:
        path = self.inbox / name
        lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def make(self) -> Made:
        return make_set(transcripts_in(self.inbox), self.out, self.archive, redact)

    def rows(self, made: Made) -> list[dict[str, Any]]:
        assert made.folder is not None
        return rows_of(made.folder)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_question_and_its_answer_are_a_row(place: Place) -> None:
    rule = {"rule": "emergency/chest-pain", "version": "1", "start": 0, "end": 4}
    aside = rule | {"rule": "emergency/stroke"}
    found = {"quotes": [QUOTE], "rules": [rule], "set_aside": [aside], "tools": ["news2"]}
    place.write("a.jsonl", answered(1, **found), asked(1))
    (row,) = place.rows(place.make())
    assert (row["question"], row["response"]) == ("What is sepsis?", "It is. [1]")
    assert row["sources"][0]["document_id"] == "1/x"
    assert row["flags"] == [
        "rule:emergency/chest-pain", "set aside:emergency/stroke", "tool:news2"
    ]  # fmt: skip


def test_the_manifest_says_what_was_made_of_what(place: Place) -> None:
    place.write("a.jsonl", asked(1), answered(1), asked(2), answered(2, "abstained"), "{broken")
    made = place.make()
    assert made.manifest is not None
    assert made.manifest["rows"] == 2
    assert made.manifest["outcomes"] == {"abstained": 1, "answered": 1}
    assert made.counts == {"events": 4, "malformed": 1}
    assert list(made.manifest["files"]) == ["a.jsonl"]


def test_the_same_transcripts_give_the_same_set(tmp_path: Path) -> None:
    names = []
    for each in "ab":
        (tmp_path / each).mkdir()
        place = Place(tmp_path / each)
        events = [asked(1), answered(1), asked(2), answered(2)]
        place.write("a.jsonl", *(events if each == "a" else reversed(events)))
        made = place.make()
        assert made.manifest is not None
        names.append((made.manifest["name"], place.rows(made)))
    assert names[0] == names[1]


@pytest.mark.parametrize(
    "line",
    [
        "{broken",
        "[]",
        "null",
        '"text"',
        "{}",
        '{"question_id": "q", "text": ""}',
        '{"question_id": "q", "text": "  "}',
        '{"question_id": "", "text": "x"}',
        '{"question_id": 1, "text": "x"}',
        '{"question_id": "q", "text": "x", "outcome": "guessed"}',
        '{"question_id": "q", "text": "x", "outcome": "answered", "quotes": [{"start": 0}]}',
        '{"question_id": "q", "text": "x", "outcome": "answered", "confidence": "high"}',
        "[" * 10_000,
        "\x00",
    ],
)
def test_what_is_no_event_is_dropped_and_counted(place: Place, line: str) -> None:
    place.write("a.jsonl", line, asked(1), answered(1), "")
    made = place.make()
    assert made.counts["malformed"] == 1
    assert len(place.rows(made)) == 1


def test_bytes_that_are_no_text_are_dropped_too(place: Place) -> None:
    (place.inbox / "a.jsonl").write_bytes(b'{"question_id": "q", "text": "\xff\xfe"}\n')
    assert place.make().counts == {"malformed": 1}


@given(st.binary(max_size=200))
def test_no_line_makes_it_fail_in_another_way(line: bytes) -> None:
    with contextlib.suppress(Malformed):
        assert isinstance(parse(line, redact), Asked | Answered)


def test_nobodys_name_is_written_anywhere_but_in_the_archive(place: Place) -> None:
    place.write("a.jsonl", asked(1, "I am Jane Doe"), answered(1, text="Dear Jane Doe"))
    place.write("b.jsonl", asked(2, "Jane Doe again"))
    made = place.make()
    written = "".join(p.read_text() for p in place.out.rglob("*") if p.is_file())
    assert "Jane Doe" not in written
    assert "[name] again" in written
    assert place.rows(made)[0]["flags"] == ["redacted"]


def test_a_session_is_told_apart_and_not_told(place: Place) -> None:
    place.write(
        "a.jsonl",
        *(asked(n, session_id=s) for n, s in enumerate(["s-jane", "s-jane", "s-joe", ""])),
        *(answered(n) for n in range(4)),
    )
    one, same, other, none = (row["session"] for row in place.rows(place.make()))
    assert one == same != other
    assert "jane" not in one
    assert none == ""


def test_an_answer_in_a_later_transcript_finds_its_question(place: Place) -> None:
    place.write("a.jsonl", asked(1, "Am I Jane Doe?"))
    first = place.make()
    assert (first.folder, first.counts) == (None, {"events": 1, "waiting": 1})
    place.write("b.jsonl", answered(1))
    second = place.make()
    (row,) = place.rows(second)
    assert (row["question"], row["flags"]) == ("Am I [name]?", ["redacted"])
    assert (place.out / "waiting.jsonl").read_text() == ""


def test_a_set_holds_what_is_new_only(place: Place) -> None:
    place.write("a.jsonl", asked(1), answered(1))
    first = place.make()
    place.write("b.jsonl", asked(1), answered(1), asked(2), answered(2))
    second = place.make()
    assert [row["question_id"] for row in place.rows(second)] == ["q2"]
    assert second.counts["seen before"] == 2
    assert first.folder != second.folder


def test_of_two_answers_the_first_counts(place: Place) -> None:
    place.write("a.jsonl", asked(1), answered(1), answered(1, text="Another."), asked(1))
    made = place.make()
    assert place.rows(made)[0]["response"] == "It is. [1]"
    assert made.counts["repeated"] == 2


def test_read_files_are_in_the_archive_as_they_were(place: Place) -> None:
    text = place.write("a.jsonl", asked(1), answered(1)).read_text()
    place.make()
    assert (place.archive / "a.jsonl").read_text() == text
    assert list(place.inbox.iterdir()) == []


def test_without_transcripts_there_is_an_error_that_says_what_they_are(place: Place) -> None:
    with pytest.raises(TranscriptError, match=r"\*\.jsonl"):
        place.make()


def test_a_transcript_of_an_archived_name_is_refused_before_anything_is_done(place: Place) -> None:
    place.write("a.jsonl", asked(1), answered(1))
    place.make()
    place.write("a.jsonl", asked(2), answered(2))
    with pytest.raises(TranscriptError, match="archived already"):
        place.make()
    assert len(list(place.out.glob("chats-*"))) == 1


@pytest.mark.parametrize("step", ["rename", "replace", "move"])
def test_cut_short_anywhere_and_done_again_every_question_is_in_one_set(
    place: Place, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    place.write("0.jsonl", asked(0))
    place.make()
    place.write("a.jsonl", asked(1), answered(1), answered(0), asked(2))
    place.write("b.jsonl", asked(3), answered(3), answered(4))

    def killed(*given: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if step == "move":
            patched.setattr("rag.transcripts.shutil.move", killed)
        else:
            patched.setattr(Path, step, killed)
        with pytest.raises(KeyboardInterrupt):
            place.make()
    place.make()
    place.write("c.jsonl", answered(2), asked(4))
    place.make()
    rows = [row["question_id"] for f in place.out.glob("chats-*") for row in rows_of(f)]
    assert sorted(rows) == ["q0", "q1", "q2", "q3", "q4"]
    assert list(place.inbox.iterdir()) == []
    assert not [path for path in place.out.iterdir() if path.name.startswith(".")]


def test_a_set_that_was_changed_is_told(place: Place) -> None:
    place.write("a.jsonl", asked(1), answered(1))
    made = place.make()
    assert made.folder is not None
    rows = made.folder / "rows.jsonl"
    rows.chmod(0o644)
    rows.write_text(rows.read_text().replace("sepsis", "gout"))
    place.write("b.jsonl", asked(2), answered(2))
    with pytest.raises(TranscriptError, match="was changed"):
        place.make()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=20))
def test_no_event_is_lost_in_the_join(drawn: list[tuple[bool, int]]) -> None:
    events = [
        Asked(question_id=f"q{n}", text="x")
        if question
        else Answered(question_id=f"q{n}", outcome="answered", text="y")
        for question, n in drawn
    ]
    found = joined(events, {"q0"})
    lost = found.counts["seen before"] + found.counts["repeated"]
    assert 2 * len(found.rows) + len(found.waiting) + lost == len(events)
    assert all(row.question_id != "q0" for row in found.rows)
