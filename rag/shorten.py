"""What a patient's message asks, cut out of everything else that it tells.

No model: sentences are scored by how much they ask and whether they name an illness; greetings and
thanks go; where the question says "it", the illness that was named before is added. What is left
is for retrieval, not for people.
"""

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass

from rag.focus import FocusIndex, Named
from rag.words import STOP_WORDS, words

__all__ = ["Shortened", "shorten"]

#: A message of so few words is a question already.
_SHORT = 14
#: Questions that are kept, the strongest ones.
_MOST_QUESTIONS = 2

_SENTENCE = re.compile(r"[^\n]+?(?:[.!?]+(?=\s|$)|$)", re.MULTILINE)
_ASKS = re.compile(
    r"^\W*(and |so |but |also |then |or )?(please )?(what|whats|which|who|whom|whose|how|why|when|"
    r"where|is|are|am|can|could|do|does|did|will|would|should|may|might|has|have|any)\b",
    re.IGNORECASE,
)
#: Starts of a question within a sentence that began as a story: only from here on it asks.
_WANTS = re.compile(
    r"\b(my questions? (is|are)|question:|"
    r"i (just |really |only )?(want|need|would like|'d like|wanted|am trying|wish) to "
    r"(know|learn|find out|ask|understand)|i (was|am|'m|m) (just )?wondering|"
    r"(can|could|would) (you|someone|anyone|anybody|somebody) (please |kindly )?"
    r"(tell|explain|advise|help|let|answer|give|send|provide)|"
    r"please (tell|explain|advise|help|send|could|can|let|give|provide)|"
    r"(tell|let) me (know|about|if|more|what|how)|i would like|i am (looking|searching) for|"
    r"looking for|i need|do you (know|have)|is there (any|a)|are there (any)?|"
    r"any (information|info|advice|suggestions?|idea))\b",
    re.IGNORECASE,
)
#: People who write without full stops: a part begins here all the same.
_BREAK = re.compile(
    r"\s+(?=(my questions? (is|are)|i (was|am|'m) (just )?wondering|any (help|advice)|thank|thanks|"
    r"thx|god bless|yours (sincerely|truly|faithfully)|(kind|best|warm) regards|"
    r"i (just |really )?(want|need|would like) to know|i look forward|"
    r"(can|could|would) (you|someone|anyone|anybody|somebody) (please |kindly )?"
    r"(tell|explain|advise|help)|please (help|tell|advise|reply|let))\b)",
    re.IGNORECASE,
)
#: Greetings go, and what follows them on the same line stays.
_GREETING = re.compile(
    r"^\W*(hi|hello|hey|dear( \w+( or \w+)?)?|good (morning|afternoon|evening|day)|greetings|"
    r"to whom it may concern)( there| all| everyone| everybody| doctor| dr\.?| sir| madam)*"
    r"\s*[,:!.-]*\s*",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"^\W*(thanks?|thank you|thx|many thanks|(kind |best |warm )?regards|best wishes|sincerely|"
    r"yours|cheers|god bless|bless you|i hope (that )?(you are|this finds))\b",
    re.IGNORECASE,
)
_NO_QUESTION = re.compile(
    r"\b(any (help|advice|reply|answer)s? (would|will|is)|appreciat|look(ing)? forward|"
    r"reply|respond|get back to me|email|e-mail|mail|post|contact me|"
    r"can (you|anyone|someone) (please )?help( me)?\W*$|please help( me)?\W*$|is (this|that) ok)\b",
    re.IGNORECASE,
)
_POINTS_BACK = re.compile(
    r"\b(it|its|this|that|these|those|they|them|the (disease|condition|disorder|illness|syndrome|"
    r"problem|infection)|he|she|him|her)\b",
    re.IGNORECASE,
)


#: Words before the name of what somebody has, rather than of what is told by the way.
_HAVING = frozenset(
    ["has", "have", "had", "having", "with", "from", "about", "got", "of", "called"]
)
#: How much more such a name weighs.
_HAD = 2.0
#: A name of one word of so many letters is likely an abbreviation.
_LETTERS = 4


