"""Which of the corpus' illnesses a question names: by any of their names, misspelt ones too."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import OSA

from rag.words import STOP_WORDS, stem, words

__all__ = ["FocusIndex", "Named"]

#: No name has more words that are worth comparing.
_LONGEST = 8
#: Words shorter than this are not corrected: too many others are one letter away.
_CORRECT_FROM = 5

#: Last words of names that people leave out.
_KINDS = frozenset(["syndrome", "disease", "disorder"])
_SOMEBODY = re.compile(r"\w{4,}['\N{RIGHT SINGLE QUOTATION MARK}]s")

_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A name that occurs in a question.

    Attributes:
        key: stems of the name.
        start: number of its first word in the question.
        end: number after its last.
    """

    key: _Key
    start: int
    end: int


class FocusIndex:
    """Names of illnesses → documents about them. Not safe for several threads: its owner locks."""

    def __init__(self) -> None:
        self._about: dict[_Key, set[int]] = defaultdict(set)
        self._names: dict[int, tuple[_Key, ...]] = {}
        self._learned: dict[int, tuple[str, ...]] = {}  # words of a document's names
        self._vocabulary: Counter[str] = Counter()  # words of names
        self._by_start: dict[tuple[str, int], set[str]] = defaultdict(set)  # (letter, length)
        self._corrected: dict[str, str] = {}

    def add(self, row: int, focus: str, synonyms: Iterable[str]) -> None:
        """Learn the names of what a document is about."""
        keys: list[_Key] = []
        learned: list[str] = []
        for name in (focus, *synonyms):
            for said in _ways(name):
                split = words(said)
                key = tuple(map(stem, split))
                if not _worth(key, split):
                    continue
                keys.append(key)
                self._about[key].add(row)
                learned += split
        for word in learned:
            self._learn(word)
        self._names[row], self._learned[row] = tuple(keys), tuple(learned)

    def remove(self, row: int) -> None:
        """Forget a document."""
        for key in self._names.pop(row, ()):
            about = self._about.get(key)  # two ways of saying a name may be one
            if about is not None:
                about.discard(row)
                if not about:
                    del self._about[key]
        for word in self._learned.pop(row, ()):
            self._unlearn(word)

    def documents(self, key: _Key) -> set[int]:
        """Rows of documents about what has this name."""
        return self._about.get(key, set())

    def corrected(self, question: Sequence[str], known: Collection[str] = ()) -> list[str]:
        """Correct words that no document has to words of names, where one is near.

        Args:
            question: its words.
            known: words that are right.
        """
        return [word if word in known else self._correct(word) for word in question]

    def named(self, question: Sequence[str]) -> list[Named]:
        """Find names among a question's words; of two that overlap the longer one."""
        split = [stem(word) for word in question]
        found: list[Named] = []
        for length in range(min(_LONGEST, len(split)), 0, -1):
            for start in range(len(split) - length + 1):
                end = start + length
                if any(start < each.end and each.start < end for each in found):
                    continue
                key = tuple(split[start:end])
                # "AMS" has the stem of "am"
                if key in self._about and _worth(key, question[start:end]):
                    found.append(Named(key, start, end))
        return sorted(found, key=lambda each: each.start)

    def _learn(self, word: str) -> None:
        if word not in self._vocabulary:
            self._corrected.clear()
            self._by_start[word[:1], len(word)].add(word)
        self._vocabulary[word] += 1

    def _unlearn(self, word: str) -> None:
        self._vocabulary[word] -= 1
        if not self._vocabulary[word]:
            del self._vocabulary[word]
            place = word[:1], len(word)
            self._by_start[place].discard(word)
            if not self._by_start[place]:
                del self._by_start[place]
            self._corrected.clear()

    def _correct(self, word: str) -> str:
        if len(word) < _CORRECT_FROM or word in self._vocabulary or word in STOP_WORDS:
            return word
        if word.isdigit():
            return word
        if word not in self._corrected:
            most = 1 if len(word) < 8 else 2
            near: list[str] = []
            for length in range(max(_CORRECT_FROM, len(word) - most), len(word) + most + 1):
                near.extend(self._by_start.get((word[:1], length), ()))
            best = process.extract(word, near, scorer=OSA.distance, score_cutoff=most, limit=5)
            ranked = sorted(best, key=lambda each: (each[1], -self._vocabulary[each[0]], each[0]))
            if len(self._corrected) > 10_000:
                self._corrected.clear()
            self._corrected[word] = ranked[0][0] if ranked else word
        return self._corrected[word]


def _ways(name: str) -> Iterable[str]:
    """Say a name as people do.

    "Fever (Pyrexia)" is called so, "Fever" and "Pyrexia"; "Temperature, high" high temperature.
    """
    said = [name]
    if "(" in name:
        before, _, rest = name.partition("(")
        said += [before, rest.split(")", 1)[0]]
    if name.count(", ") == 1:
        last, first = name.split(", ")
        said.append(f"{first} {last}")
    for each in said:
        yield each
        if short := _without_kind(each):
            yield short


def _without_kind(name: str) -> str:
    """ "Ehlers-Danlos syndrome" without its last word, as long as what is left still names it.

    One word does where it is somebody's name: "Huntington's disease", "Tourette syndrome"; "heart
    disease" is not called "heart".
    """
    head, _, kind = name.strip().rpartition(" ")
    if kind.lower() not in _KINDS:
        return ""
    many = len(words(head)) > 1
    somebody = _SOMEBODY.fullmatch(head) or (kind.lower() == "syndrome" and len(head) > 4)
    return head if many or somebody else ""


def _worth(key: _Key, split: Sequence[str]) -> bool:
    """Whether a name is more than everyday words and letters: "ALL" and "AS" are said too often."""
    if not 0 < len(key) <= _LONGEST:
        return False
    return any(word not in STOP_WORDS and len(word) > 2 for word in split)
