"""Records that are no readings, by what is wrong with them."""

import json

__all__ = ["MALFORMED"]

_GOOD = {"patient_id": "p1", "MDC_TEMP_Result": 37.0}


def _with(**changes: object) -> bytes:
    return json.dumps({**_GOOD, **changes}).encode()


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "blank": b"   ",
    "text": b"hello",
    "truncated": b'{"patient_id": "p1", "MDC_TEMP_Re',
    "trailing comma": b'{"patient_id": "p1", "MDC_TEMP_Result": 37,}',
    "two objects": b'{"patient_id": "p1"}{"patient_id": "p2"}',
    "single quotes": b"{'patient_id': 'p1', 'MDC_TEMP_Result': 37}",
    "array": b'[{"patient_id": "p1", "MDC_TEMP_Result": 37}]',
    "number": b"42",
    "string": b'"p1"',
    "null": b"null",
    "true": b"true",
    "byte order mark": b"\xef\xbb\xbf" + _with(),
    "utf-16": json.dumps(_GOOD).encode("utf-16"),
    "invalid utf-8": b'{"patient_id": "\xff\xfe", "MDC_TEMP_Result": 37}',
    "binary": bytes(range(256)),
    "deep nesting": b'{"patient_id": "p1", "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "csv": b"p1,80,37.0,82,16",
    "xml": b"<reading patient='p1'/>",
    "no patient": b'{"MDC_TEMP_Result": 37}',
    "null patient": _with(patient_id=None),
    "empty patient": _with(patient_id=""),
    "boolean patient": _with(patient_id=True),
    "list patient": _with(patient_id=["p1"]),
    "fractional patient": _with(patient_id=1.5),
    "long patient": _with(patient_id="p" * 129),
    "lone surrogate patient": b'{"patient_id": "\\ud800", "MDC_TEMP_Result": 37}',
    "text value": _with(MDC_TEMP_Result="37"),
    "boolean value": _with(MDC_TEMP_Result=True),
    "list value": _with(MDC_TEMP_Result=[37]),
    "object value": _with(MDC_TEMP_Result={"value": 37}),
    "nan value": b'{"patient_id": "p1", "MDC_TEMP_Result": NaN}',
    "infinite value": b'{"patient_id": "p1", "MDC_TEMP_Result": Infinity}',
    "huge value": b'{"patient_id": "p1", "MDC_TEMP_Result": 1e999}',
    "impossible temperature": _with(MDC_TEMP_Result=500),
    "negative heart rate": _with(MDC_ECG_HEART_RATE_Result=-5),
    "not available code": _with(MDC_ECG_HEART_RATE_Result=8388607),
    "saturation over 100": _with(MDC_PULS_OXIM_SAT_O2_Result=250),
    "no vital sign": b'{"patient_id": "p1", "HeartRate": 80}',
    "far future": _with(observed_at="2199-01-01T00:00:00Z"),
    "before 1970": _with(observed_at="1911-01-01T00:00:00Z"),
    "time without zone": _with(observed_at="2026-01-01T00:00:00"),
    "time as text": _with(observed_at="yesterday"),
    "impossible date": _with(observed_at="2026-02-30T00:00:00Z"),
    "numeric device": _with(device_id=7),
    "too large": _with(note="x" * 70_000),
}
