"""The phrases that tools are asked for with. The order counts: the first that fits is it.

All are searched for in lower case. What they are about was found before (`rag.tools.names`), so
they need not tell a patient from a ward.
"""

import re

__all__ = [
    "ADVICE",
    "ALERT",
    "COUNT",
    "LOWEST",
    "OF_AN_ALERT",
    "OWN_PAGE",
    "MAY_ASK_FOR_ADVICE",
    "PATIENT",
    "TIER",
    "UNIT",
    "follows_up",
    "is_about_the_open_patient",
]


def _of(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{part})" for part in parts))


_PAGE = r"(?:alerts?|alarms?|pages?|paged|pager|bleep|bleeped|beep|beeped|alerted|pinged)"
_SOMEBODY = r"(?:anyone|anybody|someone|somebody|no one|nobody)"
_LOOK_BACK = (
    r"\b(?:trend|trends|trending|since|over|history|chart|graph|plot|curve|course|evolution|evolved"
    r"|develop\w*|progress\w*|chang(?:e|ed|es|ing)|going|gone|went|been|rising|rose|risen|falling"
    r"|fell|fallen|dropp\w+|climb\w*|increas\w+|decreas\w+|come down|coming down|gone up|going up"
    r"|stable|fluctuat\w+|(?:last|past|previous)\s+(?:\S+\s+){0,2}(?:hours?|hrs?|h|minutes?|mins?|"
    r"days?|night|shift)|last \d+\s?h|overnight|so far today|throughout|highest|lowest|peak"
    r"|max(?:imum)?|min(?:imum)?)\b"
)
_SHOW = r"\b(?:what|what's|whats|show|give|list|tell|get|display|see|check|read|how)\b"

