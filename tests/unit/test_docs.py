"""The documents say what the code says.

What can be told from the code (settings, metrics, topics, fields, ranges, examples) stands in the
documents between ``<!-- name -->`` and ``<!-- /name -->``. A test that fails shows the text that
should be there; ``python -m tests.unit.test_docs`` puts it there. Where the code describes nothing,
the document's own words are kept.
"""

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, get_args

import click
import pytest
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

import streams.metrics
import streams.recommend
from config.clock import to_ms
from config.guidance import guidance
from config.settings import Settings
from models.anomaly import SENSOR_RULE
from models.quality import FLAG_NAMES
from models.registry import SHIPPED, load_model
from models.scores import NEWS2_RULE
from models.vitals import RANGES_RULE, VITALS
from streams.alert_events import (
    Acknowledgement,
    AlertChange,
    AlertRaised,
    AlertResolved,
    AuditEntry,
    Census,
    RaisedEvent,
    Receipt,
    Silence,
)
from streams.audit import Chain, check, of_answer, of_change
from streams.bedside import DIRECT, Bedside
from streams.chat_events import ChatAnswer, ChatAuditEntry, DocumentEvent, Question
from streams.cli import COMMANDS, cli
from streams.deadletters import encode
from streams.events import (
    Admission,
    DeadLetter,
    DriftEvent,
    LabResult,
    ModelPointer,
    Outcome,
    Reading,
    Recommendation,
)
from streams.header_names import unreadable
from streams.intake import Intake, IntakeRules, take
from streams.metrics import metrics
from streams.recommend import Recommender
from streams.topics import Topic, catalogue
from tables.codec import VERSION
from tables.stays import Stays
from tables.windows import Windows
from tests.helpers import Record
from tests.malformed import MALFORMED

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
OWN = ("interfaces.md", "operate.md", "design.md", "paging.md")
EVENTS: dict[str, type[BaseModel]] = {
    "reading": Reading,
    "admission": Admission,
    "lab_result": LabResult,
    "outcome": Outcome,
    "recommendation": Recommendation,
    "dead-letter": DeadLetter,
    "drift": DriftEvent,
    "pointer": ModelPointer,
    "raised": AlertRaised,
    "resolved": AlertResolved,
    "census": Census,
    "acknowledgement": Acknowledgement,
    "silence": Silence,
    "receipt": Receipt,
    "alert": AlertChange,
    "audit": AuditEntry,
    "question": Question,
    "answer": ChatAnswer,
    "document": DocumentEvent,
    "chat-audit": ChatAuditEntry,
}

#: Stands where neither the code nor the document says anything.
UNSAID = "**SAY WHAT IT IS**"


class Part(NamedTuple):
    """Text of a document that is made from the code.

    Attributes:
        doc: name of the document.
        make: makes the text; given the one that is there, whose words it may keep.
    """

    doc: str
    make: Callable[[str], str]


def _table(head: str, rows: Iterable[tuple[str, ...]], written: str) -> str:
    """A table; a last cell that is empty keeps what the document has in that row."""
    told = {
        cells[0].strip(): cells[-1].strip()
        for line in written.splitlines()
        if len(cells := re.split(r"(?<!\\)\|", line.strip()[1:-1])) > 1
    }
    lines = [f"| {head} |", "|---" * (head.count(" | ") + 1) + "|"]
    for *cells, last in rows:
        lines.append("| " + " | ".join([*cells, last or told.get(cells[0], UNSAID)]) + " |")
    return "\n".join(lines)


# -- settings and metrics


def _allowed(field: FieldInfo) -> str:
    literals = [arg for arg in get_args(field.annotation) if isinstance(arg, str)]
    if literals:
        return ", ".join(literals)
    bounds = {
        name: value
        for constraint in field.metadata
        for name in ("gt", "ge", "le")
        if (value := getattr(constraint, name, None)) is not None
    }
    if "le" in bounds:
        low = f"{bounds['ge']} to" if "ge" in bounds else f"above {bounds['gt']}, up to"
        return f"{low} {bounds['le']}"
    if "gt" in bounds:
        return f"above {bounds['gt']}"
    if "ge" in bounds:
        return f"{bounds['ge']} or more"
    if field.annotation is not None and SecretStr in get_args(field.annotation):
        return "secret"
    return ""


def _settings(written: str) -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") or field.default_factory else field.default
        rows.append(
            (
                f"`VIGIL_{name.upper()}`",
                f"`{default}`" if default != "" else "",
                _allowed(field),
                field.description or "",
            )
        )
    return _table("setting | default | allowed | what", rows, written)


