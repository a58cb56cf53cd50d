"""From recommendations to alerts: the episode of each patient, and how long patients were watched.

    recommendation → tier reached? ─→ episode opens, climbs ─→ raised, higher
                          no, for a while, and less at risk ─→ resolved

An episode opens when a tier is first reached, and climbs with the tiers. It is resolved when for
``clear_hours`` no tier was reached and the risk lay ``clear_log_odds`` below that at which the
highest tier was reached first. A tier is raised where no higher one was raised in the episode, and
where neither it nor a higher one was raised in the last ``lockout_hours``, in whatever episode. So
an episode that lasts raises its tier again after each lock-out, if it is still met then.

Everything is in event time. A recommendation that is older than the newest does nothing; one of the
same observed time may bring a tier about, and makes nothing better.

**Replay.** The local copy can be ahead of what the broker has: a state may have seen a
recommendation whose alert was lost with the worker. So the state keeps what it told, each with the
offset of its source, until that is committed; a recommendation that comes again is told the same
bytes again, and changes nothing.

**Watched time.** Each recommendation adds the time since the patient's last one, an hour at most,
and a patient's first adds an hour; summed up by unit in a row of its own. These rows stand before
the patients' in a write: where only a part of the write was kept, a row of a unit that is there
already knows by its offset what it has counted.

Pure: knows a store of bytes per partition.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Annotated, Literal, get_args

import msgspec

from config.clock import from_ms
from config.policy import Policy, TierRule
from streams.alert_events import AlertRaised, AlertResolved, Census, PagedTier
from streams.ids import alert_id
from tables.remembered import Load, Remembered

__all__ = ["FORGET_MS", "Came", "Episodes", "Recommended", "Told", "decode"]

_HOUR_MS = 3_600_000
#: A patient of whom nothing has come for so long, by Kafka's clock, is forgotten. By the event time
#: of others a patient of a replay would be, whose day was long ago.
FORGET_MS = 7 * 24 * _HOUR_MS
#: States are looked through for such patients once an hour, so many at each batch.
_SWEEP_EVERY_MS, _SWEEP = _HOUR_MS, 64
#: Of the risks in the last hours the lowest in each such span is kept.
_SPAN_MS = 15 * 60_000

_NEVER = -(2**62)
_TIERS: tuple[PagedTier, ...] = get_args(PagedTier)
_NUMBER = {tier: i for i, tier in enumerate(("none", *_TIERS))}
#: Leaves a risk of 0 or 1 a finite logit.
_LEAST = 1e-9

_PATIENT, _UNIT, _NO_UNIT = b"p", b"u", b"n"

Writes = dict[bytes, bytes | None]


# -- what comes


class _News2(msgspec.Struct, gc=False):
    total: int


class _Processing(msgspec.Struct, gc=False):
    produced_at: Annotated[datetime, msgspec.Meta(tz=True)]


class Recommended(msgspec.Struct, gc=False):
    """What is needed of a recommendation, see `streams.events.Recommendation`."""

    recommendation_id: str
    patient_id: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    unit_id: Annotated[str, msgspec.Meta(max_length=128)] | None
    observed_at: Annotated[datetime, msgspec.Meta(tz=True)]
    risk: float
    tier: Literal["none", "watch", "warning", "urgent"]
    news2: _News2
    processing: _Processing


_decode = msgspec.json.Decoder(Recommended).decode


def decode(value: bytes | None) -> Recommended:
    """Read a recommendation.

    Raises:
        ValueError: it is none; the reason carries no values.
    """
    if value is None:
        raise ValueError("no value: a recommendation cannot be deleted")
    try:
        return _decode(value)
    except msgspec.ValidationError as error:
        # what is said of a place may quote a value
        _, at, place = str(error).rpartition(" - at ")
        raise ValueError(f"wrong type or missing field{at and ' at'}: {place}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("not JSON") from None


@dataclass(slots=True, eq=False)
class Came:
    """Recommendations of one partition, in the order of their offsets.

    Attributes:
        rows: decoded.
        offsets: ascending.
        arrived_ms: Kafka times.
    """

    rows: list[Recommended] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    arrived_ms: list[int] = field(default_factory=list)

    def add(self, row: Recommended, offset: int, arrived_ms: int) -> None:
        """Add one."""
        self.rows.append(row)
        self.offsets.append(offset)
        self.arrived_ms.append(arrived_ms)


@dataclass(slots=True, eq=False)
class Told:
    """What came of recommendations.

    Attributes:
        events: for `alerts.raised`, key and JSON, in order.
        writes: key and state, in the order in which they have to be written; None deletes.
    """

    events: list[tuple[bytes | None, bytes]] = field(default_factory=list)
    writes: Writes = field(default_factory=dict)


# -- what is kept


class _Patient(msgspec.Struct, array_like=True, gc=False):
    """What is kept of a patient; fields of the episode count while it is open.

    Attributes:
        seen: offset of the last recommendation.
        arrived_ms: Kafka time of it.
        newest_ms: newest observed time.
        lows: time and logit of the lowest risks in the last hours, both ascending.
        begin_ms: when the episode began; `_NEVER` = none is open.
        top: highest tier that it reached, as a number; 0 = none.
        top_logit: of the risk then.
        calm_ms: since when it is calm; `_NEVER` = it is not.
        raised: highest tier that it raised; 0 = none.
        alerts: how many it raised.
        alert_logit: of the risk at the last alert.
        higher: whether that was raised again.
        last_ms: when each tier was raised last, in whatever episode.
        told: what was told and may not be committed: source offset, alert id and JSON.
        counted: what was counted for units and may not be committed: source offset and
            milliseconds. A crash may keep this state and lose the unit's.
    """

    seen: int = -1
    arrived_ms: int = _NEVER
    newest_ms: int = _NEVER
    lows: list[tuple[int, float]] = []
    begin_ms: int = _NEVER
    top: int = 0
    top_logit: float = 0.0
    calm_ms: int = _NEVER
    raised: int = 0
    alerts: int = 0
    alert_logit: float = 0.0
    higher: bool = False
    last_ms: list[int] = msgspec.field(default_factory=lambda: [_NEVER] * len(_TIERS))
    told: list[tuple[int, str, bytes]] = []
    counted: list[tuple[int, int]] = []


class _Unit(msgspec.Struct, array_like=True, gc=False):
    """What is kept of a unit.

    Attributes:
        seen: offset of the last recommendation that was counted.
        newest_ms: newest observed time.
        watched_ms: sum over its patients.
        told_ms: what of it the last census told; not stored, a worker begins with a census.
    """

    seen: int = -1
    newest_ms: int = _NEVER
    watched_ms: int = 0
    told_ms: int = 0


_VERSION = b"\x01"
_encode = msgspec.msgpack.Encoder().encode
_read_patient = msgspec.msgpack.Decoder(_Patient).decode
_read_unit = msgspec.msgpack.Decoder(tuple[int, int, int]).decode


def _state(stored: bytes) -> bytes:
    if stored[:1] != _VERSION:
        raise ValueError(
            "the table of episodes was written by another release: go back to it, or begin anew "
            "with `vigil rebuild paging`"
        )
    return stored[1:]


def _patient(stored: bytes) -> _Patient:
    return _read_patient(_state(stored))


# -- the rules as numbers


@dataclass(frozen=True, slots=True)
class _Rule:
    """NEWS2 or a rise that lead to a tier."""

    tier: int
    news2: int | None
    rise: float | None
    rise_ms: int
    at_least: int


class _Rules:
    """What leads to tiers."""

    def __init__(self, tiers: dict[PagedTier, TierRule]) -> None:
        self._tiers = tiers
        by = {_NUMBER[name]: rule for name, rule in tiers.items()}
        #: Of each tier of a recommendation the highest that it alone leads to.
        self.recommended = [
            max(
                (n for n, r in by.items() if r.recommended and _NUMBER[r.recommended] <= own),
                default=0,
            )
            for own in range(len(_NUMBER))
        ]
        more = [
            _Rule(
                tier=n,
                news2=rule.news2,
                rise=rule.rise_log_odds,
                rise_ms=_ms(rule.rise_hours),
                at_least=_NUMBER[rule.at_least or "none"],
            )
            for n, rule in by.items()
            if rule.news2 is not None or rule.rise_log_odds is not None
        ]
        #: The others, the highest tier first.
        self.more = sorted(more, key=lambda rule: -rule.tier)
        #: Of each tier of a recommendation what is reached where no other rule can count, or -1.
        self.plain = [
            -1 if any(r.tier > tier and r.at_least <= own for r in self.more) else tier
            for own, tier in enumerate(self.recommended)
        ]
        #: How long risks are looked back on.
        self.back_ms = max((r.rise_ms for r in more if r.rise is not None), default=0)

    def reached(self, own: int, news2: int, logit: float, at_ms: int, state: _Patient) -> int:
        """Return the highest tier that is reached."""
        tier = self.recommended[own]
        for rule in self.more:
            if rule.tier <= tier:
                break
            if own < rule.at_least:
                continue
            if rule.news2 is not None and news2 >= rule.news2:
                return rule.tier
            if rule.rise is not None and _rise(state, logit, at_ms - rule.rise_ms) >= rule.rise:
                return rule.tier
        return tier

    def reasons(
        self, tier: int, own: int, news2: int, logit: float, at_ms: int, state: _Patient
    ) -> list[str]:
        """Say which conditions of a tier are met."""
        rule = self._tiers[_TIERS[tier - 1]]
        found = []
        if rule.recommended and own >= _NUMBER[rule.recommended]:
            found.append(f"recommended {('none', *_TIERS)[own]}")
        if own >= _NUMBER[rule.at_least or "none"]:
            if rule.news2 is not None and news2 >= rule.news2:
                found.append(f"NEWS2 {news2}, at least {rule.news2}")
            if rule.rise_log_odds is not None:
                rise = _rise(state, logit, at_ms - _ms(rule.rise_hours))
                if rise >= rule.rise_log_odds:
                    found.append(f"risk risen by {rise:.2f} log-odds in {rule.rise_hours:g} h")
        return found


def _rise(state: _Patient, logit: float, since_ms: int) -> float:
    """By how much the risk lies above the lowest since."""
    for at_ms, low in state.lows:
        if at_ms >= since_ms:
            return logit - low
    return 0.0


def _ms(hours: float) -> int:
    return round(hours * _HOUR_MS)


def _logit(risk: float) -> float:
    if not _LEAST < risk < 1 - _LEAST:
        risk = min(max(risk, _LEAST), 1 - _LEAST)
    return math.log(risk / (1 - risk))


# -- what is done


class Episodes:
    """Episodes of patients, and the units' watched time, in front of a store.

    Args:
        load: reads states.
        policy: when alerts are raised.
        capacity: how many patients are kept in memory at least, and twice as many at most.
    """

    def __init__(self, load: Load, policy: Policy, *, capacity: int) -> None:
        self._load, self._version = load, policy.version
        rules = policy.episodes
        self._rules = _Rules(rules.tiers)
        self._lockout_ms, self._clear_ms = _ms(rules.lockout_hours), _ms(rules.clear_hours)
        self._clear, self._override = rules.clear_log_odds, policy.budget.override_log_odds
        self._forget_ms = FORGET_MS + self._lockout_ms + self._clear_ms
        self._patients = Remembered(load, _patient, capacity=capacity)
        self._units: dict[int, dict[bytes, _Unit]] = {}
        # by partition: Kafka time of the last look through it; where to go on, None = it is done
        self._swept: dict[int, tuple[int, bytes | None]] = {}

    def forget(self, partition: int) -> None:
        """Drop what is in memory of a partition that was revoked, or comes back."""
        self._patients.forget(partition)
        self._units.pop(partition, None)
        self._swept.pop(partition, None)

    def apply(self, partition: int, came: Came, committed: int) -> Told:
        """Take in recommendations.

        Args:
            partition: of them, and of the states.
            came: the recommendations.
            committed: offset before which everything is surely with the broker.
        """
        events: list[tuple[bytes | None, bytes]] = []
        touched: dict[bytes, _Patient] = {}
        units: dict[str | None, _Unit] = {}
        forget_ms = self._forget_ms
        keys = [_PATIENT + row.patient_id.encode() for row in came.rows]
        known = self._patients.get(partition, keys)
        for row, offset, arrived_ms, key, stored in zip(
            came.rows, came.offsets, came.arrived_ms, keys, known, strict=True
        ):
            state = touched.get(key) or stored
            if state is None or arrived_ms - state.arrived_ms > forget_ms:
                state = _Patient()
                self._patients.put(partition, key, state)
            touched[key] = state
            unit = units.get(row.unit_id)
            if unit is None:
                unit = units[row.unit_id] = self._unit(partition, _unit_key(row.unit_id))
            at_ms = round(row.observed_at.timestamp() * 1000)
            newest_ms = state.newest_ms
            # what is newer than all that was seen was not seen: the topic was made anew
            if offset <= state.seen and at_ms <= newest_ms:
                told = next((event for event in state.told if event[0] == offset), None)
                gap_ms = next((gap for at, gap in state.counted if at == offset), None)
            else:
                if offset <= state.seen:
                    state.told, state.counted = [], []
                gap_ms = _HOUR_MS if newest_ms == _NEVER else at_ms - newest_ms
                gap_ms = min(max(gap_ms, 0), _HOUR_MS)
                state.counted.append((offset, gap_ms))
                state.seen, state.arrived_ms = offset, arrived_ms
                told = self._take(state, row, at_ms, offset) if at_ms >= newest_ms else None
            if gap_ms is not None:
                _count(unit, offset, at_ms, gap_ms)
            if told is not None:
                events += [_census(partition, row.unit_id, unit), (told[1].encode(), told[2])]
        for name, unit in units.items():
            if unit.watched_ms >= unit.told_ms + _HOUR_MS:
                events.append(_census(partition, name, unit))
        writes: Writes = {
            _unit_key(name): _VERSION + _encode((unit.seen, unit.newest_ms, unit.watched_ms))
            for name, unit in units.items()
        }
        for key, state in touched.items():
            if state.told and state.told[0][0] < committed:
                state.told = [event for event in state.told if event[0] >= committed]
            if state.counted and state.counted[0][0] < committed:
                state.counted = [each for each in state.counted if each[0] >= committed]
            writes[key] = _VERSION + _encode(state)
        return Told(events, writes)

    def sweep(
        self,
        partition: int,
        scan: Callable[[int, bytes | None], Iterable[tuple[bytes, bytes]]],
        now_ms: int,
        writes: Writes,
    ) -> None:
        """Look through a few of the stored states, and forget patients of whom nothing comes.

        Args:
            partition: of the states.
            scan: reads stored states of a partition by key, from a key on.
            now_ms: the newest Kafka time.
            writes: what is to be written; added to.
        """
        began_ms, start = self._swept.get(partition, (_NEVER, None))
        if start is None:
            if now_ms < began_ms + _SWEEP_EVERY_MS:
                return
            began_ms, start = now_ms, _PATIENT
        last = None
        for key, stored in islice(_of_patients(scan(partition, start)), _SWEEP + 1):
            last = key
            forgotten = now_ms - _patient(stored).arrived_ms > self._forget_ms
            if forgotten and key not in writes:
                writes[key] = None
                self._patients.put(partition, key, None)
        self._swept[partition] = (began_ms, last if last != start else None)

    # -- a patient

    def _take(
        self, state: _Patient, row: Recommended, at_ms: int, offset: int
    ) -> tuple[int, str, bytes] | None:
        """Take in a recommendation that is none of the past; return what is to be told."""
        logit = _logit(row.risk)
        own, news2 = _NUMBER[row.tier], row.news2.total
        again = at_ms == state.newest_ms
        state.newest_ms = at_ms
        rules = self._rules
        if rules.back_ms and not again:
            _note(state, at_ms, logit, at_ms - rules.back_ms)
        tier = rules.plain[own]
        if tier < 0:
            tier = rules.reached(own, news2, logit, at_ms, state)
        if not tier and state.begin_ms == _NEVER:
            return None
        if tier:
            if state.begin_ms == _NEVER:
                state.begin_ms, state.top = at_ms, 0
                state.raised = state.alerts = 0
            if tier > state.top:
                state.top, state.top_logit = tier, logit
            if tier >= state.raised and at_ms - max(state.last_ms[tier - 1 :]) >= self._lockout_ms:
                state.calm_ms = _NEVER
                state.raised, state.alert_logit, state.higher = tier, logit, False
                state.last_ms = [*state.last_ms]
                state.last_ms[tier - 1] = at_ms
                state.alerts += 1
                reasons = rules.reasons(tier, own, news2, logit, at_ms, state)
                return self._raise(state, row, at_ms, offset, reasons)
        if state.raised and not state.higher and logit >= state.alert_logit + self._override:
            state.higher, state.calm_ms = True, _NEVER
            rise = f"risk risen by {logit - state.alert_logit:.2f} log-odds since the alert"
            return self._raise(state, row, at_ms, offset, [rise])
        if tier or logit > state.top_logit - self._clear:
            state.calm_ms = _NEVER
        elif not again:
            return self._calm(state, row, at_ms, offset)
        return None

    def _calm(
        self, state: _Patient, row: Recommended, at_ms: int, offset: int
    ) -> tuple[int, str, bytes] | None:
        """Note that the patient is calm; resolve the episode when it has been for long enough."""
        if state.calm_ms == _NEVER:
            state.calm_ms = at_ms
        if at_ms - state.calm_ms < self._clear_ms:
            return None
        begin_ms, raised = state.begin_ms, state.raised
        state.begin_ms = state.calm_ms = _NEVER
        if not raised:
            return None
        event = AlertResolved(
            patient_id=row.patient_id, episode_at=from_ms(begin_ms), at=row.observed_at
        )
        last = alert_id(row.patient_id, begin_ms, _TIERS[raised - 1], state.alerts - 1, False)
        return _tell(state, offset, last, event)

    def _raise(
        self, state: _Patient, row: Recommended, at_ms: int, offset: int, reasons: list[str]
    ) -> tuple[int, str, bytes]:
        tier = _TIERS[state.raised - 1]
        number = alert_id(row.patient_id, state.begin_ms, tier, state.alerts - 1, state.higher)
        event = AlertRaised(
            alert_id=number,
            kind="patient",
            tier=tier,
            subject=f"risk of sepsis: {tier}",
            patient_id=row.patient_id,
            unit_id=row.unit_id,
            episode_at=from_ms(state.begin_ms),
            raised_at=from_ms(at_ms),
            produced_at=row.processing.produced_at,
            risk=row.risk,
            news2=row.news2.total,
            reasons=reasons,
            recommendation_id=row.recommendation_id,
            policy=self._version,
            higher=state.higher,
        )
        return _tell(state, offset, number, event)

    def _unit(self, partition: int, key: bytes) -> _Unit:
        known = self._units.setdefault(partition, {})
        unit = known.get(key)
        if unit is None:
            (stored,) = self._load(partition, [key])
            unit = _Unit(*_read_unit(_state(stored))) if stored is not None else _Unit()
            known[key] = unit
        return unit


def _unit_key(name: str | None) -> bytes:
    return _NO_UNIT if name is None else _UNIT + name.encode()


def _tell(
    state: _Patient, offset: int, number: str, event: AlertRaised | AlertResolved
) -> tuple[int, str, bytes]:
    told = (offset, number, event.model_dump_json().encode())
    state.told = [*state.told, told]
    return told


def _note(state: _Patient, at_ms: int, logit: float, since_ms: int) -> None:
    """Keep a risk as long as it may be the lowest of the last hours."""
    lows = state.lows
    if lows:
        first_ms, _ = lows[0]
        last_ms, last = lows[-1]
        same = last_ms // _SPAN_MS == at_ms // _SPAN_MS
        if first_ms >= since_ms and last < logit:  # mostly so, and nothing has to be dropped
            if not same:
                lows.append((at_ms, logit))
            return
        lows = [low for low in lows if low[0] >= since_ms and low[1] < logit]
        same = bool(lows) and lows[-1][0] // _SPAN_MS == at_ms // _SPAN_MS
        if same:
            state.lows = lows
            return
    lows.append((at_ms, logit))
    state.lows = lows


def _count(unit: _Unit, offset: int, at_ms: int, gap_ms: int) -> None:
    """Add the time since the patient's last recommendation to the unit, if it is not in it."""
    if offset <= unit.seen and at_ms <= unit.newest_ms:
        return
    unit.seen = offset
    unit.newest_ms = max(unit.newest_ms, at_ms)
    unit.watched_ms += gap_ms


def _census(partition: int, name: str | None, unit: _Unit) -> tuple[None, bytes]:
    unit.told_ms = unit.watched_ms
    event = Census(
        unit_id=name,
        partition=partition,
        patient_hours=unit.watched_ms / _HOUR_MS,
        at=from_ms(unit.newest_ms),
    )
    return None, event.model_dump_json().encode()


def _of_patients(rows: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    return (row for row in rows if row[0][:1] == _PATIENT)
