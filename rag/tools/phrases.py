"""Phrases that say what kind of question it is, whatever the tool.

All are searched for in lower case. Whom they are about was found before (`rag.tools.names`).
"""

import re

__all__ = [
    "ADVICE",
    "DRUGS",
    "MAY_ASK_FOR_ADVICE",
    "TIER",
    "any_of",
    "follows_up",
    "is_a_report",
    "is_about_the_open_patient",
]


def any_of(*parts: str) -> re.Pattern[str]:
    """Any of these patterns."""
    return re.compile("|".join(f"(?:{part})" for part in parts))


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
#: About a drug; no tool answers that, whatever else is in the question.
DRUGS = re.compile(
    r"\b(?:antibiotics?|dose|doses|dosage|overdose|medicat\w+|medicines?|drugs?|prescri\w+|inject\w*"
    r"|pills?|tablets?|capsules?|paracetamol|ibuprofen|vaccin\w+)\b"
)
#: Asks for advice, a cause or a general fact though it is about somebody: no tool answers that.
ADVICE = re.compile(
    r"\b(?:should|shall|antibiotics?|dose|doses|dosage|treat\w*|therap\w+|medicat\w+|medicines?"
    r"|drugs?"
    r"|prescri\w+|diagnos\w+|dangerous|normal|abnormal|prognosis|survive|die|dying|cure"
    r"|mean(?! arterial| pressure| blood| bp)|means"
    r"|worry about|stop taking|take|taking|inject\w*|surgery|operation|fluids|paracetamol|ibuprofen"
    r"|in general|symptoms? of|causes?|caused by|prevent\w*|contagious)\b"
    r"|\bwhy (?:is|are|does|do|has|did)\b.*\b(?:heart|pulse|temperature|fever|pressure|breath\w*|"
    r"saturation|sats)\b"
)

TIER = any_of(
    r"\b(?:tier|tiers)\b.*\b(?:mean|means|explain|threshold|what|begin|start|cut-?off)\b",
    r"\b(?:what|explain|which|how|define|describe)\b.*\b(?:tier|tiers)\b",
    r"\bthresholds?\b.*\b(?:urgent|warning|watch|alert|tier|tiers|vigil)\b",
    r"\b(?:urgent|warning|watch)\b.*\bthresholds?\b",
    r"\bwhat (?:makes|counts as|is) (?:a patient |an? )?(?:urgent|warning|watch)(?: patient"
    r"| alert)?$",
    r"\bwhat does (?:an? )?[\"']?(?:urgent|warning|watch)[\"']? mean\b",
    r"\bwhen is (?:an )?alert raised\b|\bwhat raises an? (?:urgent |warning |watch )?alert\b",
)

_LIVE = re.compile(
    r"\b(?:now|current|currently|latest|newest|right now|at the moment|today|tonight|overnight"
    r"|so far|since|this morning|yesterday|last \S+ ?(?:hours?|h|hrs?)|trend|open alerts?"
    r"|next steps?|do next|last reading)\b"
)
_ELLIPTIC = re.compile(r"^(?:and|what about|how about|also|same for|ok,? and|now)\b")
_DEFINITE = re.compile(
    r"^(?:what(?:'s| is| are| was)|show(?: me)?|give me|check|explain|tell me|how is|how's"
    r"|get) the\b"
    r"(?= (?:\S+ ){0,2}(?:risk|score|news2?|vitals?|obs|observations|tier|model|data|alerts?|"
    r"factors|next steps?|trend|rate|pulse|temperature|temp|pressure|bp|saturation|sats|spo2|hr"
    r"|rr|"
    r"map|last reading|sirs|qsofa)\b)"
)
#: Says that it is about people in general.
_GENERAL = re.compile(
    r"\b(?:in (?:adults|children|people|patients|general|babies|infants|elderly|the elderly"
    r"|women|men)"
    r"|people|patients with|after|during|pregnan\w*|symptoms?|causes?|treat\w*|mean(?! arterial"
    r"| pressure| blood| bp)|means|definition|"
    r"normal|score (?:calculated|used)|used for|calculated|difference|between|who gets"
    r"|how common|for "
    r"sepsis|of sepsis in|types? of|stages? of|mortality|septic shock|in sepsis)\b"
)
#: More words than this are no short question about whom is on the screen.
_SHORT = 9


_ASKS = re.compile(
    r"^(?:please |can |could |would |and |ok,? |so )*(?:what|what's|whats|how|how's|which|who|when"
    r"|why|is|are|am|was|were|has|have|did|do|does|show|give|tell|list|plot|graph|explain|compare|check"
    r"|you|i see|i would like|get|read)\b"
)
#: Somebody tells how they are, or how another person is.
_TELLS = re.compile(
    r"\b(?:i|she|he|they|we) (?:have|has|had|feel|feels|felt|am|is|are|was|got|get|keep|can't"
    r"|cannot|think|took|take)\b"
    r"|\bi'(?:m|ve)\b|\b(?:my|her|his|their) .*\b(?:is|are|has|have|was|hurts?"
    r"|feels?|keeps?)\b"
)
#: Not the patient whose page it is.
_RELATIVE = re.compile(
    r"\bmy (?:\w+ )?(?:child|son|daughter|baby|toddler|kid|mother|mum|mom|father|dad|husband|wife"
    r"|partner|pet|dog|cat|brother|sister|friend|neighbour|neighbor|grand\w+|uncle|aunt|boyfriend|girlfriend)\b"
)
_HOW_TO = re.compile(r"\bhow (?:do|can|could|would|might) (?:i|we|you|one|people)\b(?! see)")


def is_a_report(lower: str) -> bool:
    """Whether somebody tells of symptoms, asks how to do something, or speaks of a relative.

    "I have a temperature of 40" must not be answered with what the monitor said an hour ago.
    """
    if _RELATIVE.search(lower) or _HOW_TO.search(lower):
        return True
    return bool(_TELLS.search(lower)) and not _ASKS.search(lower)


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
