"""A pager that was fed the cohort: its log and its texts name none of the patients."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from config.settings import Settings
from streams.topics import catalogue, ensure
from tests.live import Worker, producing, read
from tests.paged import changes, policy_file, recommendation

pytestmark = pytest.mark.integration

Start = Callable[..., Worker]


async def test_neither_the_log_nor_the_outbox_names_a_patient(
    live: Settings, start_worker: Start, data: Path, tmp_path: Path
) -> None:
    patients = sorted(path.stem for path in (data / "sepsis2019" / "psv").rglob("*.psv"))
    assert len(patients) >= 400
    given = {"policy": policy_file(tmp_path, second_s=2), "local_outbox": tmp_path / "outbox"}
    chosen = Settings(**live.model_dump(exclude_unset=True) | given)
    await ensure(chosen)
    topics = catalogue(chosen)
    async with producing(chosen) as producer:
        for number, patient in enumerate(patients):
            tier = ("urgent", "warning", "watch")[number % 3]
            key = patient.encode()
            await producer.send(topics.recommendations.name, recommendation(patient, tier), key)
        # and what nobody can read, with a patient in it
        for topic in (
            *(topics.recommendations, topics.alerts_raised, topics.alerts_acknowledged),
            *(topics.alerts_silences, topics.delivery_receipts),
        ):
            for value in (
                json.dumps({"patient_id": patients[0], "type": "raised", "risk": patients[1]}),
                f"{patients[2]} is no JSON",
            ):
                await producer.send(topic.name, value.encode(), patients[3].encode())
        # an answer to an alert that there is not
        answer = {"alert": patients[4], "answer": "accepted", "by": "n", "at": "2026-01-01T00:00Z"}
        value = json.dumps(answer).encode()
        await producer.send(topics.alerts_acknowledged.name, value, patients[4].encode())
        await producer.flush()

    worker = start_worker(chosen, "paging")
    urgent = len(patients[::3])
    told = await changes(chosen, ["sent"] * urgent + ["escalated"], worker)
    letters = await read(chosen, [topics.dead_letters.name], lambda found: len(found) >= 11, worker)
    await worker.stop()

    assert {change.patient_id for change in told} > {*patients[::3]}
    reasons = "".join(json.loads(letter.value)["reason"] for letter in letters)
    outbox = (tmp_path / "outbox").read_text()
    # a number that begins like a patient and goes on is another one's
    named = re.compile(rf"\b(?:{'|'.join(map(re.escape, patients))})\b", re.IGNORECASE)
    for text in (worker.log.read_text(), outbox, reasons):
        assert text
        assert named.findall(text) == []
