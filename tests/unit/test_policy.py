"""The alert policy: what ships, what it means, and that every mistake is told with its line."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from config.policy import SHIPPED, Policy, PolicyError, load_policy, parse_policy
from tests.unit.made_mistakes import MISTAKES

pytestmark = pytest.mark.unit

FILE = Path(__file__).parents[2] / "config" / SHIPPED
TEXT = FILE.read_text()
NIGHT = datetime(2026, 1, 5, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def shipped() -> Policy:
    return load_policy()


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) >= 1, old
    return TEXT.replace(old, new, 1)


def line_of(text: str, words: str) -> int:
    return text[: text.index(words)].count("\n") + 1


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    return caught.value.problems


# -- what ships


def test_the_policy_that_ships_pages_nurse_then_physician_then_head(shipped: Policy) -> None:
    escalation = shipped.escalation("patient", "any-unit", "urgent")
    assert escalation is not None
    assert [(step.after_s, step.notify, step.channels[0]) for step in escalation.steps] == [
        (0, ("nurse",), "sms"), (300, ("physician",), "sms"), (600, ("head",), "sms"),
    ]  # fmt: skip
    assert shipped.on_call("nurse", NIGHT) == ("nurse-night",)
    assert shipped.on_call("head", NIGHT) == ("head",)


def test_warnings_about_patients_page_nobody_and_those_about_operations_the_operators(
    shipped: Policy,
) -> None:
    assert shipped.escalation("patient", None, "warning") is None
    assert shipped.escalation("patient", None, "watch") is None
    assert shipped.escalation("operations", None, "watch") is None
    for tier in ("warning", "urgent"):
        escalation = shipped.escalation("operations", None, tier)  # type: ignore[arg-type]
        assert escalation is not None
        assert escalation.steps[0].channels == ("email", "sms")


def test_the_rules_that_ship_are_those_that_were_replayed(shipped: Policy) -> None:
    rules, budget = shipped.episodes, shipped.budget
    assert (rules.lockout_hours, rules.clear_hours, rules.clear_log_odds) == (12, 4, 0.5)
    urgent, warning = rules.tiers["urgent"], rules.tiers["warning"]
    assert (urgent.recommended, urgent.news2, urgent.at_least) == ("urgent", 7, "warning")
    assert (warning.rise_log_odds, warning.rise_hours, warning.at_least) == (1.0, 4, "watch")
    assert rules.tiers["watch"].recommended == "watch"
    assert budget.per_patient_day == {"urgent": 0.095}
    assert (budget.burst, budget.override_log_odds) == (2, 1.1)


def test_a_contact_is_limited_as_in_goalert(shipped: Policy) -> None:
    usual = [(1, 1), (5, 15), (11, 60), (21, 180)]
    for contact in shipped.contacts.values():
        assert [(each.texts, each.minutes) for each in contact.limits] == usual


def test_the_people_of_the_demo_cannot_exist(shipped: Policy) -> None:
    for contact in shipped.contacts.values():
        assert re.fullmatch(r"\+447700900\d{3}", contact.sms or ""), "not Ofcom's for drama"
        assert (contact.email or "").endswith("@example.org")


def test_the_version_is_that_of_the_file_and_of_every_letter_in_it(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(TEXT)
    assert load_policy(own).version == load_policy().version
    assert re.fullmatch(r"demo-1-[0-9a-f]{8}", load_policy().version)
    own.write_text(TEXT + "# a word\n")
    assert load_policy(own).version != load_policy().version


def test_the_example_of_the_documents_is_a_policy() -> None:
    document = (FILE.parents[1] / "docs" / "paging.md").read_text()
    example = document.split("```yaml\n", 1)[1].split("```", 1)[0]
    policy = parse_policy(example)
    escalation = policy.escalation("patient", "icu-a", "urgent")
    assert escalation == policy.escalations["intensive-care"]
    assert policy.on_call("icu-nurse", NIGHT) == ("icu-phone",)


def test_the_policy_needs_neither_faust_nor_kafka() -> None:
    code = (
        "import sys, config.policy, config.silences; config.policy.load_policy(); "
        "print([m for m in sys.modules if m.split('.')[0] in ('faust', 'aiokafka', 'streams')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


# -- who is paged


def test_the_first_route_that_takes_an_alert_counts_and_a_unit_may_have_its_own() -> None:
    own = changed(
        "routes:\n",
        "routes:\n  - {kind: patient, tiers: [urgent], units: [icu-a], escalation: operators}\n",
    )
    policy = parse_policy(own)
    assert policy.escalation("patient", "icu-a", "urgent") == policy.escalations["operators"]
    assert policy.escalation("patient", "icu-b", "urgent") == policy.escalations["bedside"]
    assert policy.escalation("patient", None, "urgent") == policy.escalations["bedside"]


def test_a_moment_without_a_time_zone_is_refused(shipped: Policy) -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        shipped.on_call("nurse", datetime(2026, 1, 5))
    with pytest.raises(KeyError):
        shipped.on_call("nobody-we-know", NIGHT)


# -- quiet hours


def quiet(*hours: str, zone: str = "Europe/London") -> Policy:
    lines = "".join(f"      - {each}\n" for each in hours)
    people = TEXT[TEXT.index("contacts:\n") :].replace("contacts:\n", "", 1)
    ann = f"  ann:\n    name: Ann\n    time_zone: {zone}\n    quiet:\n{lines}"
    return parse_policy(TEXT.replace("contacts:\n" + people, "contacts:\n" + ann + people))


def test_a_page_is_held_until_the_end_of_the_quiet_hours_of_its_tier_only() -> None:
    policy = quiet("{from: 22:00, to: 07:00, tiers: [warning]}")
    assert policy.held_until("ann", "warning", "patient", NIGHT) == datetime(
        2026, 1, 6, 7, tzinfo=UTC
    )
    assert policy.held_until("ann", "urgent", "patient", NIGHT) is None
    assert policy.held_until("ann", "watch", "patient", NIGHT) is None
    assert policy.held_until("ann", "warning", "patient", NIGHT.replace(hour=12)) is None
    assert policy.held_until("ann", "warning", "patient", NIGHT.replace(hour=7)) is None


def test_quiet_hours_that_follow_each_other_hold_until_the_end_of_the_last() -> None:
    policy = quiet(
        "{from: 22:00, to: 02:00, tiers: [warning]}", "{from: 01:00, to: 05:00, tiers: [warning]}"
    )
    held = policy.held_until("ann", "warning", "operations", NIGHT)
    assert held == datetime(2026, 1, 6, 5, tzinfo=UTC)


def test_quiet_hours_may_be_about_operations_only_and_then_hold_urgent_ones_too() -> None:
    policy = quiet("{from: 22:00, to: 07:00, tiers: [urgent], kind: operations}")
    assert policy.held_until("ann", "urgent", "operations", NIGHT) is not None
    assert policy.held_until("ann", "urgent", "patient", NIGHT) is None


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 28), 8), ((2026, 10, 24), 10)])
def test_quiet_hours_end_by_the_clock_of_the_person_on_the_nights_it_changes(
    day: tuple[int, int, int], hours: int
) -> None:
    policy = quiet("{from: 22:00, to: 07:00, tiers: [watch]}", zone="Europe/Berlin")
    at = datetime(*day, 22, tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    held = policy.held_until("ann", "watch", "patient", at)
    assert held is not None
    assert (held - at).total_seconds() == hours * 3600


# -- mistakes


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line_and_what_to_do(mistake: str) -> None:
    old, new, where, said = MISTAKES[mistake]
    text = changed(old, new)
    found = problems(text)
    assert f"policy.yaml, line {line_of(text, where)}: " in " ".join(found), found
    assert said in " ".join(found)


def test_all_mistakes_are_told_at_once_each_once_in_the_order_of_the_file() -> None:
    text = TEXT
    together = [
        "a key that stands twice", "a tier that is none", "an escalation that is not there",
        "a target that is not there", "a contact that is not there", "an address nobody has",
        "a limit of nothing",
    ]  # fmt: skip
    for mistake in together:
        old, new, *_ = MISTAKES[mistake]
        text = text.replace(old, new, 1)
    found = problems(text)
    for mistake in together:
        assert sum(MISTAKES[mistake][3] in each for each in found) == 1, mistake
    lines = [int(each.partition(", line ")[2].partition(":")[0]) for each in found]
    assert lines == sorted(lines)
    assert len(set(found)) == len(found) == len(together)


@pytest.mark.parametrize(
    "text", ["", "# words\n", "- a list\n", "word\n", "{}\n", "null\n", "a: !!float x\n"]
)
def test_a_file_that_is_no_policy_is_told_so(text: str) -> None:
    assert all(each.startswith("policy.yaml, line 1: ") for each in problems(text))


def test_a_file_that_is_not_text_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_bytes(b"a: b\nc: \xff\n")
    with pytest.raises(PolicyError, match=r"own\.yaml, line 2: not UTF-8"):
        load_policy(tmp_path / "own.yaml")


def test_times_numbers_and_words_are_what_they_look_like_without_quotes() -> None:
    policy = parse_policy(changed('version: "demo-1"', "version: 2026-11-27"))
    assert policy.version.startswith("2026-11-27-")
    assert policy.contacts["head"].sms == "+447700900120"
