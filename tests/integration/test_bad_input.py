"""Bad input in great number: scored beside it, kept whole, and told why."""

import base64
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from config.settings import Settings
from streams.topics import catalogue, ensure
from tests.live import Worker, free_port, parsed, producing, read
from tests.malformed import MALFORMED
from tests.odd_headers import NOT_UTF8, Made, produce

Start = Callable[[Settings], Worker]


def _good(i: int) -> tuple[bytes, bytes]:
    patient = f"patient-{i % 50}"
    reading = {"patient_id": patient, "MDC_ECG_HEART_RATE_Result": 60 + i % 60}
    return patient.encode(), json.dumps(reading).encode()


async def test_twenty_thousand_records_half_malformed_in_many_ways(
    live: Settings, start_worker: Start
) -> None:
    assert len(MALFORMED) >= 30
    each = 10_000
    kinds = list(MALFORMED)
    good = [_good(i) for i in range(each)]
    bad = [(b"some-key", MALFORMED[kinds[i % len(kinds)]]) for i in range(each)]
    order = random.Random(7)
    # the order of one patient's readings stays, the malformed come in between
    mixed = [(True, i) for i in range(each)] + [(False, i) for i in range(each)]
    order.shuffle(mixed)
    goods, bads = iter(good), iter(bad)
    await ensure(live)
    worker = start_worker(live)
    topics = catalogue(live)

    async with producing(live) as producer:
        for is_good, _ in mixed:
            key, value = next(goods) if is_good else next(bads)
            await producer.send(topics.vitals.name, value, key=key)
    # A worker that a busy machine has kept from its heartbeats does a batch again: what comes twice
    # comes under the same id, and of the same record.
    scored: set[str] = set()
    letters: dict[tuple[int, int], dict[str, Any]] = {}
    looked_at = 0

    def all_there(records: list[Any]) -> bool:
        nonlocal looked_at
        new, looked_at = records[looked_at:], len(records)
        for record, content in zip(new, parsed(new), strict=True):
            if record.topic == topics.recommendations.name:
                scored.add(content["recommendation_id"])
            else:
                letters[content["partition"], content["offset"]] = content
        return len(scored) + len(letters) >= 2 * each

    await read(live, [topics.recommendations.name, topics.dead_letters.name], all_there, worker)

    assert len(scored) == len(letters) == each
    assert all(letter["reason"] for letter in letters.values())
    sent = Counter(value for _, value in bad)
    kept = Counter(base64.b64decode(letter["value"]) for letter in letters.values())
    assert kept == sent
    assert {base64.b64decode(letter["key"]) for letter in letters.values()} == {b"some-key"}


async def test_a_message_of_a_megabyte_is_kept_whole_as_a_dead_letter(
    live: Settings, start_worker: Start
) -> None:
    await ensure(live)
    worker = start_worker(live)
    topics = catalogue(live)
    large = json.dumps({"patient_id": "p", "note": "x" * 1_000_000}).encode()

    async with producing(live) as producer:
        await producer.send_and_wait(topics.vitals.name, large, key=b"p")
        await producer.send_and_wait(topics.vitals.name, _good(1)[1], key=_good(1)[0])
    found = await read(
        live,
        [topics.recommendations.name, topics.dead_letters.name],
        lambda records: len(records) >= 2,
        worker,
    )

    (letter,) = parsed(r for r in found if r.topic == topics.dead_letters.name)
    assert base64.b64decode(letter["value"]) == large
    assert letter["reason"].startswith("too large")


#: All that an application reads from others.
READ = {
    "bedside": ("vitals", "admissions", "labs", "outcomes"),
    "learning": ("lessons",),
    "paging": (
        "recommendations",
        "alerts_raised",
        "alerts_acknowledged",
        "alerts_silences",
        "delivery_receipts",
    ),
    "answers": ("chat_questions", "documents", "recommendations"),
}


