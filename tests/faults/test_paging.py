"""The pager dies at every step of a page; whoever has to be paged is, and nobody twice unmarked."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.chaos import quick
from bench.hospital import Hospital
from bench.page_ledger import PageVerdict, references
from bench.page_trial import DISTURBANCES, POINTS, PageTrial
from bench.simulators.twilio import (
    HANG_AFTER_ACCEPTING,
    HANG_BEFORE_ACCEPTING,
    UNAVAILABLE,
    Fault,
    Request,
)
from streams.kafka import LocalKafka

#: Four minutes together: `make test` has to keep within its time.
pytestmark = pytest.mark.soak

Begin = Callable[..., Awaitable[PageTrial]]


@pytest.fixture
async def begin(broker: LocalKafka, tmp_path: Path) -> AsyncIterator[Begin]:
    """Begin a trial with one worker; its workers are gone when the test ends, whatever happens."""
    async with AsyncExitStack() as stack:

        async def start(hospital: Hospital | None = None, **given: bool) -> PageTrial:
            settings = quick(broker.bootstrap, f"t{uuid.uuid4().hex[:8]}.")
            trial = PageTrial(settings, tmp_path / "trial", hospital or Hospital(), 3, **given)
            await stack.enter_async_context(trial)
            trial.join()
            return trial

        yield start


async def _good(trial: PageTrial, seconds: float = 90, hours: float = 1) -> PageVerdict:
    verdict = await trial.settled(seconds, hours=hours)
    said = "\n".join(worker.said for worker in trial.workers)
    assert verdict.pages
    assert (verdict.missing, verdict.doubled, verdict.undue) == (0, 0, 0), f"{verdict}\n{said}"
    assert (verdict.under_way, verdict.audit_breaks) == (0, 0), f"{verdict}\n{said}"
    return verdict


async def test_a_kill_at_any_step_of_a_page_loses_none_and_doubles_none(begin: Begin) -> None:
    trial = await begin(faults=False)
    for number, point in enumerate(POINTS):
        await trial.recommend(50, ["accepts", "ignored", "passes_on", "resolves"])
        if number == 5:
            await trial.disturb("time-out after acceptance")
        await trial.kill_at(point)
    verdict = await _good(trial)
    assert trial.kills == len(POINTS)
    assert verdict.repeats == 0
    assert not trial.exits


async def test_on_every_bad_day_of_the_provider_each_page_arrives_once(begin: Begin) -> None:
    trial = await begin()
    for number, name in enumerate(DISTURBANCES, 1):
        await trial.recommend(20, ["accepts", "ignored"])
        await trial.disturb(name)
        await trial.until("sent", number)  # else each day makes the pause after it longer
    verdict = await _good(trial)
    assert verdict.repeats == 0


async def test_an_outage_loses_nothing_and_does_not_flood_on_return(begin: Begin) -> None:
    """An hour of event time, 15 s of the wall clock, by which the provider is tried again."""
    hospital = Hospital(units=1, second_s=7_200, third_s=7_300, limits=True)
    trial = await begin(hospital, faults=False, people=False)
    begun = datetime.now(UTC)
    trial.twilio.outages.append((begun, begun + timedelta(hours=1), UNAVAILABLE))
    for number in range(12):
        await trial.recommend(5, ["ignored"])
        await trial.until("raised", number + 1)
        await trial.move_on((number + 1) * 300_000)  # five minutes between two alerts
    over = max(datetime.now(UTC), begun + timedelta(seconds=15))
    await asyncio.sleep((over - datetime.now(UTC)).total_seconds())
    tried = [request for request in trial.twilio.requests if request.method == "POST"]
    assert len(tried) <= 8, "a provider that is away is left alone"
    trial.twilio.outages[:] = [(begun, over, UNAVAILABLE)]
    await trial.until("sent", 1)
    # the provider is asked for what was in doubt half a minute later at most; the limits hold
    while trial.ledger.in_doubt:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    texts = [text for text in trial.twilio.texts if text.direction == "outbound-api"]
    assert len(texts) <= 1, "one text a minute"
    await trial.move_on(63 * 60_000)
    await trial.until("delivered", 12)
    texts = [text for text in trial.twilio.texts if text.direction == "outbound-api"]
    paged = Counter(reference for text in texts for reference in references(text))
    assert sorted(paged.values()) == [1] * 12
    assert len(texts) == 2, "what waited goes as one"
    assert min(text.created for text in texts) >= over
    assert not [text for text in texts if text.body.startswith("(Possible repeat.)")]


async def test_the_second_is_paged_within_a_second_of_event_time_though_the_worker_is_killed(
    begin: Begin,
) -> None:
    second_s = 25
    trial = await begin(Hospital(second_s=second_s, third_s=7_200), faults=False, people=False)
    await trial.recommend(20, ["ignored"] * 4)
    await trial.until("delivered", 4)
    for _ in range(2):
        trial.worker.kill()
        await asyncio.sleep(0.5)
        trial.worker.start()
        await asyncio.sleep(1)
    await trial.until("delivered", 8)
    texts = [text for text in trial.twilio.texts if text.direction == "outbound-api"]
    sent: dict[str, list[datetime]] = {}
    for text in texts:
        for reference in references(text):
            sent.setdefault(reference, []).append(text.created)
    assert len(sent) == 4
    for queued in trial.ledger.queued().values():
        first, second = queued[:2]
        assert abs((second - first).total_seconds() - second_s) <= 1
    assert not [times for times in sent.values() if len(times) != 2]


@pytest.mark.parametrize(
    "fault", [HANG_AFTER_ACCEPTING, HANG_BEFORE_ACCEPTING], ids=["taken", "not taken"]
)
async def test_a_worker_that_stalls_in_a_request_while_another_takes_over_pages_nobody_twice(
    begin: Begin, fault: Fault
) -> None:
    trial = await begin(faults=False, people=False)
    sleeper = trial.worker
    await trial.recommend(20, ["ignored"])
    await trial.until("delivered", 1)

    stalled = asyncio.Event()

    def stall(request: Request) -> Fault | None:
        if request.method != "POST" or stalled.is_set():
            return None
        sleeper.pause()
        stalled.set()
        return fault

    trial.twilio.rule = stall
    await trial.recommend(20, ["ignored"])
    await asyncio.wait_for(stalled.wait(), 30)
    trial.join()
    await trial.until("sent", 2)
    await trial.recommend(20, ["ignored"])
    await trial.until("sent", 3)
    sleeper.resume()
    await asyncio.sleep(3)
    verdict = await _good(trial)
    assert verdict.repeats == 0
