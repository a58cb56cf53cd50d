"""What one part of the policy says of another: names that lead nowhere, people out of reach, gaps.

It works on the file's plain data and looks at parts that are right by themselves, so that a mistake
in one part does not hide those in others.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import product
from typing import Any

from pydantic import TypeAdapter, ValidationError

from config.contacts import Contact
from config.located import Path as Place
from config.policy_models import NOBODY, Escalation, Route
from config.rota import Schedule

__all__ = ["between"]


def between(data: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    """Tell what does not fit together: where, and what to do."""
    contacts = _parts(data, "contacts", Contact)
    schedules = _parts(data, "schedules", Schedule)
    escalations = _parts(data, "escalations", Escalation)
    known = {name: set(_mapping(data.get(name))) for name in ("contacts", "schedules")}
    for name in sorted(known["contacts"] & known["schedules"]):
        yield ("schedules", name), f"{name!r} is a contact too: give the schedule another name"
    for name, schedule in schedules.items():
        for place, contact in schedule.people():
            if contact not in known["contacts"]:
                yield (
                    ("schedules", name, *place),
                    f"contact {contact!r} of schedule {name!r}{_shift(schedule, place)} is not "
                    f"among the contacts: add it, or {_instead(contact, known['contacts'])}",
                )
    for name, escalation in escalations.items():
        if name == NOBODY:
            yield ("escalations", name), f"{NOBODY!r} means that no one is paged: rename it"
        for number, step in enumerate(escalation.steps):
            for index, target in enumerate(step.notify):
                place = ("escalations", name, "steps", number, "notify", index)
                if target not in known["contacts"] | known["schedules"]:
                    near = _instead(target, known["contacts"] | known["schedules"])
                    yield (
                        place,
                        f"{target!r} of escalation {name!r} is neither a schedule nor a contact: "
                        f"add it, or {near}",
                    )
                for contact in _behind(target, schedules):
                    person = contacts.get(contact)
                    if person and not any(person.reached_by(each) for each in step.channels):
                        yield (
                            place,
                            f"{contact!r} has no {' and no '.join(step.channels)}, so this step "
                            "cannot page whom it names: add an address or a channel",
                        )
    yield from _routes(data, set(_mapping(data.get("escalations"))))


def _routes(data: Mapping[str, Any], escalations: set[str]) -> Iterator[tuple[Place, str]]:
    listed = data.get("routes")
    routes = {
        number: route
        for number, raw in enumerate(listed if isinstance(listed, list) else ())
        if (route := _part(raw, Route)) is not None
    }
    earlier: list[Route] = []
    for number, route in routes.items():
        if route.escalation not in escalations | {NOBODY}:
            yield (
                ("routes", number, "escalation"),
                f"there is no escalation {route.escalation!r}: add it, or "
                f"{_instead(route.escalation, escalations | {NOBODY})}",
            )
        ways = [*product(route.units or (None,), route.tiers)]
        if all(any(e.takes(route.kind, u, t) for e in earlier) for u, t in ways):
            yield ("routes", number), "a route above takes all its alerts: move it up or remove it"
        if (route.kind, route.escalation) == ("patient", NOBODY) and "urgent" in route.tiers:
            yield (
                ("routes", number),
                "urgent alerts about patients have to page somebody: name an escalation",
            )
        earlier.append(route)
    if isinstance(listed, list) and len(routes) == len(listed):
        for kind in ("patient", "operations"):
            if not any(each.takes(kind, None, "urgent") for each in earlier):
                yield (
                    ("routes",),
                    f"no route takes urgent {kind} alerts of units that are not named: add one "
                    "without units",
                )


def _parts(data: Mapping[str, Any], name: str, model: type[Any]) -> dict[str, Any]:
    return {
        key: part
        for key, raw in _mapping(data.get(name)).items()
        if (part := _part(raw, model)) is not None
    }


def _part(raw: Any, model: type[Any]) -> Any:
    """A part by itself; None where it is wrong, which the whole has told already."""
    try:
        return TypeAdapter(model).validate_json(json.dumps(raw, default=str))
    except ValidationError:
        return None


def _mapping(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def _shift(schedule: Schedule, place: Place) -> str:
    if place[0] != "shifts":
        return ""
    number = int(place[1])
    return f", shift {schedule.shifts[number].name or number + 1!r},"


def _instead(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(known), 1)
    return f"write {near[0]!r}" if near else "name another"


def _behind(target: str, schedules: Mapping[str, Schedule]) -> list[str]:
    if target not in schedules:
        return [target]
    return [*dict.fromkeys(contact for _, contact in schedules[target].people())]
