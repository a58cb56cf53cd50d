"""The demo's account of readings: nothing is counted twice, nothing is forgotten."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from config.clock import iso
from config.policy import load_policy
from config.settings import Settings
from models.registry import SHIPPED, load_model
from models.stay import Stay
from streams.alert_report import recommendations, run
from streams.commands.demo import HOURS, INTERVAL_S, SEPTIC, SPEED_SIMULATED, _pager, demo
from streams.commands.replay import patients_of
from streams.deadletters import encode
from streams.demo import Demo, Tally, Worker, WorkerError, scratch_folder
from streams.replay import Replay
from tests.helpers import Record
from tests.shell import vigil

pytestmark = pytest.mark.unit

AT_MS = 1_767_225_600_000


def answer(patient: str, at_ms: int, name: str, produced_ms: int = AT_MS) -> bytes:
    return json.dumps(
        {
            "recommendation_id": name,
            "patient_id": patient,
            "observed_at": iso(at_ms),
            "processing": {"produced_at": iso(produced_ms)},
        }
    ).encode()


def reading(patient: str, at_ms: int) -> bytes:
    return json.dumps({"patient_id": patient, "observed_at": iso(at_ms)}).encode()


def dead_letter(value: bytes | None, offset: int = 0) -> bytes:
    return encode(Record(value, offset=offset), "x")


def test_a_reading_is_missing_until_it_has_an_answer_of_any_kind() -> None:
    tally = Tally(["p1", "p2"])
    tally.sent([("p1", AT_MS), ("p1", AT_MS + 1), ("p2", AT_MS)])
    assert tally.missing == 3

    tally.recommendation(answer("p1", AT_MS, "a"), AT_MS)
    tally.dead_letter(dead_letter(reading("p2", AT_MS)))
    assert list(tally.unanswered()) == [("p1", AT_MS + 1)]

    tally.late_reading(reading("p1", AT_MS + 1))
    assert (tally.missing, list(tally.unanswered())) == (0, [])
    assert (tally.recommendations, tally.dead_letters, tally.late, tally.answers) == (1, 1, 1, 3)


def test_an_answer_may_come_before_the_reading_is_entered() -> None:
    tally = Tally(["p1"])
    tally.recommendation(answer("p1", AT_MS, "a"), AT_MS)
    tally.sent([("p1", AT_MS)])
    assert tally.missing == 0


def test_two_readings_of_the_same_time_need_two_answers() -> None:
    tally = Tally(["p1"])
    tally.sent([("p1", AT_MS), ("p1", AT_MS)])
    tally.recommendation(answer("p1", AT_MS, "a"), AT_MS)
    assert tally.missing == 1
    tally.recommendation(answer("p1", AT_MS, "b"), AT_MS)
    assert tally.missing == 0


def test_a_repeated_answer_is_counted_once_and_hides_no_missing_reading() -> None:
    tally = Tally(["p1"])
    tally.sent([("p1", AT_MS), ("p1", AT_MS)])
    for _ in range(3):
        tally.recommendation(answer("p1", AT_MS, "a"), AT_MS)
    assert (tally.recommendations, tally.repeats, tally.missing) == (1, 2, 1)

    tally = Tally(["p1"])
    tally.sent([("p1", AT_MS), ("p1", AT_MS)])
    for _ in range(3):
        tally.dead_letter(dead_letter(reading("p1", AT_MS), offset=7))
    assert (tally.dead_letters, tally.missing) == (1, 1)


def test_what_others_write_to_the_topics_is_not_counted() -> None:
    tally = Tally(["p1"])
    tally.recommendation(answer("p2", AT_MS, "a"), AT_MS)
    tally.late_reading(reading("p2", AT_MS))
    for odd in (b"", b"null", b"{}", b"\xff", b"[1]"):
        tally.recommendation(odd, AT_MS)
        tally.late_reading(odd)
        tally.dead_letter(odd)
        tally.dead_letter(dead_letter(odd))
    tally.dead_letter(dead_letter(None))
    tally.dead_letter(dead_letter(reading("p2", AT_MS)))
    assert tally.answers == 0


def test_latency_is_from_the_kafka_time_of_the_reading_until_it_was_received() -> None:
    tally = Tally(["p1"])
    tally.recommendation(answer("p1", AT_MS, "a", produced_ms=AT_MS + 100), AT_MS + 142)
    assert tally.latencies_ms.tolist() == [42]


def a_demo() -> Demo:
    stay = Stay("p1", np.array([0, 3600]), np.full((2, 8), np.nan))
    return Demo(Settings(), Replay(Settings(), [stay], suffix="-x"))


def test_a_demo_in_which_nothing_was_received_has_no_latency() -> None:
    result = a_demo().result()
    assert (result["latency_p50_ms"], result["latency_p99_ms"]) == (None, None)
    assert (result["patients"], result["complete"]) == (1, False)


def test_a_complaint_names_times_and_hashes_but_no_patient() -> None:
    demo_ = a_demo()
    demo_.tally.sent([("p1-x", AT_MS + i * 1000) for i in range(12)])
    complaint = demo_.complaint()
    assert complaint.startswith("12 of ")
    assert hashlib.sha256(b"p1-x").hexdigest()[:12] in complaint
    assert iso(AT_MS + 9000) in complaint
    assert iso(AT_MS + 10_000) not in complaint
    assert complaint.endswith("… and 2 more")
    assert "p1" not in complaint


def test_a_worker_that_is_gone_is_quoted_in_a_readable_way(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    trace = "Traceback:\n  File x\nValueError: no model"
    log.write_text(
        json.dumps({"level": "error", "message": "it crashed", "exception": trace}) + "\nplain\n"
    )
    words = Worker(Settings(), {}, log).last_words("has ended")
    assert words.splitlines()[1:] == ["  error: it crashed ValueError: no model", "  plain"]


def test_a_scratch_folder_is_gone_afterwards_also_after_an_error() -> None:
    kept: list[Path] = []

    def use() -> None:
        with scratch_folder() as folder:
            (folder / "state").write_text("x")
            kept.append(folder)
            raise WorkerError("x", folder / "log")

    with pytest.raises(WorkerError):
        use()
    assert not kept[0].exists()


def test_speed_and_rate_exclude_each_other() -> None:
    assert CliRunner().invoke(demo, ["--speed", "2", "--rate", "2"]).exit_code == 2


def test_the_simulated_patients_lead_to_a_page_in_the_first_minute() -> None:
    stays = patients_of(None, 5, interval_s=INTERVAL_S, hours=HOURS, septic_share=SEPTIC)
    made = recommendations(stays, load_model(SHIPPED["context"]))
    paged = run(made, stays, load_policy()).paged
    assert paged
    minute_h = 60 * SPEED_SIMULATED / 3600
    first = min(alert.raised_at for alert in paged)
    assert (first - datetime(2026, 1, 1, tzinfo=UTC)).total_seconds() / 3600 < minute_h


def test_a_policy_that_is_wrong_is_said_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("version: 1\n")
    monkeypatch.setenv("VIGIL_POLICY", str(wrong))
    ended = vigil("demo", "--headless")
    assert ended.exit_code == 1
    assert "wrong.yaml, line" in "".join(ended.stderr.splitlines())


def test_the_pager_of_a_demo_knows_no_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TWILIO_ACCOUNT_SID", "SMTP_HOST", "PUBLIC_URL", "LOCAL_OUTBOX"):
        monkeypatch.setenv(f"VIGIL_{name}", "/of/somebody/else")
    chosen = Settings(
        broker="127.0.0.1:1",
        local_outbox=None,
        twilio_account_sid=None,
        smtp_host=None,
        public_url=None,
    )
    pager = _pager(chosen, chosen, tmp_path / "pager", 1)
    given = {name for name in pager._environment if name.startswith("VIGIL_")}
    assert not {"VIGIL_TWILIO_ACCOUNT_SID", "VIGIL_SMTP_HOST", "VIGIL_PUBLIC_URL"} & given
    assert pager._environment["VIGIL_LOCAL_OUTBOX"] == str(tmp_path / "pager" / "outbox.jsonl")
