"""Outcomes through a real broker to a learner, and back to the bedside as a new model."""

import asyncio
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from config.settings import Settings
from models.learner import LabelledStay, Learner
from models.registry import SHIPPED, load_model
from models.release_records import LayerRecord, ModelEvent, ModelPointer
from models.simulator import simulate
from streams.lessons import Example, decode
from streams.replay import Replay
from streams.tasks import first
from streams.topics import catalogue, ensure
from tables.pending import End, Pending
from tests.live import Worker, free_port, parsed, read

Start = Callable[..., Worker]
DELAY_H = 12


def _layers(records: list[Any]) -> list[LayerRecord]:
    found = [ModelEvent.model_validate_json(r.value).root for r in records if r.value is not None]
    return [record for record in found if isinstance(record, LayerRecord)]


def _offline(lessons: list[Any]) -> list[np.ndarray[Any, Any]]:
    """Leaf values of each layer, learned from the topic in its order."""
    champion: Any = load_model(SHIPPED["context"])
    learner, pending, stored = Learner(champion), Pending(DELAY_H * 3_600_000, 2**50), {}
    layers = []
    for record in lessons:
        lesson = decode(record.value)
        patient = lesson.patient_id.encode()
        if isinstance(lesson, Example):
            stored[patient, lesson.observed_at_ms] = lesson.features
            pending.example(patient, lesson.observed_at_ms, b"", {})
        else:
            end = End(lesson.ended_at_ms, lesson.septic, lesson.onset_at_ms)
            pending.outcome(patient, end, {})
        for stay in pending.due({}):
            features = np.stack([stored[stay.patient, at] for at in stay.at_ms.tolist()])
            due_ms = stay.end.ended_at_ms + pending.delay_ms
            labelled = LabelledStay(
                stay.patient.decode(),
                stay.at_ms, features, stay.labels(), due_ms,
            )  # fmt: skip
            taken = learner.take(labelled, pending.watermark_ms)
            pending.done([stay], {})
            if taken.snapshot is not None:
                layers.append(taken.snapshot.values)
    return layers


def _have(layers: int, found: list[Any]) -> bool:
    return bool(found) and len(_layers(found)) >= layers


async def _lessons(live: Settings, stays: list[Any]) -> list[Any]:
    """All examples and outcomes of the stays, each perhaps more than once."""
    wanted = sum(len(stay.seconds) + 1 for stay in stays)
    return await read(
        live,
        [catalogue(live).lessons.name],
        lambda found: len({(r.key, r.value) for r in found}) >= wanted,
    )


async def test_what_is_learned_is_what_the_topic_says_and_scores_at_the_bedside(
    live: Settings, start_worker: Start
) -> None:
    stays = list(simulate(200, seed=6))
    await ensure(live)
    bedside = start_worker(live)
    learning = start_worker(
        live.model_copy(update={"web_port": free_port()}), application="learning"
    )

    await Replay(live, stays, rate=None).run()
    lessons = await _lessons(live, stays)
    expected = _offline(lessons)
    assert len(expected) >= 2
    models = catalogue(live).models.name
    records = await read(
        live, [models], lambda found: len(_layers(found)) >= len(expected), learning
    )
    for layer, values in zip(_layers(records), expected, strict=True):
        np.testing.assert_array_equal(layer.leaves(), values)

    # and readings that come now are scored with the last of them
    last = _layers(records)[-1].scoring_version()
    topic = catalogue(live).recommendations.name

    def with_the_last(found: list[Any]) -> bool:
        return any(r["model_version"] == last for r in parsed(found[-400:]))

    async def seen() -> None:
        await read(live, [topic], with_the_last, bedside)

    await first(seen(), _trickle(live))


async def _trickle(live: Settings) -> None:
    """Send new patients until cancelled."""
    for seed in itertools.count(100):
        await Replay(live, list(simulate(2, seed=seed)), rate=None, suffix=f"-{seed}").run()


async def test_a_learner_that_is_killed_loses_no_label_and_counts_none_twice(
    live: Settings, start_worker: Start
) -> None:
    stays = list(simulate(250, seed=7))
    await ensure(live)
    start_worker(live)
    learning = start_worker(
        live.model_copy(update={"web_port": free_port(), "home": live.home / "learning"}),
        application="learning",
    )
    sending = asyncio.create_task(Replay(live, stays, rate=6_000).run())
    models = catalogue(live).models.name
    for kills in range(1, 4):
        await read(live, [models], partial(_have, kills - 1))
        learning.kill()
        learning.start()
    await sending

    lessons = await _lessons(live, stays)
    expected = _offline(lessons)
    records = await read(
        live,
        [models],
        lambda found: len({r.version for r in _layers(found)}) >= len(expected),
        learning,
    )
    layers = {int(layer.version): layer.leaves() for layer in _layers(records)}
    assert sorted(layers) == list(range(1, len(expected) + 1))
    for number, values in enumerate(expected, 1):
        np.testing.assert_array_equal(layers[number], values)
    pointers = [
        record
        for r in records
        if isinstance(record := ModelEvent.model_validate_json(r.value).root, ModelPointer)
    ]
    assert {pointer.champion for pointer in pointers} == {load_model(SHIPPED["context"]).version}
