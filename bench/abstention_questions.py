"""Questions to fit the threshold with: answerable ones, and three kinds that are not.

Answerable ones are made from the documents: how people put a question of that kind, with a name of
its subject. Not answerable are those of `non_medical.txt`, those whose subject is held out of the
search, and those that the corpus itself asks and leaves without an answer.
"""

import hashlib
import itertools
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from rag.documents import Document

__all__ = [
    "ANSWERABLE",
    "KINDS",
    "Asked",
    "Kind",
    "Side",
    "made",
    "non_medical",
    "side_of",
    "unanswered",
]

Kind = Literal["answerable", "described", "non-medical", "held out", "unanswered"]
#: Every kind, those with answers first.
KINDS: tuple[Kind, ...] = ("answerable", "described", "non-medical", "held out", "unanswered")
#: Those with answers.
ANSWERABLE: tuple[Kind, ...] = ("answerable", "described")
Side = Literal["fit", "unseen"]

# The wordings of each side share no sentence: what was fitted on one has not seen the other.
_WORDINGS: dict[Side, dict[str, tuple[str, ...]]] = {
    "fit": {
        "information": ("what is {x}", "Can you explain {x} to me?", "tell me about {x}"),
        "symptoms": ("how do I know if I have {x}", "What are the first signs of {x}?"),
        "treatment": ("How do doctors treat {x}?", "what can be done about {x}",
                      "My mother was told she has {x}. What are her treatment options?"),
        "causes": ("why do people get {x}", "What brings on {x}?"),
        "outlook": ("What is the prognosis for {x}?", "how long can you live with {x}"),
        "exams and tests": ("how is {x} diagnosed", "Which tests show {x}?"),
        "inheritance": ("Will my children inherit {x}?", "does {x} run in families"),
        "genetic changes": ("which gene is responsible for {x}",),
        "frequency": ("How common is {x}?", "how rare is {x}"),
        "prevention": ("How can I avoid {x}?", "can {x} be prevented"),
        "susceptibility": ("Who is at risk of {x}?",),
        "complications": ("What problems can {x} lead to?",),
        "research": ("are there clinical trials for {x}",),
        "considerations": ("What should I eat if I have {x}?",),
        "stages": ("what are the stages of {x}",),
    },
    "unseen": {
        "information": ("i need some information on {x} please", "what does {x} mean",
                        "Doctor said {x}, I have never heard of it. What is that?"),
        "symptoms": ("what does {x} feel like", "Hi, I am worried that I might have {x}, what "
                     "would I notice?", "{x} symptoms"),
        "treatment": ("is there a cure for {x}", "best treatment for {x}?", "Hello. My son, 9, has "
                      "had {x} for two years and nothing helps. Is there any therapy? Thank you"),
        "causes": ("reason for {x}?", "what is {x} caused by"),
        "outlook": ("life expectancy {x}", "will I get better if I have {x}?"),
        "exams and tests": ("is there a blood test for {x}", "how can a doctor tell it is {x}"),
        "inheritance": ("My father has {x}, can I get it from him?", "is {x} hereditary"),
        "genetic changes": ("{x} mutation", "Is {x} caused by a gene?"),
        "frequency": ("how many people have {x}", "is {x} rare?"),
        "prevention": ("How do I keep from getting {x}?", "protect myself from {x}"),
        "susceptibility": ("am I likely to get {x}",),
        "complications": ("long-term effects of {x}",),
        "research": ("Is anybody looking for new treatments of {x}?",),
        "considerations": ("diet for {x}",),
        "stages": ("how far can {x} progress, and in which steps",),
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of the development set.

    Attributes:
        text: as somebody would ask it.
        kind: whether there is an answer, and if not, why.
        side: the one that is fitted on, or the one that is measured on.
        hidden: ids of documents that the search must not give for it.
        wanted: ids of documents that answer it.
    """

    text: str
    kind: Kind
    side: Side
    hidden: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()


def side_of(text: str) -> Side:
    """The side on which a subject or a question is, by its hash, whatever else is in the data."""
    return "fit" if hashlib.sha256(text.casefold().encode()).digest()[0] & 1 else "unseen"


def non_medical() -> list[Asked]:
    """Every question of ``non_medical.txt``."""
    lines = files("bench").joinpath("non_medical.txt").read_text(encoding="utf-8").splitlines()
    texts = [line for line in lines if line and line[0] not in "#["]
    return [Asked(text, "non-medical", side_of(text)) for text in texts]


def unanswered(
    documents: Sequence[Document], questions: Sequence[Document], each: int, seed: int = 0
) -> list[Asked]:
    """Questions that a corpus asks and does not answer, of subjects that it says nothing about.

    Args:
        documents: with answers.
        questions: whose text is empty, as MedQuAD's of drugs and supplements.
        each: on a side, at most.
        seed: another one: other questions.
    """
    known = {name.casefold() for d in documents for name in (d.focus, *d.synonyms)}
    by_subject = {q.focus.casefold(): q.title for q in questions if q.focus}
    chance = random.Random(seed)
    subjects = sorted(by_subject.keys() - known)
    chance.shuffle(subjects)
    texts = [(by_subject[subject], side_of(subject)) for subject in subjects]
    return [
        Asked(text, "unanswered", side)
        for wanted in _WORDINGS
        for text, side in [pair for pair in texts if pair[1] == wanted][:each]
    ]


def made(documents: Sequence[Document], each: int, seed: int = 0) -> list[Asked]:
    """Answerable questions, and as many whose subject is held out.

    Args:
        documents: with answers.
        each: questions of a kind on a side, at most.
        seed: another one: other questions.
    """
    by_subject: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        if document.focus and document.question_type in _WORDINGS["fit"]:
            by_subject[document.focus.casefold()].append(document)
    named: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        for name in (document.focus, *document.synonyms):
            named[name.casefold()].add(document.id)
    chance = random.Random(seed)
    subjects = _in_turn(by_subject, chance)
    found: list[Asked] = []
    kinds: tuple[Kind, ...] = ("answerable", "held out")
    for kind in kinds:
        for side in _WORDINGS:
            # a subject serves one kind on one side only
            own = [s for s in subjects if _place(s) == (kind, side)][:each]
            for subject in own:
                document = chance.choice(by_subject[subject])
                text = _question(document, side, chance)
                names = {document.focus, *document.synonyms}
                ids = frozenset().union(*(named[name.casefold()] for name in names))
                hidden, wanted = (ids, frozenset()) if kind == "held out" else (frozenset(), ids)
                found.append(Asked(text, kind, side, hidden, wanted))
    return found


def _in_turn(by_subject: Mapping[str, Sequence[Document]], chance: random.Random) -> list[str]:
    """Subjects at random, a collection after the other: most of MedQuAD is about rare diseases,
    and most people ask about others.
    """
    by_collection: dict[str, list[str]] = defaultdict(list)
    for subject in sorted(by_subject):
        by_collection[by_subject[subject][0].collection].append(subject)
    for own in by_collection.values():
        chance.shuffle(own)
    turns = itertools.zip_longest(*(by_collection[name] for name in sorted(by_collection)))
    return [subject for turn in turns for subject in turn if subject is not None]


def _place(subject: str) -> tuple[Kind, Side]:
    held = hashlib.sha256(f"held {subject}".encode()).digest()[0] & 1
    return ("held out" if held else "answerable"), side_of(subject)


def _question(document: Document, side: Side, chance: random.Random) -> str:
    names = [document.focus, *(name for name in document.synonyms if _is_said(name))]
    name = chance.choice(names[:4])
    wording = chance.choice(_WORDINGS[side][document.question_type])
    return _typed(wording.format(x=name), chance)


def _is_said(name: str) -> bool:
    """Whether people would say it: neither an abbreviation of the trade nor a definition."""
    return any(c.islower() for c in name[1:]) and "," not in name and len(name.split()) <= 5


def _typed(text: str, chance: random.Random) -> str:
    """As people type: one in three in lower case, one in six with two letters swapped."""
    if chance.random() < 0.33:
        text = text.lower()
    if chance.random() < 0.17:
        at = chance.randrange(len(text) // 2, len(text) - 1)
        if text[at : at + 2].isalpha():
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text
