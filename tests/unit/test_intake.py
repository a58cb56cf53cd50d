"""Every record is a reading or a reject with its reason, whatever stands beside it."""

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vitals import MISSING, VITALS, WIRE_NAMES
from streams.events import Reading
from streams.intake import Intake, IntakeRules, take
from tests.helpers import DAY, HOUR, SECOND, T0, Record, reading, row
from tests.malformed import MALFORMED

pytestmark = pytest.mark.unit

NOT_JSON, WRONG_TYPE, CLOCK = r"^not JSON: ", r"^wrong type or missing field: ", "check the clock"


def beside(more: bytes) -> bytes:
    """Return a good reading with something else in it."""
    return reading(temperature=37)[:-1] + b", " + more + b"}"


MORE: dict[str, bytes | None] = {
    "no value": None,
    "byte that is no utf-8 in a field of no concern": beside(b'"x": "\xff"'),
    "byte that is no utf-8 in an unknown name": beside(b'"\xe4": 1'),
    "lone surrogate in a field of no concern": beside(b'"x": "\\ud800 abc"'),
    "nan in a field of no concern": beside(b'"x": NaN'),
    "control character": beside(b'"x": "a\x01"'),
    "bad escape": beside(b'"x": "\\q"'),
    "nul behind it": b'{"patient_id": "p1", "MDC_TEMP_Result": 37}\x00',
    "leading zero": b'{"patient_id": "p1", "MDC_TEMP_Result": 037}',
    "negative infinity": b'{"patient_id": "p1", "MDC_TEMP_Result": -Infinity}',
    "number of 400 digits": b'{"patient_id": "p1", "MDC_TEMP_Result": ' + b"9" * 400 + b"}",
    "patient of 300 digits": b'{"patient_id": 1e300, "MDC_TEMP_Result": 37}',
    "infinite patient": b'{"patient_id": 1e999, "MDC_TEMP_Result": 37}',
    "object patient": b'{"patient_id": {"id": 1}, "MDC_TEMP_Result": 37}',
    "array of nesting": b"[" * 20_000,
    "object of nesting": b'{"a":' * 10_000,
    "empty object": b"{}",
    "vital sign in the patient's name only": b'{"patient_id": "MDC_TEMP_Result"}',
    "some other result": b'{"patient_id": "p1", "MDC_OTHER_Result": 5}',
    "vital sign one level down": b'{"patient_id": "p1", "vitals": {"MDC_TEMP_Result": 37}}',
    "zone that is none": reading(temperature=37, observed_at="2026-01-01T00:00:00+24:00"),
    "time of day that is none": reading(temperature=37, observed_at="2026-01-01T24:00:00Z"),
    "time as a number": reading(temperature=37, observed_at=T0 / 1000),
    "first year": reading(temperature=37, observed_at="0001-01-01T00:00:00+14:00"),
    "last year": reading(temperature=37, observed_at="9999-12-31T23:59:59-14:00"),
    "saturation just over 100": reading(spo2=100.01),
    "just below nothing": reading(sbp=-0.01),
}  # fmt: skip
BAD: dict[str, bytes | None] = {**MALFORMED, **MORE}
#: What the reason says, by the name of the record; all others are not JSON.
REASONS = {
    "no value": "^no value",
    "too large": r"^too large: 700\d\d bytes, at most 65536",
    **dict.fromkeys(["no vital sign", "vital sign in the patient's name only", "some other result",
                     "vital sign one level down"], "^no vital sign"),
    **dict.fromkeys(["far future", "last year"], r"^observed_at lies \d+ s after .*" + CLOCK),
    **dict.fromkeys(["before 1970", "first year"], "^observed_at lies before 1970: " + CLOCK),
    "impossible temperature": r"^impossible value: MDC_TEMP_Result is outside \(0, 120\) Cel",
    "negative heart rate": "^impossible value: MDC_ECG_HEART_RATE_Result",
    "not available code": "^impossible value: MDC_ECG_HEART_RATE_Result",
    "saturation over 100": "^impossible value: MDC_PULS_OXIM_SAT_O2_Result",
    "saturation just over 100": "^impossible value: MDC_PULS_OXIM_SAT_O2_Result",
    "just below nothing": "^impossible value: MDC_PRESS_BLD_NONINV_SYS_Result",
    "empty patient": "^patient_id is empty",
    "long patient": "^patient_id: over 128 characters",
    "patient of 300 digits": "^patient_id: over 128 characters",
    "fractional patient": "^patient_id is neither text nor a whole number",
    **dict.fromkeys(["no patient", "null patient", "boolean patient", "list patient",
                     "object patient", "infinite patient", "empty object"],
                    WRONG_TYPE + ".*patient_id"),
    **dict.fromkeys(["array", "number", "string", "null", "true", "array of nesting"],
                    WRONG_TYPE + "Expected `object`"),
    **dict.fromkeys(["text value", "boolean value", "list value", "object value", "huge value",
                     "number of 400 digits"], WRONG_TYPE + ".*MDC_TEMP_Result"),
    **dict.fromkeys(["time without zone", "time as text", "impossible date", "zone that is none",
                     "time of day that is none", "time as a number"], WRONG_TYPE + ".*observed_at"),
    "numeric device": WRONG_TYPE + ".*device_id",
    **dict.fromkeys(["nan value", "infinite value", "negative infinity",
                     "nan in a field of no concern"],
                    NOT_JSON + r".*\(NaN and infinity are not JSON: send null\)"),
}  # fmt: skip


