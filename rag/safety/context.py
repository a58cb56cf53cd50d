"""What speaks against a match: denial, the past, a question in general, a figure of speech.

In the manner of NegEx and ConText (Chapman et al. 2001, Harkema et al. 2009): words that begin a
denial or a past, how far they reach, and what ends their reach. When it is unclear, the match
stands.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from rag.safety.patterns import Lexicon, holds, union
from rag.safety.rules import Source, Strict, read

__all__ = ["Context", "ContextFile", "Kind", "Sentence"]

#: How much a pattern says by itself; see ``config/emergencies.yaml``.
Kind = Literal["always", "event", "symptom", "condition"]

Phrases = tuple[str, ...]


class Negation(Strict):
    """Words of denial."""

    strong: Phrases
    near: Phrases
    between: Phrases
    not_denial: Phrases
    ends: Phrases
    after: Phrases


class Past(Strict):
    """Words of the past."""

    before: Phrases
    sentence: Phrases
    unless: Phrases
    fine: Phrases


class General(Strict):
    """Words of questions and texts that are about nobody."""

    aspects: Phrases
    cues: Phrases
    ward: Phrases
    ifs: Phrases
    not_ifs: Phrases
    if_present: Phrases
    questions: Phrases
    personal: Phrases
    impersonal: Phrases


class Frames(Strict):
    """What stands around an illness that somebody has."""

    before: Phrases
    signs_of: Phrases
    after: Phrases
    after_weak: Phrases
    never: Phrases


class ContextFile(Strict):
    """``config/safety_context.yaml``."""

    version: str
    classes: Mapping[str, Phrases]
    negation: Negation
    past: Past
    general: General
    frames: Frames
    idioms: Phrases


@dataclass(slots=True)
class Cue:
    """Phrases of the file as one expression."""

    regex: re.Pattern[str]

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Where they are in a text."""
        for found in self.regex.finditer(text):
            if holds(found):
                yield found.span()

    def __call__(self, text: str) -> bool:
        """Whether one is in a text."""
        return next(self.spans(text), None) is not None


@dataclass
class Sentence:
    """A sentence of a message with a match in it.

    Attributes:
        pre: what stands before the match.
        match: what matched.
        post: what stands after it, to the end of the sentence and its mark.
        kind: of the pattern.
        crisis: whether the rule is about one.
        alone: the message has nothing else.
    """

    pre: str
    match: str
    post: str
    kind: Kind
    crisis: bool
    alone: bool = False

    @cached_property
    def whole(self) -> str:
        """All of it."""
        return self.pre + self.match + self.post


