"""From recommendations to alerts: when the right ones are raised, once, and never not at all."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.alert_events import AlertRaised, RaisedEvent
from streams.ids import alert_id
from tables.episodes import FORGET_MS, Came, Episodes, decode
from tests.helpers import HOUR, T0
from tests.unit.made_episodes import Ward, events, policy, recommendation

pytestmark = pytest.mark.unit

WATCH, WARNING, URGENT = -2.9, -1.9, -0.9
HIGHER = policy().budget.override_log_odds


@pytest.fixture
def ward() -> Ward:
    return Ward()


# -- tiers


def test_nothing_is_raised_below_all_tiers(ward: Ward) -> None:
    assert [ward.sees(hour, -3.1) for hour in range(30)] == [[]] * 30


def test_a_tier_is_raised_when_it_is_first_reached_and_not_while_it_lasts(ward: Ward) -> None:
    assert ward.sees(0, WATCH) == ["watch"]
    assert ward.sees(1, WATCH) == []


def test_an_episode_climbs_from_tier_to_tier(ward: Ward) -> None:
    assert [ward.sees(h, x) for h, x in enumerate((WATCH, WARNING, URGENT))] == [
        ["watch"],
        ["warning"],
        ["urgent"],
    ]


def test_a_tier_that_is_jumped_over_is_not_raised(ward: Ward) -> None:
    assert ward.sees(0, URGENT) == ["urgent"]


def test_a_lower_tier_is_not_raised_after_a_higher_one_even_after_the_lock_out(ward: Ward) -> None:
    ward.sees(0, URGENT)
    assert [ward.sees(hour, WARNING) for hour in range(1, 40)] == [[]] * 39


def test_one_patients_episode_is_nothing_to_another(ward: Ward) -> None:
    assert ward.sees(0, URGENT, patient="a") == ["urgent"]
    assert ward.sees(0, WATCH, patient="b") == ["watch"]


NEWS2 = {
    "urgent": {"recommended": "urgent", "news2": 7, "at_least": "warning"},
    "warning": {"recommended": "warning"},
}


@pytest.mark.parametrize(
    ("tier", "news2", "raised"),
    [
        ("warning", 7, ["urgent"]),
        ("warning", 6, ["warning"]),
        ("watch", 7, []),
        ("urgent", 0, ["urgent"]),
    ],
)
def test_news2_leads_to_a_tier_where_the_model_says_at_least_so_much(
    tier: str, news2: int, raised: list[str]
) -> None:
    ward = Ward(policy(tiers=NEWS2))
    assert ward.sees(0, tier=tier, news2=news2) == raised


RISE = {
    "urgent": {"recommended": "urgent"},
    "warning": {"rise_log_odds": 1.0, "rise_hours": 4, "at_least": "watch"},
}


@pytest.mark.parametrize(
    ("risks", "raised"),
    [
        ({0: -4.0, 4: -2.9}, ["warning"]),
        ({0: -4.0, 4.1: -2.9}, []),  # too slow
        ({0: -4.0, 2: -3.5, 4: -3.01}, []),  # too little, and below watch
        ({0: -3.8, 4: -2.9}, []),  # too little
        ({0: -3.0, 1: -4.0, 2: -2.9}, ["warning"]),  # from the lowest on
        ({0: -4.0, 2: -2.95, 5: -2.9}, ["warning"]),  # at the second one
        ({0: -2.9}, []),  # nothing is known from before
    ],
)
def test_a_rise_leads_to_a_tier_where_it_is_steep_enough_and_not_from_far_below(
    risks: dict[float, float], raised: list[str]
) -> None:
    ward = Ward(policy(tiers=RISE))
    told = [word for hour, logit in risks.items() for word in ward.sees(hour, logit)]
    assert told == raised


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(-20, 0)), min_size=1, max_size=60))
def test_a_rise_is_counted_from_the_lowest_risk_of_the_last_hours(
    steps: list[tuple[int, int]],
) -> None:
    """One reading a span of a quarter of an hour: then nothing is left out of what is kept."""
    ward = Ward(policy(tiers={"urgent": {"rise_log_odds": 1.0, "rise_hours": 4}}))
    seen: list[tuple[int, float]] = []
    first = None
    at = 0
    for quarters, tenths in steps:
        at += quarters + 1
        seen.append((at, tenths / 10))
        told = ward.sees(at / 4, tenths / 10, tier="none")
        low = min(logit for then, logit in seen if then >= at - 16)
        if tenths / 10 - low >= 1.0 + 1e-6 and first is None:
            first = at
            assert told == ["urgent"]
        elif first is None and tenths / 10 - low < 1.0 - 1e-6:
            assert told == []
        elif first is None:
            return  # on the line, to the last bit


def test_reasons_name_the_conditions_that_are_met() -> None:
    tiers = {"urgent": {"recommended": "urgent", "news2": 7, "rise_log_odds": 1.0, "rise_hours": 4}}
    ward = Ward(policy(tiers=tiers))
    ward.sees(0, -3.0)
    (event,) = events(ward.told(recommendation(1, -0.5, news2=9)).events)
    assert event["reasons"] == [
        "recommended urgent",
        "NEWS2 9, at least 7",
        "risk risen by 2.50 log-odds in 4 h",
    ]


# -- the end of an episode


def test_an_episode_is_resolved_after_hours_of_calm(ward: Ward) -> None:
    ward.sees(0, WARNING)
    assert [ward.sees(hour, -3.5) for hour in (1, 2, 3, 4.9)] == [[]] * 4
    assert ward.sees(5, -3.5) == ["resolved"]
    assert ward.sees(6, -3.5) == []


def test_an_episode_that_flickers_on_the_line_is_not_resolved() -> None:
    ward = Ward(policy(tiers={"urgent": {"recommended": "urgent"}}))
    ward.sees(0, -1.0)
    assert [ward.sees(hour, -1.4) for hour in range(1, 12)] == [[]] * 11


def test_a_tier_that_is_reached_begins_the_calm_anew(ward: Ward) -> None:
    ward.sees(0, WARNING)
    ward.sees(1, -3.5)
    ward.sees(4, WATCH)
    assert [ward.sees(hour, -3.5) for hour in (5, 8.9)] == [[], []]
    assert ward.sees(9, -3.5) == ["resolved"]


def test_silence_is_no_calm(ward: Ward) -> None:
    ward.sees(0, WARNING)
    assert ward.sees(30, -3.5) == []
    assert ward.sees(34, -3.5) == ["resolved"]


def test_an_episode_that_raised_nothing_is_not_resolved_aloud(ward: Ward) -> None:
    ward.sees(0, URGENT)
    assert [ward.sees(hour) for hour in (1, 5)] == [[], ["resolved"]]
    ward.sees(6, WATCH)  # locked out
    assert [ward.sees(hour) for hour in (7, 11)] == [[], []]


# -- lock-out


def test_a_tier_is_not_raised_again_in_the_lock_out_and_after_it_is_if_it_lasts(
    ward: Ward,
) -> None:
    assert [hour for hour in range(36) if ward.sees(hour, WARNING)] == [0, 12, 24]


def test_after_the_lock_out_it_is_not_raised_if_it_is_not_met(ward: Ward) -> None:
    ward.sees(0, WARNING)
    assert [ward.sees(hour, -2.2) for hour in range(1, 30)] == [[]] * 29


def test_the_lock_out_holds_in_a_new_episode_too_and_for_lower_tiers(ward: Ward) -> None:
    ward.sees(0, WARNING)
    assert [ward.sees(hour) for hour in (1, 5)] == [[], ["resolved"]]
    assert ward.sees(6, WATCH) == []
    assert ward.sees(7, WARNING) == []
    assert ward.sees(12, WARNING) == ["warning"]


def test_the_lock_out_does_not_hold_for_a_higher_tier(ward: Ward) -> None:
    ward.sees(0, WARNING)
    assert [ward.sees(hour) for hour in (1, 5)] == [[], ["resolved"]]
    assert ward.sees(6, URGENT) == ["urgent"]


def test_an_alert_of_a_new_episode_has_another_id(ward: Ward) -> None:
    ids = [
        event["alert_id"]
        for hour in range(60)
        for event in events(ward.told(recommendation(hour, URGENT if hour % 13 < 2 else -5)).events)
        if event["type"] == "raised"
    ]
    assert len(set(ids)) == len(ids) == 5


# -- higher


def test_an_alert_is_raised_again_once_when_the_risk_has_risen_further(ward: Ward) -> None:
    ward.sees(0, URGENT)
    assert ward.sees(1, URGENT + HIGHER - 0.01) == []
    assert ward.sees(2, URGENT + HIGHER + 0.01) == ["higher urgent"]
    assert ward.sees(3, URGENT + 2) == []


def test_an_alert_after_the_lock_out_may_be_raised_again_too(ward: Ward) -> None:
    ward.sees(0, URGENT)
    ward.sees(2, URGENT + HIGHER + 0.1)
    assert ward.sees(12, URGENT) == ["urgent"]
    assert ward.sees(13, URGENT + HIGHER + 0.1) == ["higher urgent"]


def test_a_higher_tier_is_raised_as_such(ward: Ward) -> None:
    ward.sees(0, WARNING)
    assert ward.sees(1, URGENT) == ["urgent"]


def test_higher_has_an_id_of_its_own_and_names_the_same_episode(ward: Ward) -> None:
    first, second = (
        events(ward.told(recommendation(hour, logit)).events)[0]
        for hour, logit in ((0, URGENT), (1, 0.5))
    )
    assert (first["higher"], second["higher"]) == (False, True)
    assert first["alert_id"] != second["alert_id"]
    assert first["episode_at"] == second["episode_at"]


# -- order


def test_an_older_recommendation_does_nothing(ward: Ward) -> None:
    ward.sees(5)
    assert ward.sees(4.99, URGENT) == []


def test_one_of_the_same_time_may_raise(ward: Ward) -> None:
    ward.sees(5)
    assert ward.sees(5, URGENT) == ["urgent"]


def test_one_of_the_same_time_makes_nothing_better(ward: Ward) -> None:
    ward.sees(0, WARNING)
    ward.sees(1, -3.5)
    ward.sees(5, WARNING)
    assert ward.sees(5, -3.5) == []
    assert ward.sees(8, -3.5) == []
    assert ward.sees(9, -3.5) == []
    assert ward.sees(12, -3.5) == ["resolved"]


def test_a_recommendation_that_was_sent_twice_raises_once(ward: Ward) -> None:
    assert ward.sees(0, URGENT) == ["urgent"]
    assert ward.sees(0, URGENT) == []


# -- what is told


def test_an_alert_says_what_it_is_about(ward: Ward) -> None:
    (key, census), (alert_key, value) = ward.told(
        recommendation(3, URGENT, patient="p7", news2=5)
    ).events
    assert RaisedEvent.model_validate_json(census).root.type == "census"
    assert key is None
    alert = RaisedEvent.model_validate_json(value).root
    assert isinstance(alert, AlertRaised)
    at_ms = T0 + 3 * HOUR
    assert (
        alert_key == alert.alert_id.encode() == alert_id("p7", at_ms, "urgent", 0, False).encode()
    )
    assert (alert.patient_id, alert.unit_id, alert.news2, alert.tier) == ("p7", "icu", 5, "urgent")
    assert alert.recommendation_id == "p7-3"
    assert alert.raised_at == alert.episode_at == alert.produced_at
    assert alert.policy == ward.policy.version


def test_an_id_and_a_subject_tell_nothing_of_the_patient(ward: Ward) -> None:
    ward.sees(0, URGENT, patient="0123456789")
    (event,) = events(ward.told(recommendation(0, URGENT, patient="Miller")).events)
    assert re.fullmatch("[0-9a-f]{32}", event["alert_id"])
    assert "Miller" not in event["subject"]


# -- census


def _hours(told: Any) -> list[tuple[str | None, float]]:
    return [
        (event["unit_id"], event["patient_hours"])
        for event in events(told.events, census=True)
        if event["type"] == "census"
    ]


def test_a_patients_first_reading_counts_for_an_hour_and_a_gap_for_an_hour_at_most(
    ward: Ward,
) -> None:
    assert _hours(ward.told(recommendation(0))) == [("icu", 1.0)]
    assert _hours(ward.told(recommendation(0.5))) == []
    assert _hours(ward.told(recommendation(1))) == [("icu", 2.0)]
    assert _hours(ward.told(recommendation(9))) == [("icu", 3.0)]


def test_what_comes_late_or_again_is_not_watched_time(ward: Ward) -> None:
    ward.told(recommendation(0), recommendation(1))
    assert _hours(ward.told(recommendation(1), recommendation(0.2), recommendation(2))) == [
        ("icu", 3.0)
    ]


def test_units_are_counted_apart_and_so_are_patients_of_none(ward: Ward) -> None:
    told = ward.told(
        recommendation(0, patient="a", unit="x"),
        recommendation(0, patient="b", unit=None),
        recommendation(0, patient="c", unit="x"),
        recommendation(0, patient="d", unit=""),
    )
    assert _hours(told) == [("x", 2.0), (None, 1.0), ("", 1.0)]


def test_a_census_of_the_unit_comes_before_its_alert(ward: Ward) -> None:
    told = ward.told(
        recommendation(0, patient="a"),
        recommendation(0, URGENT, patient="b"),
        recommendation(0, patient="c"),
    )
    kinds = [event["type"] for event in events(told.events, census=True)]
    assert kinds == ["census", "raised", "census"]
    assert _hours(told) == [("icu", 2.0), ("icu", 3.0)]


def test_a_worker_begins_with_a_census(ward: Ward) -> None:
    ward.told(recommendation(0))
    ward.restart()
    assert _hours(ward.told(recommendation(0.1))) == [("icu", 1.1)]


# -- what is kept


def test_states_of_patients_of_whom_nothing_comes_are_dropped(ward: Ward) -> None:
    for number in range(200):
        ward.told(recommendation(0, patient=f"p{number}"))
    ward.now_ms += 2 * FORGET_MS
    ward.told(recommendation(0, patient="p77"), recommendation(0, patient="new"))

    def scan(_: int, start: bytes | None) -> list[tuple[bytes, bytes]]:
        return sorted((k, v) for k, v in ward.stored.items() if k >= (start or b""))

    for _ in range(4):
        writes: dict[bytes, bytes | None] = {}
        ward.episodes.sweep(0, scan, ward.now_ms, writes)
        assert len(writes) <= 65, "a batch must not wait for long"
        ward.keep(writes)
    assert sorted(ward.stored) == [b"pnew", b"pp77", b"uicu"]


def test_a_patient_who_comes_back_after_that_is_new_whether_dropped_or_not(ward: Ward) -> None:
    ward.sees(0, WARNING)
    ward.now_ms += 2 * FORGET_MS
    assert ward.sees(1, WARNING) == ["warning"]


def test_more_patients_than_memory_holds_are_read_again() -> None:
    small, large = Ward(capacity=2), Ward(capacity=1000)
    for hour in range(30):
        for patient in range(10):
            logit = WATCH + (hour * (patient + 3)) % 7 * 0.4
            assert small.sees(hour, logit, patient=str(patient)) == large.sees(
                hour, logit, patient=str(patient)
            )
    assert small.stored == large.stored


def test_a_state_of_another_release_is_not_misread(ward: Ward) -> None:
    ward.sees(0)
    ward.stored[b"pa"] = b"\x09" + ward.stored[b"pa"][1:]
    ward.restart()
    with pytest.raises(ValueError, match="another release"):
        ward.sees(1)


def test_what_was_told_is_kept_until_it_is_committed(ward: Ward) -> None:
    ward.sees(0, URGENT)
    large = len(ward.stored[b"pa"])
    ward.committed = 1
    ward.sees(1, URGENT)
    assert len(ward.stored[b"pa"]) < 120 < large


def test_a_topic_that_was_made_anew_is_not_taken_for_what_was_seen(ward: Ward) -> None:
    for hour in range(5):
        ward.sees(hour)
    ward.restart()
    assert events(ward.told(recommendation(6, URGENT), offset=0).events)
    told = ward.told(recommendation(7), offset=1)
    assert _hours(told) == [("icu", 7.0)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"{", "not JSON"),
        (b'{"patient_id":"\xff"}', "not JSON"),
        (recommendation(0)[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field"),
        (recommendation(0, patient="Miller", tier="Bad"), r"at: `\$.tier`"),
        (recommendation(0, patient="Miller", risk="0.1"), r"at: `\$.risk`"),
        (recommendation(0, observed_at="2026-01-01T00:00:00"), r"at: `\$.observed_at`"),
    ],
)
def test_what_is_no_recommendation_is_refused_without_its_values(
    value: bytes | None, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        decode(value)
    assert "Miller" not in str(refused.value)
    assert "Bad" not in str(refused.value)


# -- crashes

STEPS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.sampled_from(["icu", None]),
        st.integers(-2, 30),  # quarters of an hour since the one before
        st.sampled_from([-5.0, -3.6, WATCH, WARNING, URGENT, 1.0]),
        st.sampled_from([0, 0, 8]),
    ),
    min_size=1,
    max_size=30,
)
TIERS = {
    "urgent": {"recommended": "urgent", "news2": 7, "at_least": "warning"},
    "warning": {"recommended": "warning", "rise_log_odds": 1.0, "rise_hours": 4},
    "watch": {"recommended": "watch"},
}
POLICY = policy(tiers=TIERS)


def _records(steps: Sequence[Any]) -> list[bytes]:
    quarters = 0
    records = []
    for patient, unit, more, logit, news2 in steps:
        quarters = max(0, quarters + more)
        records.append(recommendation(quarters / 4, logit, patient=patient, unit=unit, news2=news2))
    return records


def _by_id(told: Sequence[tuple[bytes | None, bytes]]) -> dict[Any, bytes]:
    found: dict[Any, bytes] = {}
    for key, value in told:
        if key is not None:
            place = (key, b'"type":"resolved"' in value)
            assert found.setdefault(place, value) == value, "the same id with other bytes"
    return found


def _most(told: Sequence[tuple[bytes | None, bytes]]) -> dict[str | None, float]:
    most: dict[str | None, float] = {}
    for event in events(told, census=True):
        if event["type"] == "census":
            unit, hours = event["unit_id"], event["patient_hours"]
            most[unit] = max(hours, most.get(unit, 0.0))
    return most


class Broker:
    """Holds records, a changelog and events; a worker on it can be killed at any point."""

    def __init__(self, records: list[bytes]) -> None:
        self.records = [decode(record) for record in records]
        self.events: list[tuple[bytes | None, bytes]] = []
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.local: dict[bytes, bytes] = {}
        self.committed = self.read_to = 0
        self.begin()

    def begin(self) -> None:
        """A worker starts, where the last one committed."""
        self.read_to = self.committed
        self.flying: list[tuple[int, list[Any], list[Any]]] = []
        self.episodes = Episodes(
            lambda _, keys: [self.local.get(key) for key in keys],
            POLICY,
            capacity=2,
        )

    def batch(self, size: int) -> None:
        """Take a batch: the local copy has it, the broker not yet."""
        came = Came()
        for offset in range(self.read_to, min(self.read_to + size, len(self.records))):
            came.add(self.records[offset], offset, T0)
        if came.rows:
            self.read_to += len(came.rows)
            told = self.episodes.apply(0, came, self.committed)
            _keep(self.local, told.writes.items())
            self.flying.append((self.read_to, told.events, list(told.writes.items())))

    def deliver(self, commit: bool) -> None:
        """The broker takes the oldest batch; with luck it is committed."""
        if self.flying:
            end, told, writes = self.flying.pop(0)
            self.events += told
            self.changelog += writes
            if commit:
                self.committed = end

    def crash(self, lost: bool, some_events: int, some_writes: int) -> None:
        """Of what is on its way a part arrives; the local copy stays ahead, or is lost."""
        self.events += [e for _, told, _ in self.flying for e in told][:some_events]
        self.changelog += [w for *_, writes in self.flying for w in writes][:some_writes]
        if lost:
            self.local = {}
            _keep(self.local, self.changelog)
        self.begin()


def _keep(rows: dict[bytes, bytes], writes: Any) -> None:
    rows.update(writes)


def test_all_alerts_since_the_commit_are_told_again() -> None:
    ward = Ward()
    values = [recommendation(h, x) for h, x in enumerate((-5, WATCH, WARNING, URGENT, 1.0, -5))]
    first = [event for value in values for event in ward.told(value).events]
    assert len(_by_id(first)) == 4
    ward.restart()
    assert _by_id(ward.told(*values, offset=0).events) == _by_id(first)


def test_an_alert_at_the_committed_offset_is_not_committed() -> None:
    ward = Ward()
    ward.sees(0, WATCH)
    lost = ward.told(recommendation(1, URGENT)).events
    ward.committed = 1  # the first record is; the second is the next to be read
    ward.sees(2, URGENT)
    ward.restart()
    assert _by_id(ward.told(recommendation(1, URGENT), offset=1).events) == _by_id(lost)


@settings(max_examples=200, deadline=None)
@example(
    [("a", "icu", 0, -5.0, 0), ("a", None, 0, -3.6, 0)],
    [
        ("batch", 1),
        ("batch", 1),
        ("crash", False, 0, 0),
        ("batch", 1),
        ("deliver", False),
        ("crash", True, 0, 0),
    ],
)
@given(
    STEPS,
    st.lists(
        st.one_of(
            st.tuples(st.just("batch"), st.integers(1, 3)),
            st.tuples(st.just("batch"), st.integers(1, 9)),
            st.tuples(st.just("deliver"), st.booleans()),
            st.tuples(st.just("crash"), st.booleans(), st.integers(0, 3), st.integers(0, 9)),
        ),
        min_size=1,
        max_size=20,
    ),
)
def test_after_any_crash_the_same_is_told_to_the_byte_and_nothing_else(
    steps: list[Any], course: list[Any]
) -> None:
    records = _records(steps)
    calm = Broker(records)
    for _ in records:
        calm.batch(1)
        calm.deliver(commit=True)

    broker = Broker(records)
    for what, *how in course:
        getattr(broker, what)(*how)
    while broker.read_to < len(records) or broker.flying:
        broker.batch(7)
        broker.deliver(commit=True)

    assert _by_id(broker.events) == _by_id(calm.events)
    # watched time is exact too: the rows are what they are without crashes
    units = {key: value for key, value in calm.local.items() if key[:1] != b"p"}
    assert {key: broker.local[key] for key in units} == units
    told = _most(broker.events)
    for key, value in units.items():
        name = None if key == b"n" else key[1:].decode()
        hours = msgspec.msgpack.decode(value[1:])[2] / HOUR
        assert hours - 1 <= told.get(name, 0.0) <= hours


@given(STEPS, st.lists(st.integers(1, 60), max_size=20))
def test_batches_make_no_difference(steps: list[Any], cuts: list[int]) -> None:
    records = _records(steps)
    one, other = Broker(records), Broker(records)
    for _ in records:
        one.batch(1)
        one.deliver(commit=False)
    for start, end in pairwise(sorted({0, len(records), *(c for c in cuts if c < len(records))})):
        other.batch(end - start)
        other.deliver(commit=False)
    assert [e for e in one.events if e[0] is not None] == [
        e for e in other.events if e[0] is not None
    ]
    assert one.local == other.local


def test_a_state_of_an_hourly_patient_stays_small(ward: Ward) -> None:
    for hour in range(1000):
        ward.committed = ward.offset
        ward.sees(hour, -5 + hour * 0.005)
    assert len(ward.stored[b"pa"]) < 2000
