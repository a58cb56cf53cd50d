"""YAML that remembers its lines, so that every mistake in a file can be shown where it stands.

Only what JSON has is read: ``22:00``, ``+44…`` and ``2026-12-24`` are text and ``no`` is a word,
where YAML 1.1 would make numbers, dates and booleans of them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

__all__ = ["Located", "Path", "Problem", "read_yaml"]

#: Way to a value: keys of mappings and numbers in lists.
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake.

    Attributes:
        line: counted from 1.
        text: what is wrong and what to do.
    """

    line: int
    text: str


class _Loader(yaml.SafeLoader):
    """YAML with the values of JSON."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("null", r"~|null|", ["~", "n", ""]),
    ("bool", r"true|false", list("tf")),
    ("int", r"-?(?:0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(?:0|[1-9][0-9]*)\.[0-9]+", list("-0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first
    )


@dataclass(frozen=True, slots=True)
class Located:
    """What a file says, and where.

    Attributes:
        data: plain values; of a key that stands twice the last, None where it is not YAML.
        lines: line of each value, by its path.
        problems: what is wrong before anybody asks what it means.
    """

    data: Any
    lines: dict[Path, int]
    problems: tuple[Problem, ...]

    def line(self, path: Sequence[str | int]) -> int:
        """Line of a value, or of the nearest that is there and holds it."""
        for end in range(len(path), 0, -1):
            if (found := self.lines.get(tuple(path[:end]))) is not None:
                return found
        return 1


def read_yaml(text: str) -> Located:
    """Read a file's text."""
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Located(None, {}, (Problem(1, "the file is empty"),))
        # before merging, which puts keys of elsewhere into a mapping
        problems = tuple(_duplicates(root, set()))
        data = loader.construct_document(root)
        lines = dict(_lines(root, (), root.start_mark.line, ()))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = ", ".join(part for part in (error.context, error.problem) if part)
        return Located(None, {}, (Problem((mark.line if mark else 0) + 1, f"not YAML: {said}"),))
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: !!float x
        return Located(None, {}, (Problem(1, f"not YAML: {error}"),))
    finally:
        loader.dispose()
    return Located(data, lines, problems)


def _duplicates(node: yaml.Node, seen: set[int]) -> Iterator[Problem]:
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _duplicates(item, seen)
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if isinstance(key.value, str) and key.value in first:
                yield Problem(
                    line,
                    f"{key.value!r} stands here again, first in line {first[key.value]}: "
                    "keep one of them",
                )
            elif isinstance(key.value, str):
                first[key.value] = line
            yield from _duplicates(value, seen)


def _lines(
    node: yaml.Node, path: Path, line: int, above: tuple[int, ...]
) -> Iterator[tuple[Path, int]]:
    yield path, line + 1
    if id(node) in above:
        raise yaml.MarkedYAMLError(problem="a part contains itself", problem_mark=node.start_mark)
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _lines(item, (*path, number), item.start_mark.line, above)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _lines(value, (*path, str(key.value)), key.start_mark.line, above)