@pytest.mark.parametrize("application", READ)
async def test_a_header_whose_name_is_not_utf8_stops_no_topic_of_any_application(
    live: Settings, start_worker: Start, application: str
) -> None:
    live = live.model_copy(update={"feature_set": "labs"})
    await ensure(live)
    topics = catalogue(live)
    odd: Made = (b"k", b"odd", [(NOT_UTF8, b"\x00")])
    after: Made = (b"k", b"after it", [])
    read_by = [getattr(topics, name).name for name in READ[application]]
    for number, topic in enumerate(read_by):
        await produce(live, topic, [odd, after], compression=number % 2)
    worker = start_worker(live, application=application)  # type: ignore[call-arg]

    found = await read(
        live,
        [topics.dead_letters.name],
        lambda records: len(records) >= 2 * len(read_by),
        worker,
    )

    letters = {(letter["topic"], letter["offset"]): letter for letter in parsed(found)}
    assert set(letters) == {(topic, offset) for topic in read_by for offset in (0, 1)}
    for topic in read_by:
        letter = letters[topic, 0]
        assert letter["reason"] == "the name of a header is not UTF-8"
        assert base64.b64decode(letter["value"]) == b"odd"
        assert [base64.b64decode(name) for name in letter["header_names"]] == [NOT_UTF8]
        assert "header" not in letters[topic, 1]["reason"]


async def test_readings_around_odd_headers_are_scored(live: Settings, start_worker: Start) -> None:
    await ensure(live)
    worker = start_worker(live)
    topics = catalogue(live)
    key, value = _good(1)
    usable: list[Made] = [
        (key, value, []),
        (key, value, [(b"none", None), (b"twice", b"1"), (b"twice", b"2"), (b"", b"")]),
        (key, value, [("\u00e4".encode(), b"")]),
    ]
    bad: list[Made] = [
        (key, value, [(NOT_UTF8, None), (b"twice", b"1"), (b"twice", None)]),
        (key, value, [(b"large", b"x" * 1_000_000)]),
    ]

    await produce(live, topics.vitals.name, [usable[0], bad[0], usable[1]])
    await produce(live, topics.vitals.name, [bad[1]])
    await produce(live, topics.vitals.name, [usable[2]])
    found = await read(
        live,
        [topics.recommendations.name, topics.dead_letters.name],
        lambda records: len(records) >= 5,
        worker,
    )

    letters = parsed(r for r in found if r.topic == topics.dead_letters.name)
    assert sorted(letter["reason"].split(":")[0] for letter in letters) == [
        "the name of a header is not UTF-8",
        "too large",
    ]
    assert len(found) == 5, "three readings are scored"


async def test_readings_beyond_the_grace_go_to_the_late_topic_and_not_to_a_score(
    live: Settings, start_worker: Start
) -> None:
    await ensure(live)
    worker = start_worker(live)
    topics = catalogue(live)
    times = ["2026-01-02T00:00:00Z", "2026-01-01T12:00:00Z", "2026-01-01T23:00:00Z"]
    values = [
        json.dumps({"patient_id": "p", "MDC_TEMP_Result": 37, "observed_at": time}).encode()
        for time in times
    ]

    async with producing(live) as producer:
        for value in values:
            await producer.send_and_wait(topics.vitals.name, value, key=b"p")
    found = await read(
        live,
        [topics.recommendations.name, topics.vitals_late.name],
        lambda records: len(records) >= 3,
        worker,
    )

    (late,) = (r for r in found if r.topic == topics.vitals_late.name)
    assert late.value == values[1]
    scored = parsed(r for r in found if r.topic == topics.recommendations.name)
    assert [
        r["data_quality"]["flags"] for r in scored if "out_of_order" in r["data_quality"]["flags"]
    ]


async def test_a_worker_that_gets_nothing_but_garbage_stops_loudly_and_keeps_its_offsets(
    live: Settings, start_worker: Start
) -> None:
    live = live.model_copy(update={"dead_letter_window": 500})
    await ensure(live)
    topics = catalogue(live)
    async with producing(live) as producer:
        for _ in range(3_000):
            await producer.send(topics.vitals.name, b"garbage", key=b"k")
    worker = start_worker(live)

    assert await worker.exited() != 0, "a worker that stops for a reason must say so by its code"
    assert "could not be used" in worker.said
    letters = await read(live, [topics.dead_letters.name], lambda records: True)
    assert len(letters) < 3_000, "it drained the topic"


@pytest.mark.parametrize("page", ["/live", "/ready", "/metrics"])
async def test_the_health_pages_answer_on_loopback(
    live: Settings, start_worker: Start, page: str
) -> None:
    import aiohttp

    live = live.model_copy(update={"web_port": free_port()})
    await ensure(live)
    worker = start_worker(live)
    topics = catalogue(live)
    async with producing(live) as producer:
        await producer.send_and_wait(topics.vitals.name, _good(1)[1], key=_good(1)[0])
    await read(live, [topics.recommendations.name], lambda records: bool(records), worker)

    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{live.web_port}{page}") as answer,
    ):
        assert answer.status == 200
        text = await answer.text()
    assert "patient-1" not in text
