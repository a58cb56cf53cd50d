"""Phrases that tools of alerts and units are asked for with; the first that fits is it.

All are searched for in lower case. Whom they are about was found before (`rag.tools.names`).
"""

import re

from rag.tools.phrases import any_of

__all__ = ["ALERT", "COUNT", "LOWEST", "OF_AN_ALERT", "OWN_PAGE", "UNIT"]

_PAGE = r"(?:alerts?|alarms?|pages?|paged|pager|bleep|bleeped|beep|beeped|alerted|pinged)"
_SOMEBODY = r"(?:anyone|anybody|someone|somebody|no one|nobody)"

#: Which alert tool.
ALERT: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "who_answered",
        any_of(
            r"\bwho\b.*\b(?:acknowledg|acked|accept|answer|respond|declin|took|taken|taking|"
            r"react|confirm)\w*\b(?!.*\bsepsis\b)",
            r"\bwho (?:was|were|got|has been|have been|is|did)\b.*\b(?:paged|alerted|bleeped"
            r"|page)\b",
            r"\b(?:has|have|did|was|is|were|been)\b.*\b(?:acknowledged|accepted|acked|picked up|"
            r"answered|responded|acknowledge|accept|respond)\b",
            rf"\b(?:is|are|has|did|will)\b.*\b{_SOMEBODY}\b.*\b(?:tak|com|deal|look|attend|see"
            r"|go|on "
            r"it|car)\w*\b",
            rf"\b(?:status|state) of (?:the |that |this |my |her |his )?{_PAGE}\b",
            rf"\bwhat (?:happened|became) (?:to|of|with) (?:the |that |this )?{_PAGE}\b",
        ),
    ),
    (
        "why_paged",
        any_of(
            rf"\bwhy\b.*\b{_PAGE}\b",
            r"\bwhy\b.*\b(?:i|we|me|us)\b.*\bcalled\b",
            rf"\b(?:reason|cause|basis)\b.*\b{_PAGE}\b",
            rf"\bwhat\b.*\b(?:triggered|caused|raised|set off|led to|behind)\b.*\b{_PAGE}\b",
            rf"\bwhat\b.*\b{_PAGE}\b.*\babout\b",
            r"\b(?:explain|details? of|details? for|more about|tell me about)\b.*"
            r"\b(?:alert|alarm|page)\b(?!s)",
            r"\bhow come\b.*\b(?:paged|called|alerted|bleeped)\b",
            r"\bwhat was i (?:paged|called|bleeped|alerted) (?:for|about)\b",
        ),
    ),
)

#: Without a name or a reference a question about a page has to be about one that was sent.
OWN_PAGE = re.compile(
    r"\b(?:i|we|me|us|my|our)\b|\b(?:the|this|that|last|latest) (?:alert|alarm|page)\b"
)
#: What is answered or accepted may be something else.
OF_AN_ALERT = re.compile(rf"\b{_PAGE}\b|\backnowledg|\backed\b")

_WHO = (
    r"\b(?:who|who's|whos|whose|whom|which (?:patient|one|of)s?|which|any(?:one|body)"
    r"|any patients?)\b"
)

#: Which tool of a unit; whether it is one though no unit is named ("who is the sickest?").
UNIT: tuple[tuple[str, re.Pattern[str], bool], ...] = (
    (
        "worsened_on_unit",
        any_of(
            rf"{_WHO}.*\b(?:worse|worsen\w*|deteriorat\w*|declin\w*|downhill|gone off|going off|"
            r"risk (?:has )?(?:risen|increased|gone up|rose)|rising risk|climbing)\b",
            r"\b(?:deteriorating|worsening|declining) patients?\b|\bpatients? .*\b(?:getting|got|"
            r"become|becoming|gotten) worse\b|\bdeteriorations\b",
        ),
        True,
    ),
    (
        "silent_patients",
        any_of(
            rf"{_WHO}.*\b(?:no|without|missing|not|hasn't|haven't|didn't|lacking|lacks?|silent"
            r"|overdue)\b"
            r".*\b(?:readings?|data|obs|observations?|vital signs?|vitals|measurements?|news)\b",
            rf"{_WHO}.*\b(?:silent|overdue|not reporting|stopped reporting|not been measured|"
            r"disconnected)\b",
            r"\b(?:silent|disconnected) patients\b|\bpatients? (?:without|with no"
            r"|missing) (?:recent "
            r"|any )?(?:readings?|data|obs|observations?|vitals?|vital signs|measurements?)\b",
        ),
        True,
    ),
    (
        "unit_open_alerts",
        any_of(
            r"\b(?:open|active|outstanding|current|unanswered|pending|unacknowledged|ongoing|live|"
            r"any|all|which|list|show|what|how many|are there|is there)\b.*\b(?:alerts?|alarms?"
            r"|pages)\b",
            r"\b(?:alerts?|alarms?|pages)\b.*\b(?:open|active|pending|outstanding|unanswered)\b",
        ),
        False,
    ),
    (
        "sickest_on_unit",
        any_of(
            r"\b(?:sickest|most unwell|most ill|illest|most unstable|worst off"
            r"|most urgent patients?"
            r"|most critical|most worrying)\b",
            r"\bwho\b.*\b(?:see|visit|look at|review|check|round on|prioriti[sz]e) first\b"
            r"|\bwho needs (?:me|us|attention|help|seeing|review)\b",
        ),
        True,
    ),
    (
        "sickest_on_unit",
        any_of(
            r"\b(?:highest|greatest|biggest|top|worst)\b.*\b(?:risks?|scores?|news2?|patients?|"
            r"sepsis)\b",
            r"\bmost at risk\b|\bat (?:the )?(?:highest|most|greatest) risk\b|\b(?:rank"
            r"|prioriti[sz]e"
            r"|sort)\b|\bworst\b|\b(?:urgent|warning|high[- ]risk) patients\b"
            r"|\b(?:who|which).*\b(?:urgent|high[- ]risk|at risk|worry|worried|concerned)\b"
            r"|\btop \d+\b",
        ),
        False,
    ),
    (
        "unit_vital",
        any_of(
            r"\b(?:who|which|anyone|anybody|highest|lowest|everyone|everybody|all|list|show|any "
            r"patients?|patients with)\b",
        ),
        False,
    ),
    (
        "unit_summary",
        any_of(
            r"\b(?:summary|summari[sz]e|overview|how many patients|how many beds|counts?|numbers|"
            r"state of|status of|situation|snapshot|handover|breakdown|at a glance|number of)\b",
            r"\bhow(?:'s| is| are| does| do)\b.*\b(?:ward|unit|icu|itu|hdu|ccu|patients|doing"
            r"|look)\b"
            r"|\bhow many\b.*\b(?:urgent|warning|watch|patients|people)\b|\bhow busy\b",
            r"\bwhat's (?:going on|happening)\b|\bwhat is (?:going on|happening)\b",
        ),
        False,
    ),
    (
        "unit_patients",
        any_of(
            r"\b(?:list|show|who is|who's|whos|who are|which patients|patient list|all patients|"
            r"everyone|everybody|patients (?:on|in|of|at))\b",
        ),
        False,
    ),
)

LOWEST = re.compile(
    r"\b(?:lowest|low|hypotensi\w+|bradycardi\w+|desaturat\w+|hypoxi\w+|slowest|minimum|coldest)\b"
)
COUNT = re.compile(
    r"\b(?:top|first|worst) (\d+|two|three|four|five|six|ten)\b|\b(\d+|two|three|four|five|six|ten)"
    r" (?:sickest|worst|highest|most)\b"
)
