"""Phrases that say what kind of question it is, whatever the tool.

All are searched for in lower case. Whom they are about was found before (`rag.tools.names`).
"""

import re

__all__ = [
    "ADVICE",
    "MAY_ASK_FOR_ADVICE",
    "TIER",
    "any_of",
    "follows_up",
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
    r"|so far"
    r"|since|this morning|yesterday|last \S+ ?(?:hours?|h|hrs?)|trend|open alerts?|next steps?"
    r"|last "
    r"reading)\b"
)
_ELLIPTIC = re.compile(r"^(?:and|what about|how about|also|same for|ok,? and|now)\b")
_DEFINITE = re.compile(
    r"^(?:what(?:'s| is| are| was)|show(?: me)?|give me|check|explain|tell me|how is|how's"
    r"|get) the\b"
    r"(?= (?:\S+ ){0,2}(?:risk|score|news2?|vitals?|obs|observations|tier|model|data|alerts?|"
    r"factors?|next steps?|trend|rate|pulse|temperature|temp|pressure|bp|saturation|sats|spo2|hr"
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
