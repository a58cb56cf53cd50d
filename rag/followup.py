"""Follow-up questions: "what about children?" made a question that can be answered by itself.

By rule, without a model. A question that names its own subject is left as it is. One that points
back ("is it contagious?"), or says nothing but what is asked for ("and the treatment?"), takes the
subject or the patient of the conversation.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from rag.asked import content_words, stem, word_set, words

__all__ = ["Resolved", "resolve"]

#: Finds the subjects that a text names, in the order of the text: where each begins, and its name.
Subjects = Callable[[str], Sequence[tuple[int, str]]]

# Words of questions that ask something of a subject and are none.
_ASPECTS = frozenset(
    stem(word)
    for word in word_set(
        """treat treatment treatments therapy therapies cure cured curable manage symptom
    symptoms sign signs early first late warning cause causes caused prevent prevention avoid
    diagnose diagnosed diagnosis test tests tested testing exam exams detect outlook prognosis
    survive survival live life expectancy long last inherit inherited inheritance hereditary
    genetic gene genes mutation family families run common rare frequent often contagious catch
    catching spread spreading infectious dangerous serious severe fatal deadly die death bad worse
    worst better go away come back return recur risk risks complication complications stage stages
    research trial trials diet eat food drink exercise child children kid kids baby babies infant
    infants newborn newborns toddler teenager teenagers adolescent adult adults elderly older old
    young people person men man women woman pregnant pregnancy pregnancies breastfeeding work
    options option side effect effects medicine medicines medication medications drug drugs surgery
    operation vaccine vaccination home remedy remedies doctor doctors see hospital specialist
    help affect affected information info explain detail details average usually typical typically
    different type types kind kinds form forms start begin age who anything else safe mean means
    happen happens hurt painful pain look feel test blood born group groups support possible number
    quickly fast time recover recovery heal days weeks months years develop progress
    during"""
    )
)

# What is asked of a patient, and is no subject while a patient is spoken of.
_OF_PATIENTS = frozenset(
    stem(word)
    for word in word_set(
        """heart rate pulse blood pressure systolic diastolic temperature breathing
    respiratory oxygen saturation spo2 lactate lab labs laboratory result results vital vitals
    reading readings trend score scores news news2 alert alerts alarm alarms page paged now today
    hour hours minute minutes latest current stable factors open"""
    )
)

_IT = re.compile(r"\b(it|its|this|that|these|those|they|them|their)\b", re.IGNORECASE)
_THIS = re.compile(
    r"\b(?:this|that|the) (?:disease|condition|disorder|illness|syndrome|infection|problem)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:(?:he|she|him|his|her|hers)\b|(?:the|this|that|my) patient(?:['\u2019]s)?\b)",
    re.IGNORECASE,
)
# "it" that stands for nothing: "is it safe to fly", "what is it like to", "it hurts when"
_EMPTY_IT = re.compile(
    r"\bit (?:is |be )?(?:safe|ok|okay|normal|possible|true|necessary|good|bad|better|dangerous|"
    r"important|like|a good idea|a bad idea) (?:to|that|for me to|if)\b|"
    r"\bit (?:hurts|seems|looks)\b|\bthat (?:i|you|we|he|she|my|the)\b",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(
    r"^\W*(?:(?:and|or|but|so|ok|okay|then)\b[\s,]*)*(?:what|how) about\b|^\W*(?:and|or|but)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A question as it is searched for.

    Attributes:
        text: the question, its subject in it.
        focus: subject that was carried over; empty where none was.
        patient: id of the patient that was carried over; empty where none was. It is not in the
            text. Whether the person may see the patient is to be asked again.
    """

    text: str
    focus: str = ""
    patient: str = ""


def resolve(
    question: str,
    focus: str,
    patient: str,
    *,
    about: Literal["subject", "patient"] | None = None,
    subjects: Subjects | None = None,
    names_patient: Callable[[str], bool] | None = None,
) -> Resolved:
    """Carry the subject or the patient of a conversation over to a question that needs it.

    Args:
        question: as it was asked.
        focus: subject of the conversation; empty where there is none.
        patient: id of the patient of the conversation; empty where there is none.
        about: which of the two was spoken of last.
        subjects: finds the subjects that a text names; None: a question names one if it has words
            of meaning that are not merely what is asked of one.
        names_patient: whether a text names a patient itself; None: none does.

    >>> resolve("and how is it treated?", "Sepsis", "").text
    'and how is Sepsis treated?'
    >>> resolve("what about children?", "Sepsis", "").text
    'Sepsis: what about children?'
    """
    if patient and not (names_patient and names_patient(question)):
        if _PERSON.search(question):
            return Resolved(question, patient=patient)
        if about == "patient" and _asks_of_a_patient(question):
            return Resolved(question, patient=patient)
    if not focus or (patient and _PERSON.search(question)):
        return Resolved(question)
    pointer = _pointer(question)
    own = _own(question, subjects)
    if pointer is not None and not any(at < pointer.start() for at in own):
        if own and _ELLIPSIS.match(question):
            return Resolved(question)  # "and what about asthma, is it …": the subject is new
        return Resolved(_put(question, pointer, focus), focus)
    if own or not _points_back(question):
        return Resolved(question)
    return Resolved(f"{focus}: {question.strip()}", focus)


def _asks_of_a_patient(question: str) -> bool:
    """Whether every word of meaning is of what can be asked of a patient."""
    asked = content_words(question)
    return bool(asked) and all(word in _OF_PATIENTS or word in _ASPECTS for word in asked)


def _pointer(question: str) -> re.Match[str] | None:
    """The word that points back to a subject, None where there is none."""
    empty = [match.span() for match in _EMPTY_IT.finditer(question)]
    for pattern in (_THIS, _IT):
        for match in pattern.finditer(question):
            if not any(start <= match.start() < end for start, end in empty):
                return match
    return None


def _own(question: str, subjects: Subjects | None) -> list[int]:
    """Where the question names subjects of its own."""
    if subjects is not None:
        named = subjects(question)
        return [at for at, name in named if not _is_aspect(name)]
    plain = question.lower()
    return [
        max(plain.find(word), 0)
        for word in words(question)
        if not _is_aspect(word) and content_words(word)
    ]


def _is_aspect(name: str) -> bool:
    """Whether a name is of what can be asked of any subject: "children" is a subject of its own
    in many a corpus.
    """
    return all(word in _ASPECTS for word in content_words(name))


def _points_back(question: str) -> bool:
    """Whether a question without a subject can only be understood from what was before it."""
    if _ELLIPSIS.match(question) or _pointer(question):
        return True
    asked = content_words(question)
    return bool(asked) and all(word in _ASPECTS for word in asked)


def _put(question: str, pointer: re.Match[str], focus: str) -> str:
    owns = pointer.group().lower() in ("its", "their")
    name = f"{focus}'s" if owns else focus
    return question[: pointer.start()] + name + question[pointer.end() :]
