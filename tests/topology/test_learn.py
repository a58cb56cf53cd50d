"""The learner's agent on fake topics."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agents.learner import LearnerAgent
from agents.retraining import Retraining
from config.clock import iso
from config.settings import Settings
from models.cohort import held_out
from models.features import FEATURES
from models.promotion import Verdict
from models.registry import SHIPPED, load_model, model_files
from models.release_records import (
    LayerRecord,
    ModelEvent,
    ModelPointer,
    ModelRecord,
    ShadowRecord,
    key_of,
)
from models.releases import Releases
from streams.events import DriftEvent
from streams.lessons import FEATURES_VERSION, encode_example
from tests.helpers import DAY, HOUR, T0
from tests.topology.driver import Bench, Table, record

pytestmark = pytest.mark.topology

CHAMPION: Any = load_model(SHIPPED["context"])
LEARNED = [p for p in (f"p{i}" for i in range(400)) if not held_out(p)][:130]


class School(Bench):
    """A learner on fake topics; what it sends to ``models`` is read at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.table = Table("pending")
        self.releases = Releases(self.settings.site)
        self.start()

    def start(self) -> None:
        """Start a learner on what is stored."""
        self.consumer.assignment_number += 1
        follower: Any = SimpleNamespace(ready=self.model_known, releases=self.releases)
        self.retraining = Retraining(self.settings)
        self.learn = LearnerAgent(
            self.app,
            self.topics,
            self.table,
            follower,
            CHAMPION,
            self.retraining,  # type: ignore[arg-type]
        )

    async def teach(self, *values: bytes | None) -> None:
        """Give lessons, and read what came of them."""
        records = [
            record("lessons", i, value, b"k", timestamp=SENT) for i, value in enumerate(values)
        ]
        known = len(self.bench_sent())
        await self.feed(self.learn, records)
        for offset, sent in enumerate(self.bench_sent()[known:], known):
            self.releases.take(sent["key"], sent["value"], offset)

    def lose_disk(self, *, from_record: int = 0, to_record: int | None = None) -> None:
        """Have a learner elsewhere, with what the changelog has; some of it never got there."""
        sent = self.producer.sent[self.table.changelog]
        kept = sent if to_record is None else sent[:from_record] + sent[to_record:]
        self.table.rows.clear()
        for each in kept:
            if each["value"] is None:
                self.table.rows.pop((0, each["key"]), None)
            else:
                self.table.rows[0, each["key"]] = each["value"]
        self.start()

    def bench_sent(self) -> list[dict[str, Any]]:
        return self.sent(self.topics.models)

    def published(self) -> list[Any]:
        """Records of the topic ``models``."""
        values = [sent["value"] for sent in self.bench_sent()]
        return [ModelEvent.model_validate_json(v).root for v in values if v is not None]

    def drift(self) -> list[DriftEvent]:
        """What was told of drift."""
        return [
            DriftEvent.model_validate_json(sent["value"]) for sent in self.sent(self.topics.drift)
        ]

    def layers(self) -> list[LayerRecord]:
        return [record for record in self.published() if isinstance(record, LayerRecord)]


@pytest.fixture
def school() -> School:
    return School(Settings(broker="nowhere:1", partitions=2))


def _example(patient: str, hour: float, value: float = 80.0) -> bytes:
    features = np.full(len(FEATURES), np.nan)
    features[:2] = value, 0.0  # a heart rate, measured now
    return encode_example(patient, T0 + round(hour * HOUR), "r", None, features, -3.0, "m")


def _end(patient: str, hour: float, *, septic: bool = False) -> bytes:
    outcome = {"patient_id": patient, "ended_at": iso(T0 + round(hour * HOUR)), "septic": septic}
    if septic:
        outcome["onset_at"] = outcome["ended_at"]
    return json.dumps(outcome).encode()


def _stays(patients: list[str]) -> list[bytes]:
    """Lessons of short stays, due as soon as another hour's example has come."""
    lessons = []
    for i, patient in enumerate(patients):
        lessons += [_example(patient, 1, 60 + i), _example(patient, 2, 61 + i)]
        lessons.append(_end(patient, 2, septic=i % 7 == 0))
    return lessons


#: When lessons were sent: after everything that they tell of.
SENT = T0 + 100 * DAY

LATER = _example("later", 14)


