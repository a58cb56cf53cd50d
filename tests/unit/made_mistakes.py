"""Mistakes that people make in an alert policy: one a line, because a table reads better wide."""

__all__ = ["MISTAKES"]

# fmt: off
#: Name → text that ships, what is written instead, what the line begins with that is named, what is
#: said.
MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "a key that is not known": ("lockout_hours:", "lockout_hour:", "lockout_hour:", "did you mean 'lockout_hours'"),
    "a key that is missing": ('version: "demo-1"', "", "# The alert policy", "version is missing"),
    "a version that is a number": ('version: "demo-1"', "version: 1.0", "version:", "in quotes"),
    "a key that stands twice": ("  burst: 2\n", "  burst: 2\n  burst: 3\n", "  burst: 3", "'burst' stands here again"),
    "a word for a number": ("burst: 2", "burst: two", "burst: two", 'budget.burst is "two"'),
    "a number in quotes": ("burst: 2", "burst: '2'", "burst: '2'", "budget.burst"),
    "a limit of nothing": ("texts: 1\n", "texts: 0\n", "texts: 0", "greater than 0"),
    "less than no time": ("minutes: 15", "minutes: -1", "minutes: -1", "greater than 0"),
    "a tier that is none": ("at_least: warning", "at_least: red", "at_least: red", "'watch', 'warning' or 'urgent'"),
    "a tier without a rule": ("    urgent:\n      recommended: urgent", "    waning:\n      recommended: urgent", "    waning:", "'watch', 'warning' or 'urgent'"),
    "a rule that says nothing": ("      recommended: watch\n", "      rise_hours: 4\n", "    watch:\n", "nothing leads to this tier"),
    "a condition of nothing": ("      recommended: watch\n", "      recommended: watch\n      at_least: watch\n", "    watch:\n", "at_least is about"),
    "an escalation without steps": ("  operators:\n    steps:\n", "  nothing:\n    steps: []\n  operators:\n    steps:\n", "    steps: []", "steps is empty"),
    "a first step that waits": ("after_s: 0\n", "after_s: 1\n", "  bedside:\n", "write after_s: 0"),
    "steps out of order": ("after_s: 300", "after_s: 700", "  bedside:\n", "later than the one before"),
    "nobody to notify": ("notify: [head]", "notify: []", "notify: []", "is empty"),
    "a channel that is none": ("channels: [email, sms]", "channels: [fax]", "channels: [fax]", "'sms', 'email' or 'local'"),
    "an escalation that is not there": ("escalation: bedside", "escalation: bedsite", "escalation: bedsite", "write 'bedside'"),
    "a target that is not there": ("notify: [head]", "notify: [heat]", "notify: [heat]", "neither a schedule nor a contact: add it, or write 'head'"),
    "a contact that is not there": ("contacts: [nurse-night]", "contacts: [nurse-1]", "contacts: [nurse-1]", "contact 'nurse-1' of schedule 'nurse', shift 'night', is not among the contacts: add it, or write 'nurse-"),
    "a fallback that is not there": ("fallback: [operator-deputy]", "fallback: [x]", "fallback: [x]", "contact 'x' of schedule 'operator'"),
    "a name of two things": ("  head:\n", "  nurse:\n    name: N\n  head:\n", "  nurse:\n    time_zone", "is a contact too"),
    "no way to a person": ("    sms: +447700900120\n    email: head@example.org\n", "", "notify: [head]", "'head' has no sms and no email"),
    "a gap in a week": ("from: 19:30", "from: 20:30", "  nurse:\n", "nobody is on call mon 19:30 to mon 20:30"),
    "a place that is none": ("time_zone: Europe/London", "time_zone: Europe/Lndon", "time_zone: Europe/Lndon", "did you mean Europe/London"),
    "a number nobody has": ("+447700900101", "07700 900101", "sms: 07700", "+447700900123"),
    "an address nobody has": ("nurse-day@example.org", "nurse-day", "email: nurse-day\n", "ward@example.org"),
    "urgent alerts held": ("tiers: [warning]\n        kind: operations", "tiers: [urgent]", "- from: 22:00", "urgent alerts about patients are never held"),
    "quiet all day": ("        to: 07:00\n", "        to: 22:00\n", "- from: 22:00", "quiet all day"),
    "urgent patients to nobody": ("escalation: bedside", "escalation: nobody", "  - kind: patient\n    tiers: [urgent]\n    escalation: n", "have to page somebody"),
    "units that are forgotten": ("tiers: [urgent]\n    escalation: bedside", "tiers: [urgent]\n    units: [a]\n    escalation: bedside", "routes:\n", "no route takes urgent patient alerts of units that are not named"),
    "a route that is never taken": ("  - kind: operations", "  - {kind: patient, tiers: [urgent], units: [a], escalation: bedside}\n  - kind: operations", "  - {kind: patient", "a route above takes all"),
    "a tab": ("  burst: 2", "\tburst: 2", "\tburst: 2", "not YAML"),
    "a bracket that stays open": ("tiers: [warning, watch]", "tiers: [warning, watch", "    escalation: nobody", "not YAML"),
    "an alias of nothing": ("notify: [head]", "notify: *x", "notify: *x", "undefined alias"),
    "a part in itself": ("notify: [head]", "notify: &a [*a]", "notify: &a", "contains itself"),
}
