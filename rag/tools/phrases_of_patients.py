"""Phrases that tools of patients are asked for with; the first that fits is it.

All are searched for in lower case. Whom they are about was found before (`rag.tools.names`).
"""

import re

from rag.tools.phrases import any_of

__all__ = ["PATIENT"]

_LOOK_BACK = (
    r"\b(?:trend|trends|trending|since|over|history|chart|graph|plot|curve|course|evolution|evolved"
    r"|develop\w*|progress\w*|chang(?:e|ed|es|ing)|going|gone|went|been|rising|rose|risen|falling"
    r"|fell|fallen|dropp\w+|climb\w*|increas\w+|decreas\w+|come down|coming down|gone up|going up"
    r"|stable|fluctuat\w+|(?:last|past|previous)\s+(?:\S+\s+){0,2}(?:hours?|hrs?|h|minutes?|mins?|"
    r"days?|night|shift)|last \d+\s?h|overnight|so far today|throughout|highest|lowest|peak"
    r"|max(?:imum)?|min(?:imum)?)\b"
)

#: Which tool of a patient; ``latest_vitals_of`` is `latest_vitals` of the one that is named.
PATIENT: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "alert_history",
        any_of(
            r"\b(?:history|earlier|previous|past|prior|old|how many|how often"
            r"|last)\b.*\b(?:alerts?|"
            r"alarms?|pages)\b|\b(?:alerts?|alarms?|pages)\b.*\b(?:history|so far|yesterday"
            r"|this week|"
            r"today|since|last|past|before)\b|\b(?:alerted|paged)\b"
            r"|\bhow often\b.*\b(?:alerted|paged)\b|\balert(?:s)? log\b",
        ),
    ),
    (
        "open_alerts",
        any_of(r"\b(?:alerts?|alarms?|pages)\b"),
    ),
    (
        "sepsis_screen",
        any_of(
            r"\bq-?sofa\b|\bsirs\b|\bscreen\w*\b|\bsepsis (?:criteria|check|screen\w*|signs|test)\b"
            r"|\bcriteria\b|\b(?:symptom|symptoms|signs?) check\b|\bsigns of (?:sepsis|infection)\b"
            r"|\b(?:is|has|does|could)\b.*\bseptic\b(?! shock)|\b(?:has|have|having"
            r"|got)\b.*\bsepsis\b",
        ),
    ),
    (
        "risk_trend",
        any_of(
            rf"\b(?:risk|news ?2?|score|probability)\b.*{_LOOK_BACK}",
            rf"{_LOOK_BACK}.*\b(?:risk|news ?2?|score|probability)\b",
        ),
    ),
    (
        "news2_explained",
        any_of(r"\bnews ?-?2?\b(?! of (?:the )?day)|\bearly warning score\b|\bewscore\b"),
    ),
    (
        "model_behind",
        any_of(
            r"\b(?:which|what) (?:(?!makes)\S+ )?(?:model|version|algorithm)\b"
            r"|\bmodel (?:version|name|"
            r"behind|made|gave|used|scored|is)\b|\bversion of the model\b"
            r"|\bwhere does .* score come "
            r"from\b|\bwhat (?:calculated|computed|produced) \b",
        ),
    ),
    (
        "data_quality",
        any_of(
            r"\b(?:data )?quality\b|\bmissing\b|\black(?:s|ing)?\b|\b(?:trust|reliable"
            r"|reliability|believe|plausible|"
            r"artefacts?|artifacts?|sensors?|flags|doubtful|incomplete|complete|gaps?|"
            r"not measured|not been measured|unmeasured|stale|accurate)\b",
        ),
    ),
    (
        "next_steps",
        any_of(
            r"\bnext steps?\b|\b(?:do|done|happen|happens|action|actions) next\b"
            r"|\bwhat (?:should|do|"
            r"can|must) (?:i|we) (?:do|be doing)\b|\brecommend\w*\b|\bsuggest\w*\b|\bwhat (?:now"
            r"|to "
            r"do)\b|\baction plan\b|\bwhat needs (?:to be done|doing)\b|\bplan for\b"
            r"|\bwhat actions?\b",
        ),
    ),
    (
        "last_reading",
        any_of(
            r"\bhow (?:old|recent|fresh|up to date)\b|\blast (?:reading|seen|measurement"
            r"|observations?|"
            r"obs|update|data|heard)\b|\bwhen (?:was|were|did)\b.*\b(?:last|latest|observed"
            r"|updated|"
            r"measured)\b|\b(?:how long|time) (?:since|ago|is it since)\b|\blatest reading\b"
            r"|\bstill (?:sending|reporting|connected|monitored)\b|\bage of\b.*\breading\b",
        ),
    ),
    (
        "compare",
        any_of(
            r"\bcompar\w+\b|\bthan\b|\bversus\b|\bvs\b|\bdifference\b|\bbetter\b|\bworse\b"
            r"|\bworsen\w*"
            r"|\bdeteriorat\w+|\bimprov\w+|\brecover\w*|\bwhat(?:'s| has| is)? (?:changed|new"
            r"|different)"
            r"|\b(?:going|gone) downhill\b|\bdeclin\w+\b",
        ),
    ),
    ("vital_trend", any_of(_LOOK_BACK)),
    (
        "latest_vitals_of",
        any_of(r".*"),
    ),
    (
        "current_risk",
        any_of(
            r"\brisk\b|\bhow (?:sick|ill|unwell|bad|likely|worried|urgent|serious|concerned)\b"
            r"|\bchance"
            r"|\bprobabilit\w+|\blikelihood\b|\bfactors?\b|\bdriv(?:es?|ing|ers?)\b|\bscore\b"
            r"|\btier\b"
            r"|\bodds\b|\bsepsis prediction\b|\bwhat makes\b|\bworried about\b",
        ),
    ),
    (
        "latest_vitals",
        any_of(
            r"\bvitals?\b|\bobs\b|\bobservations?\b|\bmeasurements?\b|\breadings?\b|\bnumbers\b"
            r"|\bvalues\b|\bvital signs?\b",
        ),
    ),
    (
        "current_risk",
        any_of(
            r"\bhow(?:'s| is| are| was)\b|\b(?:status|state|condition|summary|overview|update)\b"
            r"|\btell me about\b|\bwhat about\b|\bhow about\b|\bwhat do we know\b|\bshow me\b"
            r"|^(?:patient |pt |bed )?\S+$|\bdoing\b|\bokay\b|\bok\b|\bstable\b"
            r"|\bwhy\b.*\b(?:urgent|"
            r"warning|watch|flagged|high|so)\b|\breport on\b|\bpull up\b|\bopen\b|\blook up\b",
        ),
    ),
)
