"""From raw records to readings: every record is a reading, or a reject with its reason.

The rules, in the order in which they are applied (``intake/1``):

1. a record without a value, or larger than ``max_reading_bytes`` with its key and headers, is
   rejected;
2. it must be one JSON object of the types in `streams.events.Reading`; NaN and infinity are not
   JSON;
3. it must carry at least one vital sign field, be it null: an object without any is no reading;
4. ``observed_at`` must not lie further after the record's Kafka time than the tolerance, nor before
   1970; without it the Kafka time is the observed time;
5. no value may be impossible (`models.vitals`): the whole record is rejected;
6. a value that is possible and not plausible is left out and flagged (`models.quality`).

Reasons name the rule and the field, never the patient or a value.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.anomaly import inspect
from models.quality import impossible, screen
from models.vitals import VITALS, WIRE_NAMES
from streams.events import Reading, patient_key, struct_of
from streams.header_names import unreadable

__all__ = ["Intake", "IntakeRules", "Reject", "record_bytes", "take"]

ReadingRow: Any = struct_of(Reading)
_decode = msgspec.json.Decoder(ReadingRow).decode
_values = attrgetter(*WIRE_NAMES)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """Limits of the rules.

    Attributes:
        max_bytes: of a record, with its key and headers.
        future_tolerance_ms: how far the observed time may lie after the Kafka time.
    """

    max_bytes: int = 65_536
    future_tolerance_ms: int = 300_000


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is no reading, and why."""

    record: Any
    reason: str


@dataclass(slots=True, eq=False)
class Intake:
    """Records of one batch, sorted out. All sequences but ``rejects`` have one entry a reading.

    Attributes:
        records: the raw records, in the order of their offsets.
        rows: decoded, one ``ReadingRow`` each.
        keys: patient ids as bytes.
        at_ms: observed times, shape [n].
        values: hundredths, `models.vitals.MISSING` = not measured or left out, shape [n, 8].
        flags: see `models.quality`, shape [n].
        devices: a number for each device, 0 = none given, shape [n].
        rejects: what is no reading.
    """

    records: list[Any] = field(default_factory=list)
    rows: list[Any] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    at_ms: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    values: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 8), np.int64))
    flags: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    devices: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    rejects: list[Reject] = field(default_factory=list)

    def only(self, which: NDArray[np.bool_]) -> "Intake":
        """Return some of the readings, without the rejects; ``which`` has shape [n]."""
        places = np.flatnonzero(which).tolist()
        return Intake(
            [self.records[i] for i in places],
            [self.rows[i] for i in places],
            [self.keys[i] for i in places],
            self.at_ms[which],
            self.values[which],
            self.flags[which],
            self.devices[which],
        )


def take(records: Sequence[Any], rules: IntakeRules) -> Intake:
    """Sort out records: readings on one side, rejects with their reasons on the other.

    Args:
        records: raw, with ``value``, ``timestamp`` (ms) and ``offset``.
        rules: the limits.
    """
    intake = Intake()
    at_ms: list[int] = []
    for record in records:
        try:
            row, key, at = _reading(record, rules)
        except _RejectError as error:
            intake.rejects.append(Reject(record, str(error)))
            continue
        intake.records.append(record)
        intake.rows.append(row)
        intake.keys.append(key)
        at_ms.append(at)
    intake.at_ms = np.array(at_ms, np.int64)
    _measure(intake)
    return intake


class _RejectError(Exception):
    """Carries the reason."""


def record_bytes(record: Any) -> int:
    """Bytes of a record: what is sent on about it is a little more than that."""
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers


def _reading(record: Any, rules: IntakeRules) -> tuple[Any, bytes, int]:
    value = record.value
    if value is None:
        raise _RejectError("no value: a reading cannot be deleted, only followed by another")
    # counted to the byte only where it may matter
    if record.headers or len(value) + len(record.key or b"") > rules.max_bytes:
        size = record_bytes(record)
        if size > rules.max_bytes:
            raise _RejectError(f"too large: {size} bytes, at most {rules.max_bytes}")
        if why := unreadable(record):
            raise _RejectError(why)
    try:
        value.decode()  # fields we do not know are not looked at, and go out as they came
        row = _decode(value)
        key = patient_key(row.patient_id).encode()
    except msgspec.ValidationError as error:
        raise _RejectError(f"wrong type or missing field: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _RejectError(f"not JSON: {error}{_hint(value)}") from None
    except UnicodeEncodeError:
        raise _RejectError("patient_id is not valid Unicode") from None
    except ValueError as error:
        raise _RejectError(str(error)) from None
    if row.observed_at is None:
        at = record.timestamp
    else:
        at = round(row.observed_at.timestamp() * 1000)
        ahead = at - record.timestamp
        if ahead > rules.future_tolerance_ms:
            raise _RejectError(
                f"observed_at lies {ahead // 1000} s after the record's Kafka time: check the "
                "clock of the device"
            )
    if at < 0:
        raise _RejectError("observed_at lies before 1970: check the clock of the device")
    return row, key, at


def _hint(value: bytes) -> str:
    literals = (b"NaN", b"Infinity")
    return (
        " (NaN and infinity are not JSON: send null)" if any(x in value for x in literals) else ""
    )


def _measure(intake: Intake) -> None:
    """Fill in the values, and reject records whose values no sensor can have sent."""
    n = len(intake.rows)
    measured = np.array([_values(row) for row in intake.rows], np.float64).reshape(n, len(VITALS))
    column = np.empty(n, np.int8)
    impossible(measured, column)
    empty = np.isnan(measured).all(axis=1)
    bad = {
        i: f"impossible value: {VITALS[column[i]].wire} is outside {VITALS[column[i]].possible} "
        f"{VITALS[column[i]].unit}"
        for i in np.flatnonzero(column >= 0).tolist()
    }
    for i in np.flatnonzero(empty).tolist():
        if _fields(intake.records[i].value).keys().isdisjoint(WIRE_NAMES):
            bad[i] = "no vital sign: none of the MDC_…_Result fields is there"
    if bad:
        intake.rejects += [Reject(intake.records[i], reason) for i, reason in sorted(bad.items())]
        keep = [i for i in range(n) if i not in bad]
        intake.records = [intake.records[i] for i in keep]
        intake.rows = [intake.rows[i] for i in keep]
        intake.keys = [intake.keys[i] for i in keep]
        intake.at_ms, measured = intake.at_ms[keep], measured[keep]
        n = len(keep)
    intake.values = np.empty((n, len(VITALS)), np.int64)
    intake.flags = np.empty(n, np.int32)
    screen(measured, intake.values, intake.flags)
    inspect(measured, intake.values, intake.flags)
    intake.devices = np.array([_device(row.device_id) for row in intake.rows], np.int64)


@lru_cache(maxsize=65_536)
def _device(device_id: str | None) -> int:
    return 0 if device_id is None else zlib.crc32(device_id.encode("utf-8", "replace")) + 1
