"""The rule files, read and checked: every mistake with its line and what to do."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from config.located import Problem, read_yaml
from rag.safety.patterns import Lexicon, Pattern
from rag.safety.source import PatternError, RulesError, Source

__all__ = ["RulesError", "Source", "Strict", "compiled", "read"]

_M = TypeVar("_M", bound="Strict")


#: What to do about a mistake, by pydantic's name for it.
_REMEDIES = {
    "missing": "add it",
    "extra_forbidden": "take it out, or correct its name",
    "string_type": 'write it in quotes, "999"',
}


class Strict(BaseModel):
    """A part of a rule file.

    Attributes:
        version: of the file, with the first digits of the SHA-256 of its content; empty of parts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


def read(model: type[_M], name: str, path: Path | None = None) -> tuple[_M, Source]:
    """Read a file of rules.

    Args:
        model: what it holds; its ``version`` gets a checksum.
        name: of the file that ships in ``config``.
        path: another to read instead.

    Raises:
        RulesError: it is wrong, and every mistake is told; or it cannot be read.
    """
    try:
        text = (path or files("config").joinpath(name)).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise RulesError(
            f"{path or name} cannot be read: {why}: name a text file, such as a copy of "
            f"config/{name}"
        ) from None
    shown = str(path or name)
    found = read_yaml(text)
    if found.problems:
        raise RulesError("\n".join(_said(shown, problem) for problem in found.problems))
    data: Any = found.data
    if isinstance(data, dict) and isinstance(data.get("version"), str):
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        data = data | {"version": f"{data['version']}-{digest}"}
    try:
        return model.model_validate(data), Source(shown, found.lines)
    except ValidationError as error:
        problems = [
            Problem(
                found.line(each["loc"]),
                f"{_dotted(each['loc'])}: {each['msg']}: "
                f"{_REMEDIES.get(each['type'], 'correct it')}",
            )
            for each in error.errors(include_url=False)
        ]
        raise RulesError("\n".join(_said(shown, problem) for problem in sorted(problems))) from None


def compiled(
    patterns: Sequence[str], lexicon: Lexicon, source: Source, place: tuple[str | int, ...]
) -> tuple[Pattern, ...]:
    """Translate patterns of a file.

    Raises:
        RulesError: one is not in the language.
    """
    done: list[Pattern] = []
    for number, text in enumerate(patterns):
        try:
            done += Pattern.all_of(text, lexicon)
        except PatternError as error:
            raise source.wrong((*place, number), str(error)) from None
    return tuple(done)


def _said(name: str, problem: Problem) -> str:
    return f"{name}, line {problem.line}: {problem.text}"


def _dotted(place: Sequence[str | int]) -> str:
    return ".".join(map(str, place)) or "the file"