async def test_the_first_learner_of_a_site_publishes_its_champion_and_points_to_it(
    school: School,
) -> None:
    await school.teach(LATER)
    await school.teach(LATER)
    champion, pointer = school.published()
    assert isinstance(champion, ModelRecord)
    assert isinstance(pointer, ModelPointer)
    assert (pointer.champion, pointer.action) == (CHAMPION.version, "start")
    scoring = school.releases.active()
    assert scoring is not None
    assert scoring.version == CHAMPION.version


async def test_every_fifty_stays_a_layer_is_published_that_scores(school: School) -> None:
    await school.teach(*_stays(LEARNED), LATER)
    assert [layer.version for layer in school.layers()] == ["1", "2"]
    scoring: Any = school.releases.active()
    assert scoring.version == f"{CHAMPION.version}+2"
    assert not np.array_equal(scoring.forest.values, CHAMPION.forest.values)


async def test_stays_that_were_learned_are_not_stored_any_more(school: School) -> None:
    await school.teach(*_stays(LEARNED), LATER)
    waiting = {key for _, key in school.table.rows if key[:1] == b"e"}
    assert len(waiting) == 2 * 30 + 1


@pytest.mark.parametrize("batches", [1, 7, 100])
async def test_the_size_of_a_batch_makes_no_difference(school: School, batches: int) -> None:
    await school.teach(*_stays(LEARNED), LATER)
    other = School(school.settings)
    lessons = [*_stays(LEARNED), LATER]
    for start in range(0, len(lessons), batches):
        await other.teach(*lessons[start : start + batches])
    assert [layer.values for layer in other.layers()] == [layer.values for layer in school.layers()]


async def test_a_learner_that_starts_again_goes_on_bit_for_bit(school: School) -> None:
    lessons = [*_stays(LEARNED), LATER]
    await school.teach(*lessons)
    other = School(school.settings)
    for start in range(0, len(lessons), 40):
        await other.teach(*lessons[start : start + 40])
        other.start()
        await other.teach(*lessons[start : start + 40])  # and Kafka delivers all of it again
    assert [layer.values for layer in other.layers()] == [layer.values for layer in school.layers()]


async def test_a_learner_killed_before_learned_stays_were_taken_out_does_not_learn_them_again(
    school: School,
) -> None:
    lessons = _stays(LEARNED[:60])
    await school.teach(*lessons)
    before = dict(school.table.rows)
    await school.teach(LATER)
    (layer,) = school.layers()
    # the state has reached the changelog, what follows it has not
    school.table.rows = before | {
        at: value for at, value in school.table.rows.items() if at[1][:1] == b"s"
    }
    school.start()
    await school.teach(LATER, *_stays(LEARNED[60:]), LATER)
    assert [(each.version, each.stays) for each in school.layers()] == [("1", 50), ("2", 100)]
    assert school.layers()[0] == layer


