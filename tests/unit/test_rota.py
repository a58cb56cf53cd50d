"""Who is on call, through weeks, turns, exceptions and the nights on which the clocks change."""

from datetime import UTC, datetime, time, timedelta
from itertools import groupby, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from config.rota import Schedule
from config.wall_clock import DAYS, gaps, moment

pytestmark = pytest.mark.unit

MINUTE = timedelta(minutes=1)
QUARTER = 15 * MINUTE
#: Zone and the evening before its clocks leap: an hour, half an hour, over midnight, over a day.
FORWARD = [
    ("Europe/Berlin", datetime(2026, 3, 28)),
    ("Europe/London", datetime(2026, 3, 28)),
    ("America/New_York", datetime(2026, 3, 7)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3)),
    ("Asia/Beirut", datetime(2026, 3, 28)),
    ("Pacific/Apia", datetime(2011, 12, 29)),
]
#: The same of clocks that are put back, also over midnight.
BACK = [
    ("Europe/Berlin", datetime(2026, 10, 24)),
    ("Europe/London", datetime(2026, 10, 24)),
    ("America/New_York", datetime(2026, 10, 31)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4)),
    ("Asia/Beirut", datetime(2026, 10, 24)),
    ("America/St_Johns", datetime(2010, 11, 6)),
]


def schedule(zone: str, *shifts: dict[str, Any], **more: Any) -> Schedule:
    return Schedule.model_validate({"time_zone": zone, "shifts": shifts} | more, strict=False)


def shift(begin: str, end: str, *contacts: str, **more: Any) -> dict[str, Any]:
    return {"from": begin, "to": end, "contacts": contacts} | more


def turns(since: str) -> dict[str, Any]:
    taken = {"every_days": 7, "since": since, "contacts": ["ann", "bob", "cid"]}
    return {"from": "08:00", "to": "08:00", "rotation": taken}


def once(begin: str, end: str, contact: str = "ann") -> dict[str, Any]:
    return {"from": begin, "to": end, "contacts": [contact]}


DAY = shift("08:00", "20:00", "ann")


def two(begin: str, end: str, zone: str = "Europe/Berlin") -> Schedule:
    """One has from begin to end, the other the rest."""
    return schedule(zone, shift(begin, end, "ann"), shift(end, begin, "bob"))


def local(zone: str, *at: int) -> datetime:
    return datetime(*at, tzinfo=ZoneInfo(zone))  # type: ignore[misc,arg-type]


def through(rota: Schedule, evening: datetime, hours: int = 34) -> list[tuple[str, ...]]:
    """Who is on call in each quarter of an hour from noon before a night."""
    start = moment(evening.replace(hour=12), rota.time_zone)
    return [rota.on_call(start + number * QUARTER) for number in range(hours * 4)]


# -- the clocks


@pytest.mark.parametrize(
    ("evening", "hours"),
    [
        (datetime(2026, 3, 28), 7),
        (datetime(2026, 10, 24), 9),
        (datetime(2026, 7, 1), 8),
    ],
    ids=["forward", "back", "any"],
)
def test_a_night_from_22_to_6_lasts_as_long_as_the_clocks_make_it(
    evening: datetime, hours: int
) -> None:
    quarters = through(two("22:00", "06:00"), evening, 24)
    assert quarters.count(("ann",)) == hours * 4
    assert quarters.count(("bob",)) == (24 - hours) * 4


@pytest.mark.parametrize(("zone", "evening"), FORWARD + BACK)
@pytest.mark.parametrize("border", ["00:00", "00:30", "01:30", "02:15", "03:00"])
def test_one_person_is_on_call_at_every_time_and_takes_over_once(
    zone: str, evening: datetime, border: str
) -> None:
    quarters = through(two("20:00", border, zone), evening)
    assert {len(people) for people in quarters} == {1}
    # from noon: bob, at 20:00 ann, at the border bob, at the next 20:00 ann
    assert [people[0] for people, _ in groupby(quarters)] == ["bob", "ann", "bob", "ann"]


@pytest.mark.parametrize(("zone", "evening"), FORWARD)
def test_a_later_time_on_the_wall_is_never_an_earlier_moment(zone: str, evening: datetime) -> None:
    shown = [moment(evening + 5 * minute * MINUTE, zone) for minute in range(3 * 288)]
    assert all(before <= after for before, after in pairwise(shown))


def test_an_hour_that_is_leapt_over_is_the_moment_of_the_leap() -> None:
    leap = datetime(2026, 3, 29, 1, tzinfo=UTC)
    for minute in (0, 1, 30, 59):
        assert moment(datetime(2026, 3, 29, 2, minute), "Europe/Berlin") == leap


def test_a_time_that_is_shown_twice_is_its_first_moment() -> None:
    shown = moment(datetime(2026, 10, 25, 2, 30), "Europe/Berlin")
    assert shown == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_a_shift_within_the_hour_that_is_leapt_over_does_not_take_place() -> None:
    rota = schedule(
        "Europe/Berlin",
        shift("03:00", "02:30", "ann"), shift("02:30", "03:00", "bob"),
    )  # fmt: skip
    assert set(through(rota, datetime(2026, 3, 28))) == {("ann",)}
    assert through(rota, datetime(2026, 3, 27)).count(("bob",)) == 2


def test_the_place_decides_not_the_zone_in_which_is_asked() -> None:
    rota = two("08:00", "20:00", "Asia/Tokyo")
    at = datetime(2026, 1, 1, 23, 30, tzinfo=UTC)  # 08:30 in Tokyo
    assert rota.on_call(at) == rota.on_call(at.astimezone(ZoneInfo("America/Lima"))) == ("ann",)