def _metrics(written: str) -> str:
    """Every metric, with the comment before it in the catalogue."""
    source = inspect.getsource(streams.metrics.Metrics)
    said = {
        name: " ".join(line.strip().removeprefix("#:").strip() for line in comment.splitlines())
        for comment, name in re.findall(r"((?:^ +#: .*\n)+) +self\.(\w+) =", source, re.MULTILINE)
    }
    rows = []
    for name, metric in vars(metrics).items():
        (family,) = metric.describe()
        total = "_total" if family.type == "counter" else ""
        labels = ", ".join(metric._labelnames)
        rows.append((f"`{family.name}{total}`", family.type, labels, said[name]))
    return _table("metric | type | labels | what it tells", rows, written)


# -- topics, fields, ranges


def _duration(ms: str) -> str:
    return f"{int(ms) // 86_400_000} days"


def _keeps(topic: Topic) -> str:
    if topic.config.get("cleanup.policy") == "compact":
        return "the newest of each key"
    if topic.config["retention.ms"] == "-1":
        return "for good"
    return _duration(topic.config["retention.ms"])


def _topics(written: str) -> str:
    rows = [
        (f"`{topic.name}`", topic.direction, topic.key or "none", _keeps(topic), topic.about)
        for topic in catalogue(Settings())
    ]
    return _table("topic | direction | key | keeps | what", rows, written)


def _ranges(_: str) -> str:
    rows = [
        (f"`{v.wire}`", v.label, v.unit, v.loinc, *(f"{low} to {high}" for low, high in ranges))
        for v in VITALS
        for ranges in [(v.plausible, v.possible)]
    ]
    return _table("field | vital sign | unit (UCUM) | LOINC | plausible | possible", rows, "")


def _kind(schema: dict[str, Any]) -> str:
    """What a JSON value may be, for people."""
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("format") == "date-time":
        return "time"
    names = {
        "string": "text",
        "boolean": "true or false",
        "integer": "whole number",
        "number": "number",
    }
    kind = schema.get("type", "object")
    if kind == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    if "maximum" in schema:
        return f"number, {schema['minimum']} to {schema['maximum']}"
    if "minimum" in schema:
        return f"{names[kind]}, {schema['minimum']} or more"
    if "maxLength" in schema:
        return f"text, up to {schema['maxLength']} characters"
    return names.get(kind, str(kind))


def _fields(schema: dict[str, Any], root: dict[str, Any], before: str = "") -> Iterator[Any]:
    for name, field in schema["properties"].items():
        inner = field.get("items", field)
        reference = inner.get("$ref") if isinstance(inner, dict) else None
        place = before + name
        if reference is None:
            required = "yes" if name in schema.get("required", ()) else ""
            yield f"`{place}`", _kind(field), required, field.get("description", "")
        else:
            deeper = f"{place}[]." if "items" in field else f"{place}."
            yield from _fields(root["$defs"][reference.rpartition("/")[2]], root, deeper)


def _event(model: type[BaseModel]) -> Callable[[str], str]:
    def make(written: str) -> str:
        schema = model.model_json_schema()
        return _table("field | is | required | what", list(_fields(schema, schema)), written)

    return make


# -- examples


