"""Logs: one JSON object a line where no terminal reads them."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.logging import RichHandler

from config.logs import Calm, configure

pytestmark = pytest.mark.unit

log = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    names = ("", "aiokafka", "aiokafka.consumer.fetcher", "faust", "mode", "kafka")
    levels = {name: logging.getLogger(name).level for name in names}
    handlers = logging.getLogger().handlers[:]
    yield
    logging.getLogger().handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(said: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.readouterr().err.splitlines()]


def test_a_line_is_a_json_object_with_time_level_logger_and_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure()
    log.warning("%d batches of %s", 3, "vitals")
    (line,) = lines(capsys)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {"level": "warning", "logger": "tests.logs", "message": "3 batches of vitals"}


def test_what_is_given_as_extra_stands_beside_the_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure()
    log.info("committed", extra={"topic": "vitals", "offset": 7, "home": Path("/srv")})
    (line,) = lines(capsys)
    assert (line["topic"], line["offset"], line["home"]) == ("vitals", 7, "/srv")


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    try:
        raise ValueError("no such partition")
    except ValueError:
        log.exception("could not commit")
    (line,) = lines(capsys)
    assert line["message"] == "could not commit"
    assert "ValueError: no such partition" in line["exception"]
    assert "Traceback" in line["exception"]


@pytest.mark.parametrize("text", ['quotes " and \\', "two\nlines", "Łukasz 🫀", "\x1b[31mred"])
def test_no_text_breaks_a_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    configure()
    log.info(text)
    (line,) = lines(capsys)
    assert line["message"] == text


@pytest.mark.parametrize(
    ("level", "said"),
    [(logging.INFO, ["info", "warning"]), ("WARNING", ["warning"]),
     (logging.DEBUG, ["debug", "info", "warning"])],
)  # fmt: skip
def test_only_what_the_level_lets_through_is_written(
    capsys: pytest.CaptureFixture[str], level: int | str, said: list[str]
) -> None:
    configure(level)
    log.debug("x")
    log.info("x")
    log.warning("x")
    assert [line["level"] for line in lines(capsys)] == said


@pytest.mark.parametrize("level", [logging.DEBUG, "INFO", logging.WARNING])
def test_the_engine_and_the_client_speak_up_from_warnings_on(
    capsys: pytest.CaptureFixture[str], level: int | str
) -> None:
    configure(level)
    for name in ("aiokafka.consumer", "faust", "mode.worker", "kafka"):
        logging.getLogger(name).info("joined")
        logging.getLogger(name).warning("lost")
    assert [line["message"] for line in lines(capsys)] == ["lost"] * 4


@pytest.mark.parametrize(
    ("level", "said"), [("DEBUG", ["gone"]), ("INFO", ["gone"]), ("WARNING", [])]
)
def test_it_is_told_that_records_are_gone_before_they_were_read(
    capsys: pytest.CaptureFixture[str], level: str, said: list[str]
) -> None:
    configure(level)
    fetcher = logging.getLogger("aiokafka.consumer.fetcher")
    fetcher.debug("a step")
    fetcher.info("gone")  # "Fetch offset 0 is out of range for partition …"
    assert [line["message"] for line in lines(capsys)] == said


def test_a_level_above_warning_holds_for_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure("ERROR")
    logging.getLogger("aiokafka").warning("lost")
    assert lines(capsys) == []


def test_on_a_terminal_lines_are_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    configure()
    assert any(isinstance(handler, RichHandler) for handler in logging.getLogger().handlers)
    log.warning("lost a broker")
    assert "lost a broker" in terminal.getvalue()
    assert "{" not in terminal.getvalue()


def test_configuring_again_does_not_write_twice(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    configure()
    log.info("once")
    assert len(lines(capsys)) == 1


class Storm:
    """A client that says the same again and again, and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calm = Calm(5, ("aiokafka",), clock=lambda: self.now)

    def say(self, name: str = "aiokafka.consumer", line: int = 1, level: str = "ERROR") -> Any:
        """Return the message as it comes out; None: it was suppressed."""
        number = logging.getLevelNamesMapping()[level]
        record = logging.LogRecord(name, number, "client.py", line, "no node %d", (7,), None)
        return record if self.calm.filter(record) else None


def test_a_storm_of_one_message_is_let_through_once_in_a_while_with_a_count() -> None:
    storm = Storm()
    passed = []
    for millisecond in range(12_000):
        storm.now = millisecond / 1000
        passed.append(storm.say())
    let_through = [record for record in passed if record is not None]
    assert [record.getMessage() for record in let_through] == [
        "no node 7", "no node 7 (and 4999 more)", "no node 7 (and 4999 more)",
    ]  # fmt: skip
    assert let_through[1].suppressed == 4999


def test_a_message_from_another_line_or_of_another_level_is_another_one() -> None:
    storm = Storm()
    assert storm.say(line=1)
    assert not storm.say(line=1)
    assert storm.say(line=2)
    assert storm.say(line=1, level="WARNING")


def test_what_was_quiet_for_long_enough_is_said_as_it_is() -> None:
    storm = Storm()
    storm.say()
    storm.now = 5.0
    assert storm.say().getMessage() == "no node 7"


def test_our_own_messages_are_never_suppressed() -> None:
    storm = Storm()
    assert all(storm.say("agents.vitals") for _ in range(3))


def test_a_worker_has_the_storm_calmed(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    for _ in range(100):
        logging.getLogger("aiokafka.consumer.fetcher").error("no leader")
        log.error("ours")
    said = [line["message"] for line in lines(capsys)]
    assert said.count("no leader") == 1
    assert said.count("ours") == 100
