"""The live state: what it keeps, in which order, and for how long."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.clock import from_ms
from streams.alert_events import AlertChange
from streams.events import Recommendation
from tables.ward import WardTable
from tables.ward_rows import NOT_MEASURED, RECENT, SPANS, RowError, decode, encode
from tests.helpers import HOUR, T0
from tests.unit.made_ward import change, feeds, recommendation, ward


def _shown(table: WardTable) -> Any:
    """All that can be asked of a ward."""
    patients = {name: table.patient(name) for name in "abc"}
    units = {name: [one.patient_id for one in table.unit(name)] for name in ("u1", "u2")}
    alerts = [table.alerts_of(name) for name in ("p000123", *"abc")]
    return table.now_ms, patients, units, alerts, table.alert("Ra1"), table.paged("nurse-day")


def _fed(records: list[tuple[str, bytes]]) -> WardTable:
    table = WardTable()
    for kind, value in records:
        getattr(table, kind)(value)
    return table


@given(feeds, st.randoms(use_true_random=False))
def test_any_order_of_the_same_records_gives_the_same_ward(records: Any, random: Any) -> None:
    shuffled = list(records)
    random.shuffle(shuffled)

    assert _shown(_fed(records)) == _shown(_fed(shuffled))


@given(feeds)
def test_records_that_come_again_change_nothing(records: Any) -> None:
    table = _fed(records)
    before = _shown(table)
    table.drain()

    for kind, value in records:
        getattr(table, kind)(value)

    assert _shown(table) == before


@given(feeds, st.integers(0, 60))
def test_a_ward_goes_on_from_what_it_stored(records: Any, at: int) -> None:
    stored: dict[bytes, bytes] = {}
    table = WardTable()
    for half in (records[:at], records[at:]):
        for kind, value in half:
            getattr(table, kind)(value)
        for key, row in table.drain().items():
            if row is None:
                stored.pop(key, None)
            else:
                stored[key] = row
        shown = _shown(table)
        table = WardTable()
        table.restore(stored.items())
        assert _shown(table) == shown


def test_the_made_records_are_what_is_on_the_wire() -> None:
    Recommendation.model_validate_json(recommendation(1, heart_rate=90))
    AlertChange.model_validate_json(change(0, "raised", 1))


def test_an_older_recommendation_is_sorted_in_and_overwrites_nothing() -> None:
    table = ward(
        recommendation(5, risk=0.5, tier="urgent", heart_rate=120),
        recommendation(3, risk=0.1, unit="ICU-1", heart_rate=90),
    )
    patient = table.patient("p000123")

    assert patient is not None
    assert patient.newest.risk == 0.5
    assert patient.newest.unit_id == "ICU-2"
    assert [one.at_ms for one in patient.recent] == [T0 + 3 * HOUR, T0 + 5 * HOUR]


def test_of_the_same_time_the_reading_that_was_produced_later_is_the_newest() -> None:
    later = {"produced_at": "2026-01-02T00:00:00Z", "scored_at": "2026-01-02T00:00:00Z"}
    values = [
        recommendation(1, risk=0.2, number=7, processing=later),
        recommendation(1, risk=0.3, number=9),
    ]
    for order in (values, values[::-1]):
        patient = ward(*order).patient("p000123")
        assert patient is not None
        assert patient.newest.risk == 0.2


def test_a_patient_who_moves_is_on_the_new_unit_alone() -> None:
    table = ward(recommendation(1, unit="ICU-1"), recommendation(2, unit="ICU-2"))

    assert table.unit("ICU-1") == []
    assert [one.patient_id for one in table.unit("ICU-2")] == ["p000123"]
    assert table.units() == ["ICU-2"]


def test_a_unit_shows_the_highest_risk_first() -> None:
    table = ward(
        recommendation(1, patient="low", risk=0.01),
        recommendation(1, patient="high", risk=0.4),
        recommendation(1, patient="mid", risk=0.1),
    )

    assert [one.patient_id for one in table.unit("ICU-2")] == ["high", "mid", "low"]


def test_a_patient_without_news_is_shown_no_more_and_then_dropped() -> None:
    table = ward(recommendation(0, patient="gone"), recommendation(24, patient="other"))
    assert table.patient("gone") is not None

    table.recommended(recommendation(24.1, patient="other"))
    assert table.patient("gone") is None
    assert [one.patient_id for one in table.unit("ICU-2")] == ["other"]

    table.drain()
    table.recommended(recommendation(49, patient="other"))
    assert table.drain()[b"pgone"] is None
    assert len(table) == 1


def test_a_patient_comes_back_with_news() -> None:
    table = ward(recommendation(0, patient="gone"), recommendation(30, patient="other"))
    assert table.patient("gone") is None

    table.recommended(recommendation(29, patient="gone", risk=0.3))

    back = table.patient("gone")
    assert back is not None
    assert back.newest.risk == 0.3


def test_a_fast_feed_keeps_as_much_as_a_slow_one() -> None:
    table = WardTable()
    for second in range(0, 30 * 3600, 60):
        table.recommended(recommendation(second / 3600, heart_rate=80 + second % 7, spo2=97))
    patient = table.patient("p000123")

    assert patient is not None
    assert len(patient.recent) == RECENT
    assert len(patient.spans) == SPANS
    assert len(encode(patient)) < 8_192


def test_an_hour_keeps_its_lowest_and_highest_and_where_its_highest_tier_began() -> None:
    table = ward(
        recommendation(1.0, spo2=97, tier="watch"),
        recommendation(1.2, spo2=82, tier="urgent"),
        recommendation(1.5, spo2=96, tier="urgent"),
        recommendation(1.9, spo2=95, tier="watch"),
    )
    patient = table.patient("p000123")

    assert patient is not None
    (span,) = patient.spans
    found = span.ranges[4]
    assert (found.last, found.low, found.high) == (9500, 8200, 9700)
    assert span.top.at_ms == T0 + round(1.2 * HOUR)
    assert span.last.at_ms == T0 + round(1.9 * HOUR)


def test_implausible_values_are_left_out_as_they_were_when_scored() -> None:
    patient = ward(recommendation(1, heart_rate=90, temperature=101.3)).patient("p000123")

    assert patient is not None
    (point,) = patient.recent
    assert point.values[0] == 9000
    assert point.values[3] == NOT_MEASURED


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"{}", b'{"patient_id": "p-secret"}'])
def test_what_is_no_record_is_refused_without_a_word_of_the_patient(value: bytes | None) -> None:
    for take in (WardTable().recommended, WardTable().changed):
        with pytest.raises(ValueError, match=r"no value|not JSON|wrong type") as raised:
            take(value)
        assert "secret" not in str(raised.value)


def test_a_wrong_value_is_not_repeated_in_the_reason() -> None:
    told = json.loads(recommendation(1))
    told["tier"] = "p000123 has a secret"

    with pytest.raises(ValueError, match="wrong type") as raised:
        WardTable().recommended(json.dumps(told).encode())

    assert "secret" not in str(raised.value)


def test_rows_of_another_release_or_damaged_ones_are_refused() -> None:
    patient = ward(recommendation(1)).patient("p000123")
    assert patient is not None
    good = encode(patient)
    assert decode(good) == patient
    for bad in (b"", b"\x02" + good[1:], good[:-3], b"\x01" + msgspec.msgpack.encode({"a": 1})):
        with pytest.raises(RowError):
            decode(bad)
    with pytest.raises(RowError):
        WardTable().restore([(b"aa1", b"\x07")])


def test_times_are_of_the_event() -> None:
    table = ward(recommendation(1))

    assert from_ms(table.now_ms) == from_ms(T0 + HOUR)


def test_a_ward_needs_some_time_for_news() -> None:
    with pytest.raises(ValueError, match="silent_ms"):
        WardTable(silent_ms=0)