def _example(name: str) -> dict[str, Any]:
    text = (DOCS / "interfaces.md").read_text()
    found = re.search(rf"```json {name}\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"interfaces.md has no example of {name}"
    example: dict[str, Any] = json.loads(found[1])
    return example


def _record(value: bytes | None) -> Any:
    return SimpleNamespace(
        topic="vitals",
        partition=1,
        offset=1042,
        key=b"mrn-4711",
        value=value,
        headers=(("correlation-id", b"gw7-000912"),),
        timestamp=to_ms(datetime(2026, 1, 31, 12, 0, 0, 250_000, UTC)),
    )


def _json(value: Any, name: str) -> str:
    return f"```json {name}\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


def _recommendation(_: str) -> str:
    """What a worker says of the example reading, after the example admission."""
    stays = Stays(lambda partition, keys: [None] * len(keys), capacity=1)
    stays.admit(1, b"mrn-4711", Admission.model_validate_json(json.dumps(_example("admission"))))
    windows = Windows(lambda _, keys: [None] * len(keys), capacity=1, grace_ms=0)
    windows.resume(1, [0, 0])
    scored_at = to_ms(datetime(2026, 1, 31, 12, 0, 0, 253_000, UTC))
    recommender = Recommender(load_model(SHIPPED["context"]), guidance())
    bedside = Bedside(windows, stays, None, recommender, IntakeRules(), 4, clock=lambda: scored_at)
    record = _record(json.dumps(_example("reading")).encode())
    own = bedside.sort([record], 1, routed=True, whole=True).own
    (sent,) = bedside.score(own, 1, DIRECT).recommendations
    recommendation = json.loads(sent[1])
    recommendation["processing"]["scoring_us"] = 64.0  # not the same twice
    return _json(recommendation, "recommendation")


def _dead_letter(_: str) -> str:
    (reject,) = _taken(b'{"patient_id": "mrn-4711", "MDC_TEMP_Result": 500}').rejects
    return _json(json.loads(encode(reject.record, reject.reason)), "dead-letter")


def _audit(_: str) -> str:
    """What is kept for good of the example of a change, were it the first."""
    change = AlertChange.model_validate_json(json.dumps(_example("alert")))
    return _json(
        json.loads(Chain().bind(of_change(change, change.model_dump_json().encode()))), "audit"
    )


def _chat_audit(_: str) -> str:
    """What is kept for good of the example of an answer, were it the first."""
    answer = ChatAnswer.model_validate_json(json.dumps(_example("answer")))
    entry = of_answer(answer, answer.model_dump_json().encode(), _example("question")["text"], None)
    return _json(json.loads(Chain().bind(entry)), "chat-audit")


def _taken(value: bytes | None) -> Intake:
    return take([_record(value)], IntakeRules())


# -- the parts and their tests

PARTS = {
    "settings": Part("operate.md", _settings),
    "metrics": Part("operate.md", _metrics),
    "topics": Part("interfaces.md", _topics),
    "ranges": Part("interfaces.md", _ranges),
    **{f"{name} fields": Part("interfaces.md", _event(model)) for name, model in EVENTS.items()},
    "recommendation example": Part("interfaces.md", _recommendation),
    "dead letter example": Part("interfaces.md", _dead_letter),
    "audit example": Part("interfaces.md", _audit),
    "chat audit example": Part("interfaces.md", _chat_audit),
}


def _split(name: str) -> tuple[str, str, str]:
    """Text of a document before a part, of it, and after it."""
    text = (DOCS / PARTS[name].doc).read_text()
    start, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    assert start in text, f"{PARTS[name].doc} has no {start}"
    before, _, rest = text.partition(start)
    assert end in rest, f"{PARTS[name].doc} has no {end}"
    written, _, after = rest.partition(end)
    return before + start, written, end + after


def _to_nine_digits(text: str) -> str:
    """Processors differ in the last bits of an exponential."""
    return re.sub(r"\d+\.\d{9,}(e-\d+)?", lambda found: f"{float(found[0]):.9g}", text)


@pytest.mark.parametrize("name", PARTS)
def test_what_the_documents_say_of_the_code_is_what_the_code_says(name: str) -> None:
    _, written, _ = _split(name)

    made = PARTS[name].make(written)

    assert UNSAID not in made, f"say in {PARTS[name].doc} or in the code what it is:\n\n{made}"
    assert _to_nine_digits(written) == _to_nine_digits(made), (
        f"Put this between <!-- {name} --> and <!-- /{name} --> of docs/{PARTS[name].doc}, or let "
        f"`python -m tests.unit.test_docs` do it:\n\n{made}"
    )


@pytest.mark.parametrize("name", ["original", "reading"])
def test_an_example_of_a_reading_is_taken(name: str) -> None:
    value = json.dumps(_example(name)).encode()

    Reading.model_validate_json(value)
    intake = _taken(value)

    assert not intake.rejects
    assert not intake.flags.any()


@pytest.mark.parametrize(
    "name",
    [
        *("admission", "outcome", "recommendation", "dead-letter", "raised", "resolved", "census"),
        *("acknowledgement", "silence", "receipt", "alert", "audit"),
    ],
)
def test_an_example_is_what_its_model_describes(name: str) -> None:
    EVENTS[name].model_validate_json(json.dumps(_example(name)))


@pytest.mark.parametrize("name", ["raised", "resolved", "census"])
def test_an_example_of_what_is_raised_is_known_by_its_type(name: str) -> None:
    read = RaisedEvent.model_validate_json(json.dumps(_example(name))).root
    assert type(read) is EVENTS[name]


def test_the_example_of_an_audit_entry_holds() -> None:
    assert check([(0, json.dumps(_example("audit")).encode())]) == (1, [])


def test_the_example_of_the_original_feed_has_its_five_fields_only() -> None:
    assert list(_example("original")) == list(Reading.model_fields)[:5]


def test_the_full_example_has_every_field_of_a_reading() -> None:
    assert _example("reading").keys() == Reading.model_fields.keys()


def _first_cells(heading: str) -> list[str]:
    """First cells, in code type, of the table after a heading of interfaces.md."""
    _, _, rest = (DOCS / "interfaces.md").read_text().partition(f"\n{heading}\n")
    assert rest, f"interfaces.md has no {heading!r}"
    section = re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE)