# -- shifts


def test_a_shift_begins_with_its_first_minute_and_ends_before_its_last() -> None:
    rota = two("08:00", "20:00", "UTC")
    assert rota.on_call(local("UTC", 2026, 1, 5, 7, 59)) == ("bob",)
    assert rota.on_call(local("UTC", 2026, 1, 5, 8)) == ("ann",)
    assert rota.on_call(local("UTC", 2026, 1, 5, 20)) == ("bob",)


def test_a_night_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    rota = schedule(
        "UTC", shift("22:00", "06:00", "ann", days=["sat"]), fallback=["zoe"]
    )  # 2026-01-03 is a Saturday
    assert rota.on_call(local("UTC", 2026, 1, 4, 5)) == ("ann",)
    assert rota.on_call(local("UTC", 2026, 1, 3, 5)) == ("zoe",)


def test_all_people_of_shifts_at_the_same_time_are_on_call_each_once() -> None:
    rota = schedule(
        "UTC", shift("00:00", "00:00", "ann", "bob"), shift("08:00", "10:00", "bob", "cid")
    )
    assert rota.on_call(local("UTC", 2026, 1, 5, 9)) == ("ann", "bob", "cid")


def test_turns_change_by_the_day_on_which_the_shift_begins_also_before_the_first() -> None:
    rota = schedule("UTC", turns("2026-01-05"))
    assert rota.on_call(local("UTC", 2026, 1, 5, 8)) == ("ann",)
    assert rota.on_call(local("UTC", 2026, 1, 12, 7)) == ("ann",)
    assert rota.on_call(local("UTC", 2026, 1, 12, 8)) == ("bob",)
    assert rota.on_call(local("UTC", 2026, 1, 26, 8)) == ("ann",)
    assert rota.on_call(local("UTC", 2026, 1, 4, 8)) == ("cid",)


def test_an_exception_counts_before_the_shifts_and_the_first_before_the_second() -> None:
    rota = schedule(
        "UTC",
        shift("00:00", "00:00", "ann"),
        overrides=[
            once("2026-12-24 07:00", "2026-12-25 07:00", "bob"),
            once("2026-12-24 07:00", "2026-12-26 07:00", "cid"),
        ],
    )
    assert rota.on_call(local("UTC", 2026, 12, 24, 6, 59)) == ("ann",)
    assert rota.on_call(local("UTC", 2026, 12, 24, 7)) == ("bob",)
    assert rota.on_call(local("UTC", 2026, 12, 25, 7)) == ("cid",)
    assert rota.on_call(local("UTC", 2026, 12, 26, 7)) == ("ann",)


def test_a_handover_is_when_others_are_on_call_not_when_the_next_shift_begins() -> None:
    rota = schedule(
        "UTC",
        shift("08:00", "20:00", "ann"),
        shift("20:00", "08:00", "ann", days=["mon", "tue", "wed"]),
        shift("20:00", "08:00", "bob", days=["thu", "fri", "sat", "sun"]),
    )
    assert rota.handover(local("UTC", 2026, 1, 5, 9)) == local("UTC", 2026, 1, 8, 20)
    assert schedule("UTC", shift("00:00", "00:00", "ann")).handover(datetime.now(UTC)) is None


# -- what cannot be


@pytest.mark.parametrize(
    ("shifts", "when"),
    [
        (
            [shift("08:00", "20:00", "ann"), shift("21:00", "08:00", "bob")],
            "mon 20:00 to mon 21:00",
        ),
        ([shift("08:00", "07:59", "ann")], "mon 07:59 to mon 08:00"),
        ([shift("00:00", "00:00", "ann", days=DAYS[:6])], "sun 00:00 to mon 00:00"),
        (
            [shift("20:00", "08:00", "ann", days=DAYS[1:]), shift("08:00", "20:00", "a")],
            "mon 20:00 to tue 08:00",
        ),
        (
            [shift("22:00", "06:00", "a", days=DAYS[:6]), shift("06:00", "22:00", "a")],
            "sun 22:00 to mon 06:00",
        ),
        ([], "mon 00:00 to mon 00:00"),
    ],
)
def test_an_hour_of_the_week_that_has_nobody_is_refused(shifts: Any, when: str) -> None:
    with pytest.raises(ValidationError, match=f"nobody is on call.*{when}"):
        schedule("UTC", *shifts)
    assert schedule("UTC", *shifts, fallback=["zoe"]).fallback == ("zoe",)


def test_shifts_that_border_leave_no_gap() -> None:
    assert gaps([(DAYS, time(8), time(20)), (DAYS, time(20), time(8))]) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"time_zone": "Europe/Lodnon"},
            "'Europe/Lodnon': did you mean Europe/London",
        ),
        ({"time_zone": "/etc/passwd"}, "no time zone"),
        ({"time_zone": "Europe"}, "no time zone"),
        ({"shifts": [shift("24:00", "08:00", "a")]}, "write a time of day as 06:30"),
        ({"shifts": [shift("8:00", "08:00", "a")]}, "write a time of day as 06:30"),
        ({"shifts": [{"from": "08:00", "to": "08:00"}]}, "either contacts or a rotation"),
        ({"overrides": [once("2026-12-24 07:00", "2026-12-24 07:00")]}, "not after"),
        ({"overrides": [once("2026-12-24T07:00Z", "2026-12-25 07:00")]}, "without a time zone"),
        ({"shifts": [turns("2026-02-30")]}, "day of the calendar"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Schedule.model_validate(
            {"time_zone": "UTC", "shifts": [shift("00:00", "00:00", "a")]} | wrong, strict=False
        )