@dataclass
class Context:
    """The cues of a file, ready for use.

    Args:
        content: of the file.
        source: where it stands, for errors.
        classes: of the rules, which it may use too.
        conditions: names of illnesses in the rules.
    """

    content: ContextFile
    source: Source
    classes: Mapping[str, Sequence[str]]
    conditions: Sequence[str]
    words: set[str] = field(default_factory=set)

    @classmethod
    def load(
        cls,
        classes: Mapping[str, Sequence[str]],
        conditions: Sequence[str],
        path: Path | None = None,
    ) -> "Context":
        """Read the file.

        Raises:
            RulesError: it is wrong.
            OSError: it cannot be read.
        """
        content, source = read(ContextFile, "safety_context.yaml", path)
        return cls(content, source, classes, conditions)

    def __post_init__(self) -> None:
        given = {**self.classes, **self.content.classes, "condition_word": self.conditions}
        self._lexicon = Lexicon(given)
        none, past, general, frames = (
            self.content.negation,
            self.content.past,
            self.content.general,
            self.content.frames,
        )
        at = ("negation",)
        self.strong = self._cue(none.strong, (*at, "strong"))
        self.near = self._cue(none.near, (*at, "near"))
        self.not_denial = self._cue(none.not_denial, (*at, "not_denial"))
        self.ends = self._cue(none.ends, (*at, "ends"))
        self.denied_after = self._cue(none.after, (*at, "after"), "^")
        between = union(none.between, self._lexicon, self.source, (*at, "between"))
        self.between = re.compile(f"(?:{between})*$")
        at = ("past",)
        self.past_before = self._cue(past.before, (*at, "before"), "$")
        self.past_anywhere = self._cue(past.sentence, (*at, "sentence"))
        self.not_past = self._cue(past.unless, (*at, "unless"))
        self.fine = self._cue(past.fine, (*at, "fine"))
        at = ("general",)
        self.aspects = self._cue(general.aspects, (*at, "aspects"), "$")
        self.cues = self._cue(general.cues, (*at, "cues"))
        self.ward = self._cue(general.ward, (*at, "ward"))
        self.ifs = self._cue(general.ifs, (*at, "ifs"))
        self.not_ifs = self._cue(general.not_ifs, (*at, "not_ifs"))
        self.if_present = self._cue(general.if_present, (*at, "if_present"), "^")
        self.question = self._cue(general.questions, (*at, "questions"), "^")
        self.personal = self._cue(general.personal, (*at, "personal"))
        self.impersonal = self._cue(general.impersonal, (*at, "impersonal"))
        at = ("frames",)
        self.framed_before = self._cue(frames.before, (*at, "before"), "$")
        self.signs_of = self._cue(frames.signs_of, (*at, "signs_of"), "$")
        self.framed_after = self._cue(frames.after_weak, (*at, "after_weak"), "^")
        self.never = self._cue(frames.never, (*at, "never"))
        self.idioms = self._cue(self.content.idioms, ("idioms",))

    def _cue(
        self, phrases: Sequence[str], place: tuple[str | int, ...], side: Literal["", "^", "$"] = ""
    ) -> Cue:
        regex = union(phrases, self._lexicon, self.source, place, self.words)
        if side == "^":
            return Cue(re.compile(f"^{regex}(?= )"))
        return Cue(re.compile(f"{regex}$" if side == "$" else f"{regex}(?= |$)"))

    # -- the questions that are asked of a match

    def stands(self, of: Sentence) -> bool:
        """Whether a match counts."""
        if of.kind == "always":
            return not self._denied(of)
        if self._denied(of) or self._past(of) or self._case(of):
            return False
        if self.aspects(of.pre) and not self._is_personal(of.pre):
            return False
        about = self._is_personal(of.whole) or (
            of.kind == "event" and bool(re.search(r" (?:i|me|my|myself|he|she) ", of.match + " "))
        )
        if self.ward(of.whole) and not re.search(r" (?:i|my|he|she) ", of.match + " "):
            return False
        if not about and (self._asked(of) or self.cues(of.pre)):
            return False
        return of.kind != "condition" or self._framed(of)

    def _asked(self, of: Sentence) -> bool:
        if of.post.rstrip().endswith("?"):
            return True
        return self.question(of.whole) and not _NO_QUESTION.match(of.whole)

    def _framed(self, of: Sentence) -> bool:
        if self.framed_after(of.post):
            return True
        if of.alone:
            return True
        if not self.framed_before(of.pre):
            return False
        return not self.signs_of(of.pre) or self._is_personal(of.pre)

    def _is_personal(self, text: str) -> bool:
        against = list(self.impersonal.spans(text))
        return any(not _overlaps(span, against) for span in self.personal.spans(text))

    def _denied(self, of: Sentence) -> bool:
        if of.kind in ("symptom", "condition", "event") and self.denied_after(of.post):
            return True
        pre = of.pre
        for _, end in self.ends.spans(pre):
            # "ends" may begin with a comma, and reach is counted from its first word
            pre = " " * end + pre[end:]
        against = list(self.not_denial.spans(of.pre + of.match[: of.match.find(" ", 1)]))
        against += list(self.not_denial.spans(of.whole))
        for start, end in self.strong.spans(pre):
            if _overlaps((start, end), against):
                continue
            reach = pre[end:]
            listed = " or " in of.whole[end:] or " nor " in of.whole[end:]
            if "," in reach and not listed and not re.search(r" (?:deni|deny)", pre[start:end]):
                continue
            if reach.count(" ") > 12:
                continue
            before = pre[:start]
            if re.search(r" (?:not|cannot)(?: ever| really)?$", before):
                continue
            return True
        for start, end in self.near.spans(pre):
            if not _overlaps((start, end), against) and self.between.fullmatch(pre[end:]):
                return True
        return False

    def _past(self, of: Sentence) -> bool:
        if self.fine(of.post) or self.fine(of.match + of.post):
            return True
        cut = max((end for _, end in _breaks(of.pre)), default=0)
        pre = of.pre[cut:]
        post = of.post[: min((start for start, _ in _breaks(of.post)), default=len(of.post))]
        if self.past_before(pre):
            return True
        clause = pre + of.match + post
        if not self.past_anywhere(clause):
            return False
        return not self.not_past(clause)

    def _case(self, of: Sentence) -> bool:
        against = list(self.not_ifs.spans(of.pre))
        for start, end in self.ifs.spans(of.pre):
            if _overlaps((start, end), against):
                continue
            between = of.pre[end:]
            if "," in between or between.count(" ") > 10:
                continue
            if self.if_present(of.whole[start:]):
                continue
            if of.crisis and re.search(r" (?:i|my|myself) ", between + of.match + " "):
                continue
            return True
        return False


#: "Is not breathing" begins like a question.
_NO_QUESTION = re.compile(
    r" (?:(?:is|are|does|can|could|will|would|has) not|can (?:no|hardly|barely)) "
)
_BREAK = re.compile(r" (?:but|however|although|though|and now|now|, now|so now|today)(?= |$)")


def _breaks(text: str) -> Iterator[tuple[int, int]]:
    return (found.span() for found in _BREAK.finditer(text))


def _overlaps(span: tuple[int, int], others: Sequence[tuple[int, int]]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in others)