def test_every_reason_of_a_dead_letter_is_listed_and_no_other() -> None:
    listed = _first_cells("### Reasons")
    reasons = [_taken(value).rejects[0].reason for value in [*MALFORMED.values(), None]]
    reasons.append(unreadable(Record(b"", headers=[("\udce4", b"")])))

    assert {next((r for r in listed if reason.startswith(r)), reason) for reason in reasons} == set(
        listed
    )


def test_every_flag_is_listed_and_no_other() -> None:
    appended = re.findall(r'flags\.append\("(\w+)"\)', inspect.getsource(streams.recommend))
    assert len(appended) >= 4

    listed = _first_cells("### Flags")

    by_vital = {f"{vital.name}_implausible" for vital in VITALS}
    of_vitals = {"…_implausible", "…_flat_line", "…_stuck", "…_jump"}
    assert {*listed} - of_vitals == {*appended, *FLAG_NAMES} - by_vital
    assert of_vitals <= {*listed}


def test_the_versions_of_the_rules_are_named() -> None:
    text = (DOCS / "interfaces.md").read_text()

    for rule in (RANGES_RULE, SENSOR_RULE, NEWS2_RULE, "intake/1"):
        assert f"`{rule}`" in text
    assert f"version {VERSION}" in (DOCS / "operate.md").read_text()


def _code(doc: str) -> list[str]:
    """Everything in code type, inline or as a block."""
    text = (DOCS / doc).read_text()
    return re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE) + re.findall(
        r"`([^`\n]+)`", text
    )


@pytest.mark.parametrize("doc", OWN)
def test_a_setting_that_is_named_exists(doc: str) -> None:
    named = set(re.findall(r"VIGIL_([A-Z0-9_]+[A-Z0-9])\b", (DOCS / doc).read_text()))

    assert named <= {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("doc", OWN)
def test_a_file_that_is_named_exists(doc: str) -> None:
    folders = "agents|config|models|streams|tables|tests|docs|deploy"
    for code in _code(doc):
        for path in re.findall(rf"\b(?:{folders})/[\w/]+\.\w+", code):
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("doc", OWN)
def test_a_name_of_a_module_that_is_named_exists(doc: str) -> None:
    packages = "agents|config|models|streams|tables"
    for code in _code(doc):
        for dotted in re.findall(rf"^(?:{packages})(?:\.\w+)+", code):
            assert _resolves(dotted), dotted


def _resolves(dotted: str) -> bool:
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:end])
        if path.is_dir() and end == len(parts):
            return True
        if path.with_suffix(".py").exists():
            tree = ast.parse(path.with_suffix(".py").read_text())
            return all(_defines(tree, name) for name in parts[end : end + 1])
    return False


def _defines(tree: ast.Module, name: str) -> bool:
    named = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return name in named | assigned


@pytest.mark.parametrize("doc", OWN)
def test_a_command_that_is_shown_exists_with_its_options(doc: str) -> None:
    for code in _code(doc):
        for line in code.splitlines():
            if found := re.match(r"(?:\$ )?(?:[A-Z_]+=\S+ )*vigil ([a-z].*)", line):
                _check_command(found[1].split("#")[0].split("|")[0].split(">")[0].split())


def _check_command(words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(command)
    for word in words:
        if word.startswith("-"):
            known = {option for parameter in command.params for option in parameter.opts}
            assert word.rstrip("]") in known | {"--help"}, f"vigil {' '.join(words)}: {word}"
        elif isinstance(command, click.Group):
            inner = command.get_command(context, word)
            assert inner is not None, f"vigil {' '.join(words)}: no command {word}"
            command = inner
    assert words[0] in COMMANDS


@pytest.mark.parametrize("doc", ["../README.md", *OWN])
def test_a_link_leads_somewhere(doc: str) -> None:
    text = (DOCS / doc).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        path, _, anchor = target.partition("#")
        if path.startswith(("http", "mailto:")):
            continue
        file = (DOCS / doc).parent / path if path else DOCS / doc
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, target


def _anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_picture_of_the_board_fetches_nothing_and_says_what_it_shows() -> None:
    picture = (DOCS / "board.svg").read_text()

    assert not re.search(r"url\(\W*http|@import|@font-face|href|<script|<image", picture)
    for words in ("simulated&#160;patients", "Not&#160;a&#160;medical&#160;device"):
        assert words in picture


if __name__ == "__main__":
    for part in PARTS:
        head, old, tail = _split(part)
        (DOCS / PARTS[part].doc).write_text(head + PARTS[part].make(old) + tail)