#: Which alert tool.
ALERT: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "who_answered",
        _of(
            r"\bwho\b.*\b(?:acknowledg|acked|accept|answer|respond|declin|took|taken|taking|"
            r"react|confirm)\w*\b(?!.*\bsepsis\b)",
            r"\bwho (?:was|were|got|has been|have been|is|did)\b.*\b(?:paged|alerted|bleeped|page)\b",
            r"\b(?:has|have|did|was|is|were|been)\b.*\b(?:acknowledged|accepted|acked|picked up|"
            r"answered|responded|acknowledge|accept|respond)\b",
            rf"\b(?:is|are|has|did|will)\b.*\b{_SOMEBODY}\b.*\b(?:tak|com|deal|look|attend|see|go|on "
            r"it|car)\w*\b",
            rf"\b(?:status|state) of (?:the |that |this |my |her |his )?{_PAGE}\b",
            rf"\bwhat (?:happened|became) (?:to|of|with) (?:the |that |this )?{_PAGE}\b",
        ),
    ),
    (
        "why_paged",
        _of(
            rf"\bwhy\b.*\b{_PAGE}\b",
            r"\bwhy\b.*\b(?:i|we|me|us)\b.*\bcalled\b",
            rf"\b(?:reason|cause|basis)\b.*\b{_PAGE}\b",
            rf"\bwhat\b.*\b(?:triggered|caused|raised|set off|led to|behind)\b.*\b{_PAGE}\b",
            rf"\bwhat\b.*\b{_PAGE}\b.*\babout\b",
            rf"\b(?:explain|details? of|details? for|more about|tell me about)\b.*"
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

_WHO = r"\b(?:who|who's|whos|whose|whom|which (?:patient|one|of)s?|which|any(?:one|body)|any patients?)\b"

#: Which tool of a unit; whether it is one though no unit is named ("who is the sickest?").
UNIT: tuple[tuple[str, re.Pattern[str], bool], ...] = (
    (
        "worsened_on_unit",
        _of(
            rf"{_WHO}.*\b(?:worse|worsen\w*|deteriorat\w*|declin\w*|downhill|gone off|going off|"
            r"risk (?:has )?(?:risen|increased|gone up|rose)|rising risk|climbing)\b",
            r"\b(?:deteriorating|worsening|declining) patients?\b|\bpatients? .*\b(?:getting|got|"
            r"become|becoming|gotten) worse\b|\bdeteriorations\b",
        ),
        True,
    ),
    (
        "silent_patients",
        _of(
            rf"{_WHO}.*\b(?:no|without|missing|not|hasn't|haven't|didn't|lacking|lacks?|silent|overdue)\b"
            r".*\b(?:readings?|data|obs|observations?|vital signs?|vitals|measurements?|news)\b",
            rf"{_WHO}.*\b(?:silent|overdue|not reporting|stopped reporting|not been measured|"
            r"disconnected)\b",
            r"\b(?:silent|disconnected) patients\b|\bpatients? (?:without|with no|missing) (?:recent "
            r"|any )?(?:readings?|data|obs|observations?|vitals?|vital signs|measurements?)\b",
        ),
        True,
    ),
    (
        "unit_open_alerts",
        _of(
            r"\b(?:open|active|outstanding|current|unanswered|pending|unacknowledged|ongoing|live|"
            r"any|all|which|list|show|what|how many|are there|is there)\b.*\b(?:alerts?|alarms?|pages)\b",
            r"\b(?:alerts?|alarms?|pages)\b.*\b(?:open|active|pending|outstanding|unanswered)\b",
        ),
        False,
    ),
    (
        "sickest_on_unit",
        _of(
            r"\b(?:sickest|most unwell|most ill|illest|most unstable|worst off|most urgent patients?"
            r"|most critical|most worrying)\b",
            r"\bwho\b.*\b(?:see|visit|look at|review|check|round on|prioriti[sz]e) first\b"
            r"|\bwho needs (?:me|us|attention|help|seeing|review)\b",
        ),
        True,
    ),
    (
        "sickest_on_unit",
        _of(
            r"\b(?:highest|greatest|biggest|top|worst)\b.*\b(?:risks?|scores?|news2?|patients?|"
            r"sepsis)\b",
            r"\bmost at risk\b|\bat (?:the )?(?:highest|most|greatest) risk\b|\b(?:rank|prioriti[sz]e"
            r"|sort)\b|\bworst\b|\b(?:urgent|warning|high[- ]risk) patients\b"
            r"|\b(?:who|which).*\b(?:urgent|high[- ]risk|at risk|worry|worried|concerned)\b"
            r"|\btop \d+\b",
        ),
        False,
    ),
    (
        "unit_vital",
        _of(
            r"\b(?:who|which|anyone|anybody|highest|lowest|everyone|everybody|all|list|show|any "
            r"patients?|patients with)\b",
        ),
        False,
    ),
    (
        "unit_summary",
        _of(
            r"\b(?:summary|summari[sz]e|overview|how many patients|how many beds|counts?|numbers|"
            r"state of|status of|situation|snapshot|handover|breakdown|at a glance|number of)\b",
            r"\bhow(?:'s| is| are| does| do)\b.*\b(?:ward|unit|icu|itu|hdu|ccu|patients|doing|look)\b"
            r"|\bhow many\b.*\b(?:urgent|warning|watch|patients|people)\b|\bhow busy\b",
            r"\bwhat's (?:going on|happening)\b|\bwhat is (?:going on|happening)\b",
        ),
        False,
    ),
    (
        "unit_patients",
        _of(
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

#: Which tool of a patient; ``latest_vitals_of`` is `latest_vitals` of the one that is named.
PATIENT: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "alert_history",
        _of(
            r"\b(?:history|earlier|previous|past|prior|old|how many|how often|last)\b.*\b(?:alerts?|"
            r"alarms?|pages)\b|\b(?:alerts?|alarms?|pages)\b.*\b(?:history|so far|yesterday|this week|"
            r"today|since|last|past|before)\b|\b(?:alerted|paged)\b"
            r"|\bhow often\b.*\b(?:alerted|paged)\b|\balert(?:s)? log\b",
        ),
    ),
    (
        "open_alerts",
        _of(r"\b(?:alerts?|alarms?|pages)\b"),
    ),
    (
        "sepsis_screen",
        _of(
            r"\bq-?sofa\b|\bsirs\b|\bscreen\w*\b|\bsepsis (?:criteria|check|screen\w*|signs|test)\b"
            r"|\bcriteria\b|\b(?:symptom|symptoms|signs?) check\b|\bsigns of (?:sepsis|infection)\b"
            r"|\b(?:is|has|does|could)\b.*\bseptic\b|\b(?:has|have|having|got)\b.*\bsepsis\b",
        ),
    ),
    (
        "risk_trend",
        _of(
            rf"\b(?:risk|news ?2?|score|probability)\b.*{_LOOK_BACK}",
            rf"{_LOOK_BACK}.*\b(?:risk|news ?2?|score|probability)\b",
        ),
    ),
    (
        "news2_explained",
        _of(r"\bnews ?-?2?\b(?! of (?:the )?day)|\bearly warning score\b|\bewscore\b"),
    ),
    (
        "model_behind",
        _of(
            r"\b(?:which|what) (?:(?!makes)\S+ )?(?:model|version|algorithm)\b|\bmodel (?:version|name|"
            r"behind|made|gave|used|scored|is)\b|\bversion of the model\b|\bwhere does .* score come "
            r"from\b|\bwhat (?:calculated|computed|produced) \b",
        ),
    ),
    (
        "data_quality",
        _of(
            r"\b(?:data )?quality\b|\bmissing\b|\black(?:s|ing)?\b|\b(?:trust|reliable|reliability|believe|plausible|"
            r"artefacts?|artifacts?|sensors?|flags?|flagged|doubtful|incomplete|complete|gaps?|"
            r"not measured|not been measured|unmeasured|stale|accurate)\b",
        ),
    ),
    (
        "next_steps",
        _of(
            r"\bnext steps?\b|\b(?:do|done|happen|happens|action|actions) next\b|\bwhat (?:should|do|"
            r"can|must) (?:i|we) (?:do|be doing)\b|\brecommend\w*\b|\bsuggest\w*\b|\bwhat (?:now|to "
            r"do)\b|\baction plan\b|\bwhat needs (?:to be done|doing)\b|\bplan for\b|\bwhat actions?\b",
        ),
    ),
    (
        "last_reading",
        _of(
            r"\bhow (?:old|recent|fresh|up to date)\b|\blast (?:reading|seen|measurement|observations?|"
            r"obs|update|data|heard)\b|\bwhen (?:was|were|did)\b.*\b(?:last|latest|observed|updated|"
            r"measured)\b|\b(?:how long|time) (?:since|ago|is it since)\b|\blatest reading\b"
            r"|\bstill (?:sending|reporting|connected|monitored)\b|\bage of\b.*\breading\b",
        ),
    ),
    (
        "compare",
        _of(
            r"\bcompar\w+\b|\bthan\b|\bversus\b|\bvs\b|\bdifference\b|\bbetter\b|\bworse\b|\bworsen\w*"
            r"|\bdeteriorat\w+|\bimprov\w+|\brecover\w*|\bwhat(?:'s| has| is)? (?:changed|new|different)"
            r"|\b(?:going|gone) downhill\b|\bdeclin\w+\b",
        ),
    ),
    ("vital_trend", _of(_LOOK_BACK)),
    (
        "latest_vitals_of",
        _of(r".*"),
    ),
    (
        "current_risk",
        _of(
            r"\brisk\b|\bhow (?:sick|ill|unwell|bad|likely|worried|urgent|serious|concerned)\b|\bchance"
            r"|\bprobabilit\w+|\blikelihood\b|\bfactors?\b|\bdriv(?:es?|ing|ers?)\b|\bscore\b|\btier\b"
            r"|\bodds\b|\bsepsis prediction\b|\bwhat makes\b|\bworried about\b",
        ),
    ),
    (
        "latest_vitals",
        _of(
            r"\bvitals?\b|\bobs\b|\bobservations?\b|\bmeasurements?\b|\breadings?\b|\bnumbers\b"
            r"|\bvalues\b|\bvital signs?\b",
        ),
    ),
    (
        "current_risk",
        _of(
            r"\bhow(?:'s| is| are| was)\b|\b(?:status|state|condition|summary|overview|update)\b"
            r"|\btell me about\b|\bwhat about\b|\bhow about\b|\bwhat do we know\b|\bshow me\b"
            r"|^(?:patient |pt |bed )?\S+$|\bdoing\b|\bokay\b|\bok\b|\bstable\b|\bwhy\b.*\b(?:urgent|"
            r"warning|watch|flagged|high|so)\b|\breport on\b|\bpull up\b|\bopen\b|\blook up\b",
        ),
    ),
)

#: "Who should I see first?" and "what should we do next?" are answered from the ward.
MAY_ASK_FOR_ADVICE = frozenset(
    {
        "next_steps",
        "open_alerts",
        "alert_history",
        "data_quality",
        "unit_open_alerts",
        "sickest_on_unit",
    }
)
#: Asks for advice, a cause or a general fact though it is about somebody: no tool answers that.
ADVICE = re.compile(
    r"\b(?:should|shall|antibiotics?|dose|doses|dosage|treat\w*|therap\w+|medicat\w+|medicines?|drugs?"
    r"|prescri\w+|diagnos\w+|dangerous|normal|abnormal|prognosis|survive|die|dying|cure|mean(?! arterial| pressure| blood| bp)|means"
    r"|worry about|stop taking|take|taking|inject\w*|surgery|operation|fluids|paracetamol|ibuprofen"
    r"|in general|symptoms? of|causes?|caused by|prevent\w*|contagious)\b"
    r"|\bwhy (?:is|are|does|do|has|did)\b.*\b(?:heart|pulse|temperature|fever|pressure|breath\w*|"
    r"saturation|sats)\b"
)

TIER = _of(
    r"\b(?:tier|tiers)\b.*\b(?:mean|means|explain|threshold|what|begin|start|cut-?off)\b",
    r"\b(?:what|explain|which|how|define|describe)\b.*\b(?:tier|tiers)\b",
    r"\bthresholds?\b.*\b(?:urgent|warning|watch|alert|tier|tiers|vigil)\b",
    r"\b(?:urgent|warning|watch)\b.*\bthresholds?\b",
    r"\bwhat (?:makes|counts as|is) (?:a patient |an? )?(?:urgent|warning|watch)(?: patient| alert)?$",
    r"\bwhat does (?:an? )?[\"']?(?:urgent|warning|watch)[\"']? mean\b",
    r"\bwhen is (?:an )?alert raised\b|\bwhat raises an? (?:urgent |warning |watch )?alert\b",
)

_LIVE = re.compile(
    r"\b(?:now|current|currently|latest|newest|right now|at the moment|today|tonight|overnight|so far"
    r"|since|this morning|yesterday|last \S+ ?(?:hours?|h|hrs?)|trend|open alerts?|next steps?|last "
    r"reading)\b"
)
_ELLIPTIC = re.compile(r"^(?:and|what about|how about|also|same for|ok,? and|now)\b")
_DEFINITE = re.compile(
    r"^(?:what(?:'s| is| are| was)|show(?: me)?|give me|check|explain|tell me|how is|how's|get) the\b"
)
#: Says that it is about people in general.
_GENERAL = re.compile(
    r"\b(?:in (?:adults|children|people|patients|general|babies|infants|elderly|the elderly|women|men)"
    r"|people|patients with|after|during|pregnan\w*|symptoms?|causes?|treat\w*|mean(?! arterial| pressure| blood| bp)|means|definition|"
    r"normal|score (?:calculated|used)|used for|calculated|difference|between|who gets|how common|for "
    r"sepsis|of sepsis in|types? of|stages? of)\b"
)
#: More words than this are no short question about whom is on the screen.
_SHORT = 9


def is_about_the_open_patient(lower: str) -> bool:
    """Whether a question without a name or a pronoun is about the patient it was asked on."""
    if _GENERAL.search(lower) or len(lower.split()) > _SHORT:
        return False
    return bool(_LIVE.search(lower) or _DEFINITE.search(lower) or _ELLIPTIC.search(lower))


def follows_up(lower: str) -> bool:
    """Whether a question without a name or a pronoun goes on about the patient before."""
    if _GENERAL.search(lower) or len(lower.split()) > _SHORT:
        return False
    return bool(_ELLIPTIC.search(lower) or (_LIVE.search(lower) and len(lower.split()) <= 7))
