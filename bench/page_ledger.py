"""Who had to be paged, and who was: nobody missing, nobody twice unless it says so.

What had to be comes from three sides, and all of it is due: from the patients' fates (an alert of
which nobody takes notice has to reach everyone), from the policy (the first step of each alert that
was raised), and from what the pager itself told (a step of the escalation that has begun). What was
is what the provider took.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from bench.hospital import Fate, Hospital
from bench.simulators.twilio import Text
from tables.operations import operations_id

__all__ = ["PageLedger", "PageVerdict", "references"]

#: The alert's page, not its mere mention.
_PAGE = re.compile(r"\bRef ([A-Z0-9]{6})\b")
_REPEAT = "(Possible repeat.)"
_MOST_REPEATS = 0.001
#: Of pages that are still on their way.
_UNDER_WAY = frozenset({"queued", "sending", "in_doubt"})
_OF_PAGES = _UNDER_WAY | {"sent", "delivered", "failed"}


class _Change(msgspec.Struct):
    change_id: str
    alert_id: str
    reference: str
    kind: str
    state: str
    patient_id: str | None
    unit_id: str | None
    contact: str | None
    channel: str | None
    step: int | None
    at: datetime


_decode = msgspec.json.Decoder(_Change).decode


@dataclass(slots=True)
class _Alert:
    reference: str
    kind: str
    patient: str | None
    unit: str | None
    told: set[str] = field(default_factory=set)
    steps: set[int] = field(default_factory=set)
    pages: dict[str, list[str]] = field(default_factory=dict)
    queued: dict[str, datetime] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return not self.told.isdisjoint(("accepted", "resolved"))


@dataclass
class PageVerdict:
    """What was found.

    Attributes:
        alerts: that were raised, those to operators included.
        pages: of an alert to a person, that were due.
        missing: of these the provider never took.
        doubled: it took once more, and the text did not say so.
        repeats: texts that were marked as possible repeats.
        undue: went to people who had not to be called.
        under_way: pages whose fate was not known at the end.
        audit_breaks: where the audit chain does not hold.
        examples: of what is wrong, for people.
    """

    alerts: int = 0
    pages: int = 0
    missing: int = 0
    doubled: int = 0
    repeats: int = 0
    undue: int = 0
    under_way: int = 0
    audit_breaks: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def most_repeats(self) -> float:
        """How many marked repeats may be."""
        return _MOST_REPEATS * self.pages

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        wrong = self.missing + self.doubled + self.undue + self.under_way + self.audit_breaks
        return not wrong and self.repeats <= self.most_repeats


def references(text: Text) -> list[str]:
    """Alerts that a text pages."""
    return _PAGE.findall(text.body)


class PageLedger:
    """Follows the alerts of one hospital.

    Args:
        hospital: whose policy is in force.

    Attributes:
        fates: of the patients whose recommendations have crossed the line.
        states: changes that were told, by their state.
    """

    def __init__(self, hospital: Hospital) -> None:
        self._hospital = hospital
        self._names = {number: name for name, number in hospital.contacts.items()}
        self.fates: dict[str, Fate] = {}
        self.states: Counter[str] = Counter()
        self._alerts: dict[str, _Alert] = {}
        self._by_reference: dict[str, str] = {}
        self._by_patient: dict[str, str] = {}
        self._ids: set[str] = set()

    def take(self, value: bytes) -> str | None:
        """Take in a record of `alerts`; return its state, None where it came before."""
        change = _decode(value)
        if change.change_id in self._ids:
            return None
        self._ids.add(change.change_id)
        self.states[change.state] += 1
        alert = self._alerts.get(change.alert_id)
        if alert is None:
            alert = _Alert(change.reference, change.kind, change.patient_id, change.unit_id)
            self._alerts[change.alert_id] = alert
            self._by_reference[change.reference] = change.alert_id
            if change.patient_id is not None:
                self._by_patient[change.patient_id] = change.alert_id
        of_page = change.state in _OF_PAGES or change.channel is not None
        if of_page and change.contact is not None:
            alert.pages.setdefault(change.contact, []).append(change.state)
            if change.state == "queued":
                alert.queued.setdefault(change.contact, change.at)
            return change.state
        alert.told.add(change.state)
        if change.state == "escalated" and change.contact is None and change.step is not None:
            alert.steps.add(change.step)
        return change.state

    def fate_of(self, reference: str) -> Fate | None:
        """Fate of the patient of an alert, None where none is meant; KeyError: not told yet."""
        patient = self.patient_of(reference)
        return None if patient is None else self.fates[patient]

    def patient_of(self, reference: str) -> str | None:
        """Patient of an alert, None where none is meant; KeyError: not told yet."""
        return self._alerts[self._by_reference[reference]].patient

    def contact(self, number: str) -> str:
        """Contact of a number."""
        return self._names[number]

    def queued(self) -> dict[str, list[datetime]]:
        """When each person's page of a patient's alert was queued first, by reference."""
        return {
            alert.reference: sorted(alert.queued.values())
            for alert in self._alerts.values()
            if alert.kind == "patient"
        }

    @property
    def under_way(self) -> int:
        """Pages whose fate is not known."""
        return self._in(_UNDER_WAY)

    @property
    def in_doubt(self) -> int:
        """Pages of which nobody knows whether the provider has them."""
        return self._in({"in_doubt"})

    def _in(self, states: Collection[str]) -> int:
        pages = (told for alert in self._alerts.values() for told in alert.pages.values())
        return sum(told[-1] in states for told in pages)

    def verdict(self, texts: Iterable[Text]) -> PageVerdict:
        """Hold what the provider took against what was due."""
        found = PageVerdict(alerts=len(self._alerts), under_way=self.under_way)
        taken: dict[tuple[str, str], list[bool]] = {}
        for text in texts:
            if text.direction != "outbound-api":
                continue
            marked = text.body.startswith(_REPEAT)
            for reference in references(text):
                known = self._by_reference.get(reference)
                if known is None:
                    found.undue += 1
                    found.examples.append(f"of no alert: {reference}")
                    continue
                taken.setdefault((known, self._names[text.to]), []).append(marked)
        due = self._due(found)
        found.pages = len(due)
        for page in due - taken.keys():
            found.missing += 1
            found.examples.append(f"missing: {self._say(page)}")
        for page in taken.keys() - due:
            found.undue += 1
            found.examples.append(f"undue: {self._say(page)}")
        for page, marks in taken.items():
            found.repeats += sum(marks)
            twice = sum(not marked for marked in marks[1:])
            if twice:
                found.doubled += twice
                found.examples.append(f"doubled: {self._say(page)}")
        return found

    def _due(self, found: PageVerdict) -> set[tuple[str, str]]:
        due: set[tuple[str, str]] = set()
        for patient, fate in self.fates.items():
            known = self._by_patient.get(patient)
            if known is None:
                found.missing += 1
                found.examples.append(f"missing: the alert of {patient}")
            elif fate == "ignored":
                unit = self._alerts[known].unit or ""
                due |= {(known, self._hospital.person(unit, step)) for step in range(3)}
                due.add((operations_id(f"unanswered/{known}"), "operator"))
        for known, alert in self._alerts.items():
            if alert.kind == "operations":
                due.add((known, "operator"))
                continue
            people = [self._hospital.person(alert.unit or "", step) for step in {0} | alert.steps]
            # what had not gone out when the alert was over is needed no more
            due |= {
                (known, who)
                for who in people
                if not alert.over or alert.pages.get(who, ["resolved"])[-1] != "resolved"
            }
        return due

    def _say(self, page: tuple[str, str]) -> str:
        known, who = page
        alert = self._alerts.get(known)
        if alert is None:
            return f"{known} to {who}: no such alert"
        fate = self.fates.get(alert.patient or "")
        return (
            f"{alert.reference} ({alert.patient or 'operations'}, {fate}) to {who}: "
            f"{alert.pages.get(who)}; {sorted(alert.told)}"
        )
