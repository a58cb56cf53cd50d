"""Questions to measure retrieval with, made from a corpus: nothing of it is kept here.

Three sets: a document's own question over answers alone; questions in patients' words; and whole
messages of patients around such questions. A document is relevant where focus and question type
are those that were asked about. Half of the foci and half of the wordings are for tuning, the
others for reporting.
"""

import random
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.patient_wordings import (
    ASIDES,
    GREETINGS,
    OPENINGS,
    PLEAS,
    QUESTIONS,
    SIGN_OFFS,
    STORIES,
)
from rag.documents import Document

__all__ = ["Asked", "Part", "answer_set", "group_of", "message_set", "question_set"]

Part = Literal["tune", "report"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what answers it.

    Attributes:
        query: as it is asked.
        relevant: document id → grade, above 0.
        question: the one sentence in ``query`` that asks, where the query is a whole message.
        focus: what it is about.
    """

    query: str
    relevant: Mapping[str, float]
    question: str = ""
    focus: str = ""


def group_of(document: Document) -> str:
    """Name what a document is about, the same for all who spell it alike."""
    return " ".join(re.findall(r"[a-z0-9]+", document.focus.lower()))


def answer_set(
    documents: Sequence[Document], count: int = 2_048, seed: int = 1
) -> tuple[list[Document], list[Asked]]:
    """Choose documents at random; each one's question has its answer as the one that is right.

    Returns:
        The documents, of which only the texts may be indexed, and the questions.
    """
    drawn = random.Random(seed)
    able = [each for each in documents if each.text and each.title]
    chosen = drawn.sample(able, min(count, len(able)))
    return chosen, [Asked(each.title, {each.id: 1.0}, focus=each.focus) for each in chosen]


def question_set(
    documents: Iterable[Document], part: Part, count: int = 400, seed: int = 1
) -> list[Asked]:
    """Ask in patients' words."""
    return [each for each, _, _ in _drawn(documents, part, count, seed)]


def message_set(
    documents: Iterable[Document], part: Part, count: int = 400, seed: int = 2
) -> list[Asked]:
    """Write whole messages: the illness is named once, somewhere, and the question is in between.

    A third in lower case without apostrophes, a third with a slip of the finger in the name.
    """
    messages = []
    for asked, wording, drawn in _drawn(documents, part, count, seed):
        messages.append(_message(asked, wording, part, drawn))
    return messages


# -- what is asked


def _drawn(
    documents: Iterable[Document], part: Part, count: int, seed: int
) -> list[tuple[Asked, str, random.Random]]:
    about: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for document in documents:
        if document.focus and document.question_type in QUESTIONS:
            about[group_of(document), document.question_type].append(document)
    # of rare illnesses there are ten times as many documents, of common ones more questions:
    # half of the questions are about what several documents or a leaflet for patients are about
    wanted = [key for key in sorted(about) if _part(key[0]) == part]
    common = [key for key in wanted if len(about[key]) > 1 or not _rare(about[key])]
    drawn = random.Random(seed)
    found: list[tuple[Asked, str, random.Random]] = []
    for number in range(count if wanted else 0):
        key = drawn.choice(common if common and number % 2 else wanted)
        answers = about[key]
        wording = drawn.choice(_of(part, QUESTIONS[key[1]]))
        name = _name(drawn.choice(answers), drawn)
        relevant = {each.id: 1.0 for each in answers}
        query = wording.format(x=name)
        asked = Asked(query, relevant, query, name)
        found.append((asked, wording, random.Random(drawn.random())))
    return found


def _rare(documents: Sequence[Document]) -> bool:
    return documents[0].collection.startswith(("2", "3"))


def _name(document: Document, drawn: random.Random) -> str:
    """Call it by its focus, or, one time in three, by another name that people could say."""
    sayable = [each for each in document.synonyms if 3 < len(each) < 40 and "," not in each]
    name = drawn.choice(sayable) if sayable and drawn.random() < 1 / 3 else document.focus
    name = re.sub(r"\s*\(.*?\)", "", name).strip() or document.focus
    return name if drawn.random() < 0.3 else name.lower()


def _part(group: str) -> Part:
    return "tune" if zlib.crc32(group.encode()) % 2 else "report"


def _of(part: Part, wordings: Sequence[str]) -> Sequence[str]:
    return wordings[::2] if part == "tune" else wordings[1::2]


# -- messages


def _message(asked: Asked, wording: str, part: Part, drawn: random.Random) -> Asked:
    name = _slip(asked.focus, drawn) if drawn.random() < 1 / 3 else asked.focus
    opening = drawn.choice(_of(part, OPENINGS)).format(x=name)
    # named before, the question says "it" two times in three
    again = drawn.random() < 1 / 3
    question = wording.format(x=name if again else "it")
    stories = drawn.sample(_of(part, STORIES), drawn.randint(1, 4))
    cut = drawn.randint(0, len(stories))
    plea = drawn.choice(_of(part, PLEAS))
    parts = [
        drawn.choice(_of(part, GREETINGS)),
        *stories[:cut],
        opening,
        *stories[cut:],
        f"{plea} {question}".strip(),
        drawn.choice(_of(part, ASIDES)),
        drawn.choice(_of(part, SIGN_OFFS)),
    ]
    text = " ".join(each for each in parts if each)
    if drawn.random() < 1 / 3:
        text = text.lower().replace("'", "")
    return Asked(text, asked.relevant, asked.query, asked.focus)


def _slip(name: str, drawn: random.Random) -> str:
    """Drop, double or swap one letter within a word of more than five letters."""
    words = name.split()
    long = [index for index, word in enumerate(words) if len(word) > 5]
    if not long:
        return name
    chosen = drawn.choice(long)
    word = words[chosen]
    at = drawn.randint(1, len(word) - 3)
    kind = drawn.randint(0, 2)
    if kind == 0:
        word = word[:at] + word[at + 1 :]
    elif kind == 1:
        word = word[:at] + word[at] + word[at:]
    else:
        word = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    words[chosen] = word
    return " ".join(words)