def sorted_out(*values: bytes | None, at: Sequence[int] = (), **rules: int) -> Intake:
    times = at or [T0] * len(values)
    records = [
        Record(value, timestamp, offset)
        for offset, (value, timestamp) in enumerate(zip(values, times, strict=True))
    ]
    return take(records, IntakeRules(**rules))


def reason(value: bytes | None) -> str:
    intake = sorted_out(value)
    assert intake.rows == []
    return intake.rejects[0].reason


# -- malformed


@pytest.mark.parametrize("name", BAD)
def test_a_malformed_record_is_rejected_with_its_reason_and_its_neighbours_are_taken(
    name: str,
) -> None:
    good = [reading(f"p{n}", heart_rate=80 + n) for n in range(3)]
    intake = sorted_out(good[0], BAD[name], good[1], BAD[name], good[2])
    assert intake.keys == [b"p0", b"p1", b"p2"]
    assert intake.values[:, 0].tolist() == [8000, 8100, 8200]
    assert [record.offset for record in intake.records] == [0, 2, 4]
    assert [reject.record.offset for reject in intake.rejects] == [1, 3]
    for reject in intake.rejects:
        assert reject.record.value == BAD[name]
    assert len({reject.reason for reject in intake.rejects}) == 1
    assert re.search(REASONS.get(name, NOT_JSON), reason(BAD[name]), re.DOTALL), reason(BAD[name])


def test_all_malformed_records_together_leave_the_good_ones_in_order() -> None:
    good = [reading(n, temperature=36 + n / 100) for n in range(len(BAD))]
    mixed = [value for pair in zip(good, BAD.values(), strict=True) for value in pair]
    intake = sorted_out(*mixed)
    assert [record.value for record in intake.records] == good
    assert intake.keys == [str(n).encode() for n in range(len(BAD))]
    assert len(intake.rejects) == len(BAD)


SECRET = "Maria-Musterfrau-1961"


@pytest.mark.parametrize(
    "fields",
    [
        {"heart_rate": "123.4567"},
        {"heart_rate": 1234567},
        {"heart_rate": [1234567]},
        {"heart_rate": 80, "observed_at": "1234567"},
        {"heart_rate": 80, "observed_at": "2199-01-23T04:56:07Z"},
        {"heart_rate": 80, "unit_id": 1234567},
        {"heart_rate": 80, "patient_id": SECRET * 10},
        {"heart_rate": 80, "patient_id": [SECRET]},
        {"heart_rate": 80, "patient_id": 1234567.5},
        {"note": 1234567},
    ],
)
def test_a_reason_never_contains_the_patient_or_a_value(fields: dict[str, Any]) -> None:
    said = reason(reading(**{"patient_id": SECRET, **fields}))
    assert SECRET[:5] not in said
    assert "123" not in said


@pytest.mark.parametrize(
    "text",
    [f'{{"patient_id": "{SECRET}", "MDC_TEMP_Result": 3', f'{{"patient_id": "{SECRET}"\xff}}',
     f'"{SECRET}"', SECRET, f'{{"{SECRET}": NaN}}'],
)  # fmt: skip
def test_a_reason_for_text_that_is_not_json_does_not_quote_it(text: str) -> None:
    assert SECRET[:5] not in reason(text.encode("latin-1"))


# -- good ones


def test_the_original_five_fields_alone_are_a_reading_at_the_kafka_time() -> None:
    intake = sorted_out(reading(pulse_rate=80, temperature=37.25, heart_rate=82, resp_rate=16))
    assert intake.rejects == []
    assert intake.at_ms.tolist() == [T0]
    expected = row(pulse_rate=80, temperature=37.25, heart_rate=82, resp_rate=16)
    np.testing.assert_array_equal(intake.values[0], expected)
    assert intake.devices.tolist() == [0]
    assert intake.flags.tolist() == [0]


@pytest.mark.parametrize("given_id", [3, 3.0, "3"])
def test_a_numeric_id_is_the_patient_of_its_digits(given_id: Any) -> None:
    assert sorted_out(reading(given_id, heart_rate=80)).keys == [b"3"]


def test_a_patient_of_any_script_is_their_utf_8() -> None:
    assert sorted_out(reading("Łukasz 🫀", heart_rate=80)).keys == ["Łukasz 🫀".encode()]


def test_vital_signs_that_are_all_null_are_a_reading() -> None:
    for fields in ({"temperature": None}, {vital.name: None for vital in VITALS}):
        intake = sorted_out(reading(**fields))
        assert intake.rejects == []
        assert (intake.values == MISSING).all()


