"""The alert policy, read from one file for people and checked as a whole.

Each mistake is told with its line and what to do, all of them at once. Three passes find them: YAML
(`config.located`), the models (`config.policy_models`, `config.rota`, `config.contacts`), and what
one part says of another (here).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from config.contacts import Channel, Contact, Kind, Limit, Quiet, Tier
from config.located import Path as Place
from config.located import Problem, read_yaml
from config.policy_checks import between
from config.policy_models import (
    NOBODY,
    Budget,
    EpisodeRules,
    Escalation,
    Policy,
    Route,
    Step,
    TierRule,
)
from config.rota import Override, Rotation, Schedule, Shift

__all__ = [
    "NOBODY",
    "SHIPPED",
    "Budget",
    "Channel",
    "Contact",
    "EpisodeRules",
    "Escalation",
    "Kind",
    "Limit",
    "Override",
    "Policy",
    "PolicyError",
    "Quiet",
    "Rotation",
    "Route",
    "Schedule",
    "Shift",
    "Step",
    "Tier",
    "TierRule",
    "load_policy",
    "parse_policy",
]

#: The policy that ships with the project.
SHIPPED = "policy.yaml"


class PolicyError(ValueError):
    """The policy file is wrong.

    Attributes:
        problems: one line each: file, line, what is wrong and what to do.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy and check it.

    Args:
        path: the file; None: the policy that ships.

    Raises:
        PolicyError: it is wrong; every mistake is told.
        OSError: there is no such file, or it may not be read.
    """
    if path is None:
        return parse_policy(files("config").joinpath(SHIPPED).read_text(encoding="utf-8"), SHIPPED)
    try:
        return parse_policy(path.read_bytes().decode(), str(path))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise PolicyError((f"{path}, line {line}: not UTF-8: save the file as UTF-8",)) from None


def parse_policy(text: str, name: str = SHIPPED) -> Policy:
    """Check the text of a policy.

    Args:
        text: YAML.
        name: what errors call the file.

    Raises:
        PolicyError: it is wrong; every mistake is told.
    """
    found = read_yaml(text)
    problems = list(found.problems)
    policy = None
    if isinstance(found.data, dict):
        data = found.data
        if isinstance(version := data.get("version"), str) and version:
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            data = data | {"version": f"{version}-{digest}"}
        try:
            # as JSON: strict models take its lists for tuples, its text for times
            policy = Policy.model_validate_json(json.dumps(data, default=str))
        except ValidationError as error:
            problems += [
                Problem(found.line(_place(each)), _said(each))
                for each in error.errors(include_url=False)
            ]
        problems += [Problem(found.line(place), said) for place, said in between(data)]
    elif not problems:
        problems.append(Problem(1, "the file is not a mapping: see config/policy.yaml for one"))
    if problems or policy is None:
        raise PolicyError(
            tuple(f"{name}, line {each.line}: {each.text}" for each in sorted({*problems}))
        )
    return policy


# -- what the models say


def _place(error: ErrorDetails) -> Place:
    return tuple(part for part in error["loc"] if part != "[key]")


def _said(error: ErrorDetails) -> str:
    place, kind = _place(error), error["type"]
    where = _dotted(place)
    if kind == "missing":
        return f"{where} is missing: add it"
    if kind == "extra_forbidden":
        known = _keys(place[:-1])
        near = get_close_matches(str(place[-1]), known, 1)
        meant = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return f"{where} is not known: {meant}"
    if kind == "value_error":
        given = error["input"]
        shown = f" is {given!r}" if isinstance(given, str | int | float) else ""
        return f"{where}{shown}: {error['ctx']['error']}"
    if kind == "string_type":
        return f"{where} is {error['input']!r}: write text, in quotes where it looks like a number"
    if kind == "too_short":
        return f"{where} is empty: add at least one"
    given = error["input"]
    shown = json.dumps(given) if not isinstance(given, dict | list) else "not what it can be"
    asked = error["msg"].replace("Input should be", "it should be")
    return f"{where} is {shown}: {asked}"


def _dotted(place: Iterable[str | int]) -> str:
    """("a", "b", 0) → a.b[0]."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".") or "the file"


def _keys(place: Place) -> list[str]:
    """Keys that a part of the policy may have."""
    at: Any = Policy
    for part in place:
        if isinstance(at, type) and issubclass(at, BaseModel):
            fields = at.model_fields
            field = next((f for n, f in fields.items() if part in (n, f.alias)), None)
            at = None if field is None else field.annotation
        if not (isinstance(at, type) and issubclass(at, BaseModel)):
            at = next(_models(at), None)
    if at is None:
        return []
    return [field.alias or name for name, field in at.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