async def test_examples_of_another_version_of_the_features_are_passed_over(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.learner.FEATURES_VERSION", "another")
    await school.teach(LATER)
    assert not [key for _, key in school.table.rows if key[:1] == b"e"]


async def test_what_is_no_lesson_is_a_dead_letter_and_the_rest_is_learned(school: School) -> None:
    await school.teach(b"nonsense", LATER, None)
    reasons = [
        json.loads(letter["value"])["reason"] for letter in school.sent(school.topics.dead_letters)
    ]
    assert [reason.partition(":")[0] for reason in reasons] == ["not JSON", "no value"]
    assert [key for _, key in school.table.rows if key[:1] == b"e"]


async def test_with_another_champion_learning_starts_anew_from_it(school: School) -> None:
    await school.teach(*_stays(LEARNED[:60]), LATER)
    now = school.layers()[0].created_at
    files = model_files(replace(CHAMPION, version="other"))
    audit = {"who": "a person", "why": "it is better"}
    champion = ModelRecord.of(
        files, kind="champion", site="default", version="other", created_at=now, **audit
    )
    pointer = school.releases.promote("other", at=now, **audit)
    for offset, released in enumerate((champion, pointer), 1000):
        value = released.model_dump_json().encode()
        assert school.releases.take(key_of(released), value, offset)

    await school.teach(*_stays(LEARNED[60:]), LATER)
    first, second = school.layers()
    assert (first.champion, first.stays) == (CHAMPION.version, 50)
    assert (second.champion, second.version, second.stays) == ("other", "1", 50)


async def test_drift_is_told_once_and_asks_for_a_retraining(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(school.retraining, "ask", asked.append)
    rng = np.random.default_rng(5)

    def hours(first: int, last: int, mean: float) -> list[bytes]:
        return [
            _example(f"q{patient}", hour + patient / 200, rng.normal(mean, 8))
            for hour in range(first, last)
            for patient in range(100)
        ]

    await school.teach(*hours(0, 40, 80))
    assert not school.drift()
    await school.teach(*hours(40, 60, 110))
    found = school.drift()
    assert {"heart_rate"} <= {event.signal for event in found}
    (heart,) = [event for event in found if event.signal == "heart_rate"]
    assert heart.layer == "data"
    assert heart.before is not None
    assert heart.after is not None
    assert heart.before < 85 < 105 < heart.after
    assert any("heart_rate" in why for why in asked)

    school.start()  # what was told is not told again
    await school.teach(*hours(60, 70, 110))
    assert len([event for event in school.drift() if event.signal == "heart_rate"]) == 1


def _challenger(version: str, shift: float, at: Any) -> ModelRecord:
    forest = replace(CHAMPION.forest, values=CHAMPION.forest.values + shift / 250)
    return ModelRecord.of(
        model_files(replace(CHAMPION, version=version, forest=forest)),
        kind="challenger", site="default", version=version, created_at=at,
        who="a person", why="a try",
        facts={"data": {"last_event_ms": T0}},
    )  # fmt: skip


async def test_a_challenger_scores_in_the_shadow_and_its_record_says_how_it_does(
    school: School,
) -> None:
    await school.teach(LATER)
    challenger = _challenger("rival", 0.0, school.published()[0].created_at)
    school.releases.take(key_of(challenger), challenger.model_dump_json().encode(), 1000)
    await school.teach(*_stays(LEARNED[:60]), _example("later", 15))
    (shadow,) = [record for record in school.published() if isinstance(record, ShadowRecord)]
    assert (shadow.version, shadow.champion) == ("rival", CHAMPION.version)
    assert shadow.figures["stays"] == 50
    assert shadow.figures["promote"] is False
    assert any("stays" in reason for reason in shadow.figures["reasons"])


@pytest.mark.parametrize(("promotion", "taken_over"), [("auto", True), ("manual", False)])
async def test_a_challenger_that_the_rule_lets_pass_takes_over_only_where_it_may(
    monkeypatch: pytest.MonkeyPatch, promotion: Any, taken_over: bool
) -> None:
    school = School(Settings(broker="nowhere:1", partitions=2, promotion=promotion))
    await school.teach(LATER)
    challenger = _challenger("rival", 0.0, school.published()[0].created_at)
    school.releases.take(key_of(challenger), challenger.model_dump_json().encode(), 1000)
    monkeypatch.setattr("models.contest.judge", lambda evidence: Verdict(True, ("it is better",)))
    await school.teach(*_stays(LEARNED), _example("later", 15))
    pointer = school.releases.pointer
    assert pointer is not None
    assert (pointer.champion == "rival") == taken_over
    assert sum(isinstance(record, ModelPointer) for record in school.published()) == 1 + taken_over


async def test_lessons_that_come_again_get_to_the_changelog_that_lacks_them(
    school: School,
) -> None:
    every = _stays(LEARNED)
    lessons, rest = every[:60], every[60:]
    await school.teach(*lessons)
    never_sent = len(school.producer.sent[school.table.changelog])
    school.start()  # killed before the broker had it, with the disk as it was
    await school.teach(*lessons)
    school.lose_disk(to_record=never_sent)
    await school.teach(*rest, LATER)
    whole = School(school.settings)
    await whole.teach(*every, LATER)
    assert [layer.values for layer in school.layers()] == [layer.values for layer in whole.layers()]


async def test_two_blocks_that_the_broker_never_had_are_not_learned_twice(school: School) -> None:
    lessons = _stays(LEARNED)
    await school.teach(*lessons)
    begun = len(school.producer.sent[school.table.changelog])
    await school.teach(LATER)
    ended = len(school.producer.sent[school.table.changelog])
    assert [layer.stays for layer in school.layers()] == [50, 100]
    school.start()  # killed before the broker had what came of it, with the disk as it was
    await school.teach(LATER)
    school.lose_disk(from_record=begun, to_record=ended)
    more = [p for p in (f"q{i}" for i in range(200)) if not held_out(p)][:20]
    await school.teach(*_stays(more), LATER)
    assert [layer.stays for layer in school.layers()] == [50, 100, 150]


async def test_a_lesson_from_the_future_is_a_dead_letter_and_makes_no_label_due(
    school: School,
) -> None:
    await school.teach(*_stays(LEARNED[:60]), _end("ahead", 24 * 365 * 70))
    (letter,) = school.sent(school.topics.dead_letters)
    assert json.loads(letter["value"])["reason"] == "its time lies in the future"
    assert not school.layers()


async def test_examples_that_an_older_release_kept_are_not_learned(school: School) -> None:
    lessons = _stays(LEARNED[:60])
    await school.teach(*lessons)
    for (partition, key), value in school.table.rows.items():
        if key[:1] == b"e":
            old = value.replace(FEATURES_VERSION.encode(), b"0" * 12)
            school.table.rows[partition, key] = old
    school.start()
    await school.teach(LATER)
    assert not school.layers()
    assert school.failed is None


async def test_a_pointer_that_cannot_be_followed_leaves_the_learner_with_what_scores(
    school: School,
) -> None:
    await school.teach(LATER)
    now = school.published()[0].created_at
    pointer = school.releases.promote("nowhere", at=now, who="a", why="b")
    school.releases.take(key_of(pointer), pointer.model_dump_json().encode(), 1000)
    await school.teach(*_stays(LEARNED[:60]), _example("later", 15))
    assert [layer.champion for layer in school.layers()] == [CHAMPION.version]


async def test_a_champion_that_comes_back_goes_on_where_its_learning_was(school: School) -> None:
    await school.teach(*_stays(LEARNED[:60]), LATER)
    now, audit = school.layers()[0].created_at, {"who": "a person", "why": "a try"}
    files = model_files(replace(CHAMPION, version="other"))
    champion = ModelRecord.of(
        files, kind="champion", site="default", version="other", created_at=now, **audit
    )
    released = [champion, school.releases.promote("other", at=now, **audit)]
    for offset, each in enumerate(released, 1000):
        school.releases.take(key_of(each), each.model_dump_json().encode(), offset)
    await school.teach(_example("later", 15))
    back = school.releases.roll_back(at=now, **audit)
    school.releases.take(key_of(back), back.model_dump_json().encode(), 2000)
    await school.teach(*_stays(LEARNED[60:]), _example("later", 16))
    assert [(layer.champion, layer.version) for layer in school.layers()] == [
        (CHAMPION.version, "1"),
        (CHAMPION.version, "2"),
    ]


async def test_what_a_person_has_set_back_the_rule_does_not_promote_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    school = School(Settings(broker="nowhere:1", partitions=2, promotion="auto"))
    await school.teach(LATER)
    now = school.published()[0].created_at
    audit = {"who": "a person", "why": "it pages too often"}
    rival = _challenger("rival", 0.0, now)
    champion = rival.model_copy(update={"kind": "champion"})
    monkeypatch.setattr("models.contest.judge", lambda evidence: Verdict(True, ("it is better",)))
    released: list[Any] = [champion, rival]
    released.append(school.releases.promote("rival", at=now, **audit))
    for offset, each in enumerate(released, 1000):
        school.releases.take(key_of(each), each.model_dump_json().encode(), offset)
    back = school.releases.roll_back(at=now, **audit)
    school.releases.take(key_of(back), back.model_dump_json().encode(), 2000)
    await school.teach(*_stays(LEARNED), _example("later", 15))
    assert any(isinstance(record, ShadowRecord) for record in school.published())
    moves = [record.action for record in school.published() if isinstance(record, ModelPointer)]
    assert moves == ["start"]


async def test_the_days_until_a_retraining_count_from_the_last_one_whoever_began_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    school = School(Settings(broker="nowhere:1", partitions=2, retrain_days=10))
    asked: list[str] = []
    await school.teach(LATER)
    rival = _challenger("rival", 0.0, school.published()[0].created_at)  # trained until T0
    school.releases.take(key_of(rival), rival.model_dump_json().encode(), 1000)
    await school.teach(_example("later", 24 * 9))
    school.start()  # a learner that begins anew does not count anew
    monkeypatch.setattr(school.retraining, "ask", asked.append)
    await school.teach(_example("later", 24 * 9 + 1))
    assert not asked
    await school.teach(_example("later", 24 * 10))
    assert asked == ["10 days have passed"]