def test_a_name_may_be_spelled_with_escapes() -> None:
    intake = sorted_out(b'{"patient_id": "p1", "MDC_TEMP_Re\\u0073ult": null}')
    assert intake.keys == [b"p1"]


def test_of_a_field_given_twice_the_last_counts() -> None:
    text = b'{"patient_id":"a","MDC_TEMP_Result":20,"patient_id":"b","MDC_TEMP_Result":37}'
    intake = sorted_out(text)
    assert intake.keys == [b"b"]
    assert intake.values[0].tolist() == row(temperature=37).tolist()


@pytest.mark.parametrize(
    ("spelling", "ms"),
    [
        ("2026-01-01T00:00:00Z", T0), ("2026-01-01T00:00:00.0014Z", T0 + 1),
        ("2026-01-01T02:30:00+02:30", T0), ("2025-12-31T23:00:00.5-01:00", T0 + 500),
        ("1970-01-01T00:00:00Z", 0), ("2026-01-01 00:00:00Z", T0), ("2026-01-01t00:00:00z", T0),
    ],
)  # fmt: skip
def test_observed_at_is_read_in_any_time_zone_to_the_millisecond(spelling: str, ms: int) -> None:
    intake = sorted_out(reading(heart_rate=80, observed_at=spelling), at=[T0])
    assert intake.at_ms.tolist() == [ms]


@pytest.mark.parametrize(("ahead_ms", "taken"), [(300_000, True), (300_001, False), (-DAY, True)])
def test_observed_at_may_lie_after_the_kafka_time_by_the_tolerance(
    ahead_ms: int, taken: bool
) -> None:
    value = reading(heart_rate=80, observed_at="2026-01-01T00:00:00Z")
    intake = sorted_out(value, at=[T0 - ahead_ms])
    assert bool(intake.keys) == taken
    later = sorted_out(value, at=[T0 - HOUR - SECOND], future_tolerance_ms=HOUR)
    assert later.rejects[0].reason.startswith("observed_at lies 3601 s after")


def test_a_record_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    value = reading(heart_rate=80)
    assert sorted_out(value, max_bytes=len(value)).keys == [b"p1"]
    assert sorted_out(value + b" ", max_bytes=len(value)).keys == []


def test_an_implausible_value_is_left_out_and_flagged_and_its_record_taken() -> None:
    intake = sorted_out(reading(heart_rate=5, temperature=98.6, spo2=97), reading(heart_rate=80))
    assert intake.rejects == []
    np.testing.assert_array_equal(intake.values[0], row(spo2=97))
    assert intake.flags.tolist() == [0b100000001, 0]


def test_devices_are_told_apart_and_none_is_nought() -> None:
    values = [reading(heart_rate=80, device_id=d) for d in ("m1", "m2", "m1", "", None)]
    devices = sorted_out(*values).devices.tolist()
    assert devices[0] == devices[2]
    assert len(set(devices)) == 4
    assert devices[-1] == 0
    assert all(0 <= device <= 2**32 for device in devices)


def test_no_records_are_no_readings() -> None:
    intake = sorted_out()
    assert (intake.keys, intake.rejects, intake.values.shape) == ([], [], (0, len(VITALS)))


def test_only_keeps_what_is_asked_for_in_its_order_and_no_rejects() -> None:
    intake = sorted_out(*(reading(n, heart_rate=80 + n) for n in range(4)), b"{")
    some = intake.only(np.array([True, False, False, True]))
    assert some.keys == [b"0", b"3"]
    assert some.values[:, 0].tolist() == [8000, 8300]
    assert [record.offset for record in some.records] == [0, 3]
    assert len(some.rows) == len(some.at_ms) == len(some.flags) == len(some.devices) == 2
    assert some.rejects == []


# -- anything at all


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(reading(heart_rate=80))), max_size=6))
def test_any_bytes_are_read_or_rejected_and_never_both(values: list[bytes]) -> None:
    intake = sorted_out(*values)
    places = [r.offset for r in intake.records] + [r.record.offset for r in intake.rejects]
    assert sorted(places) == list(range(len(values)))
    lengths = {len(intake.rows), len(intake.keys), len(intake.at_ms), len(intake.values),
               len(intake.flags), len(intake.devices)}  # fmt: skip
    assert lengths == {len(intake.records)}


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(-1e300, 1e300), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"patient_id": st.one_of(st.just("p1"), json_values)},
        optional={name: st.one_of(st.floats(0, 100), json_values) for name in WIRE_NAMES[:3]},
    ),
    st.dictionaries(st.text(max_size=5), json_values, max_size=2),
)
def test_what_is_taken_is_what_the_contract_accepts(
    event: dict[str, Any], unknown: dict[str, Any]
) -> None:
    value = json.dumps({**unknown, **event}).encode()
    intake = sorted_out(value)
    try:
        expected = Reading.model_validate_json(value)
    except ValueError:
        assert intake.keys == []
        return
    if intake.keys:
        assert intake.keys == [expected.patient_id.encode()]
    else:
        assert intake.rejects[0].reason.startswith(("impossible value", "no vital sign"))