@dataclass(frozen=True, slots=True)
class Shortened:
    """A message's question.

    Attributes:
        text: what asks, with the name of what it is about.
        names: of illnesses in ``text``, as they are written there.
        whole: whether nothing was cut.
    """

    text: str
    names: tuple[str, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    words: tuple[str, ...]
    names: tuple[Named, ...]
    asks: float


def shorten(
    message: str,
    names: FocusIndex,
    rarity: Callable[[str], float],
    known: Callable[[Sequence[str]], Set[str]],
) -> Shortened:
    """Cut a message down to its question.

    Args:
        message: as the patient wrote it.
        names: of illnesses.
        rarity: inverse document frequency of a stem: of several illnesses the rarer is meant.
        known: of words those that are no slips.

    Returns:
        The question; the message as it is where nothing in it asks or it is short.
    """
    sentences = [
        _read(each, names, known) for whole in _sentences(message) for each in _parts(whole)
    ]
    kept = [each for each in sentences if each.words and not _COURTESY.search(each.text)]
    if not kept:
        return Shortened(message.strip(), (), True)
    if sum(len(each.words) for each in kept) <= _SHORT:
        text = " ".join(each.text for each in kept)
        return Shortened(text, _spelt(kept), len(kept) == len(sentences))
    asking = sorted(
        (each for each in kept if each.asks > 0), key=lambda each: -each.asks - bool(each.names) / 2
    )[:_MOST_QUESTIONS]
    if not asking:
        # nothing asks: the sentence that says most of an illness
        asking = [max(kept, key=lambda each: _weight(each, rarity))]
    # in the order in which they were written
    chosen = [each for each in kept if each in asking]
    text = " ".join(_only_question(each) for each in chosen)
    said = {name.key for each in chosen for name in each.names}
    topic = _topic(sentences, rarity, said)
    if topic and (not said or _points_before(chosen)):
        text = f"{text} {topic[0]}"
        return Shortened(text, (*_spelt(chosen), topic[0]), False)
    return Shortened(text, _spelt(chosen), False)


def _points_before(sentences: Sequence[_Sentence]) -> bool:
    """Whether "it" is said before anything that it could be has been named."""
    for each in sentences:
        if _POINTS_BACK.search(each.text):
            return True
        if each.names:
            return False
    return False


def _sentences(message: str) -> list[str]:
    found = [each.strip() for each in _SENTENCE.findall(message)]
    return [each for each in found if each]


def _parts(sentence: str) -> list[str]:
    """Cut a greeting off, and what runs on without a full stop into its parts."""
    text = _GREETING.sub("", sentence, count=1)
    found, at = [], 0
    for stop in _BREAK.finditer(text):
        # "I would like to know if you can tell me": only after some words there is another part
        if len(words(text[at : stop.start()])) >= 4:
            found.append(text[at : stop.start()])
            at = stop.end()
    return [each for each in (*found, text[at:]) if each]


def _read(text: str, names: FocusIndex, known: Callable[[Sequence[str]], Set[str]]) -> _Sentence:
    split = words(text)
    right = names.corrected(split, known(split))
    asks = 0.0
    if not _NO_QUESTION.search(text):
        asks += (
            2.0 * ("?" in text) + 1.0 * bool(_ASKS.search(text)) + 1.5 * bool(_WANTS.search(text))
        )
    return _Sentence(text, tuple(right), tuple(names.named(right)), asks)


def _only_question(sentence: _Sentence) -> str:
    """Cut what stands before "I want to know" off."""
    found = _WANTS.search(sentence.text)
    text = sentence.text
    if found and len(sentence.words) > _SHORT:
        rest = text[found.start() :]
        text = rest if len(words(rest)) > 3 else text
    return text


def _spelt(sentences: Sequence[_Sentence]) -> tuple[str, ...]:
    return tuple(
        " ".join(each.words[name.start : name.end]) for each in sentences for name in each.names
    )


def _topic(
    sentences: Sequence[_Sentence], rarity: Callable[[str], float], said: Set[tuple[str, ...]]
) -> tuple[str, tuple[str, ...]] | None:
    """The illness that the message is about: named often, rarely elsewhere, as what somebody has.

    Args:
        sentences: all.
        rarity: see `shorten`.
        said: names that the question has already.
    """
    weights: dict[tuple[str, ...], float] = {}
    spelt: dict[tuple[str, ...], str] = {}
    for each in sentences:
        for name in each.names:
            if name.key in said:
                continue
            before = each.words[max(0, name.start - 3) : name.start]
            had = _HAD if _HAVING.intersection(before) else 1.0
            weights[name.key] = weights.get(name.key, 0.0) + had * _value(name, rarity)
            spelt.setdefault(name.key, " ".join(each.words[name.start : name.end]))
    if not weights:
        return None
    best = max(weights, key=lambda key: (weights[key], key))
    return spelt[best], best


def _value(name: Named, rarity: Callable[[str], float]) -> float:
    whole = sum(rarity(each) for each in name.key if each not in STOP_WORDS)
    # letters that are an illness here are a street or a name there
    letters = len(name.key) == 1 and len(name.key[0]) <= _LETTERS
    return whole / 2 if letters else whole


def _weight(sentence: _Sentence, rarity: Callable[[str], float]) -> float:
    return sum(_value(name, rarity) for name in sentence.names) + len(sentence.words) / 1_000
