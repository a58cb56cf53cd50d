"""What a question asks for: its words that carry meaning, and the kind of answer that fits.

Rules, not a model: the same question is read in the same way everywhere and always.
"""

import re
import threading
import unicodedata
from functools import lru_cache

import Stemmer  # type: ignore[import-not-found]

__all__ = ["FILLERS", "content_words", "name_words", "question_types", "stem", "word_set", "words"]

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_stemmer = Stemmer.Stemmer("english", 0)
# a stemmer keeps its last word in itself: two threads would get each other's
_stemming = threading.Lock()


def word_set(text: str) -> frozenset[str]:
    """Words that are written one after the other, with spaces between them."""
    return frozenset(text.split())


#: Words that say nothing of the subject of a question.
FILLERS = word_set(
    """a about after all also am an and any anyone are as at be because been before being but by can
    cannot could did do does doing done during each either else ever every few for from
    further get gets getting give got had has have having he hello help her here hers hi him
    his how i if im in into is it its itself just kind know let like lot many may me might
    mine more most much must my myself need no nor not now of off ok okay on once one only or
    other others our ours out over own please quite rather really same say says she should so
    some someone something such sure tell than thank thanks that the their theirs them then
    there these they thing things this those through to too up us very want was we well were
    what whats when where whether which while who whom whose why will wish with without
    wondering would yes you your yours"""
)


def words(text: str) -> list[str]:
    """Words in lower case, without accents and possessive endings, in the order of the text.

    >>> words("What's Crohn\N{RIGHT SINGLE QUOTATION MARK}s disease?")
    ['what', 'crohn', 'disease']
    """
    plain = text.lower()
    if not plain.isascii():
        plain = unicodedata.normalize("NFKD", plain).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [word.partition("'")[0] for word in _WORD.findall(plain)]


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """Stem of an English word in lower case (Snowball, Porter 2)."""
    with _stemming:
        return str(_stemmer.stemWord(word))


def content_words(text: str) -> list[str]:
    """Stems of the words that carry meaning, in the order of the text.

    >>> content_words("How is it treated?")
    ['treat']
    """
    return [
        stem(word)
        for word in words(text)
        if word not in FILLERS and (len(word) > 1 or word.isdigit())
    ]


@lru_cache(maxsize=65_536)
def name_words(name: str) -> frozenset[str]:
    """`content_words` of a name, remembered: there are not so many, and each is looked at often."""
    return frozenset(content_words(name))


# How people ask for each kind of answer; the kinds are those of MedQuAD. Earlier rows are the more
# particular: "what are the chances of inheriting it" asks for inheritance before outlook.
_KINDS = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("inheritance", r"\binherit|\bheredit|\bruns? in (the |my )?famil|\bpass(ed)? (it )?on\b"),
        ("genetic changes", r"\bgenetic (change|cause|mutation)|\bmutation|\bwhich genes?\b"),
        ("exams and tests", r"\bdiagnos|\btest(s|ed|ing)?\b|\bexams?\b|\bdetect|\bscreen"),
        ("treatment", r"\btreat|\bcur(e|es|ed|able)\b|\btherap|\bmanag|\bmedic(ine|ation)|\bdrug"),
        ("prevention", r"\bprevent|\bavoid|\bprotect|\blower (the|my|your) risk|\bvaccin"),
        ("symptoms", r"\bsymptom|\bsigns?\b|\bfeel like\b|\bwarning signs?\b|\bhow do i know\b"),
        ("complications", r"\bcomplication|\blead to\b|\blong[- ]term (effect|problem)"),
        ("outlook", r"\boutlook|\bprognos|\blife expectancy|\bsurviv|\blong (can|will|do).* live"),
        ("susceptibility", r"\bat risk\b|\brisk factor|\blikely to get|\bwho (gets|can get)\b"),
        ("frequency", r"\bhow (common|rare|frequent|often)|\bhow many people|\bprevalen|\binciden"),
        ("causes", r"\bcaus|\bwhy (do|does|did|is|am|are)\b|\breasons? for|\bcontagious|\bspread"),
        ("stages", r"\bstag(e|es|ing)\b"),
        ("research", r"\bresearch|\bclinical trials?\b|\bstud(y|ies)\b"),
        ("considerations", r"\bdiet|\beat\b|\bfood|\bwhat (to|should|can) (i |you )?do\b"),
        ("support groups", r"\bsupport groups?\b"),
        ("information", r"\bwhat( i|')?s\b|\bwhat (is|are)\b|\bdefin|\bexplain|\binformation\b"),
    )
)  # fmt: skip


def question_types(question: str) -> tuple[str, ...]:
    """Kinds of answer that fit, the surest first; empty where the wording tells none.

    >>> question_types("How is sepsis treated?")
    ('treatment',)
    """
    text = " ".join(words(question))
    found = tuple(kind for kind, pattern in _KINDS if pattern.search(text))
    # nearly every question can be read as one for information: only where nothing else is asked
    return found if found == ("information",) else tuple(k for k in found if k != "information")
