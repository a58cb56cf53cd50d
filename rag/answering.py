"""From a question to an answer: the one order in which everything is asked.

emergency or crisis?  → help, and nothing after it may say less
too many questions?   → refused
a dose, a diagnosis?  → refused, with whom to ask
about a patient?      → the right to see them → live data
else                  → follow-up resolved → retrieval → confidence → quotes
                                                       → no evidence: said so
with an endpoint      → the model's words, as far as each sentence cites a quote that stands
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from time import monotonic
from zoneinfo import ZoneInfo

from rag import reply_text
from rag.answers import Answer, Quote, RuleMatch
from rag.confidence import Confidence
from rag.documents import Document
from rag.endpoint import Endpoint
from rag.extract import Extractor
from rag.followup import resolve
from rag.replying import reply_to
from rag.retriever import Retriever
from rag.safety import Safety, Verdict
from rag.tools.argument_texts import ToolArgumentError
from rag.tools.claims import Claims, Refusal, subject_hash
from rag.tools.matching import match
from rag.tools.names import named
from rag.tools.registry import Setting, call
from rag.tools.scene import Ward
from tables.conversations import Past

__all__ = ["Answerer", "Ask", "Given"]

log = logging.getLogger(__name__)

#: Documents that are looked at for an answer.
_HITS = 10
_TOO_MANY = "That are many questions in a short time. Please wait a minute and ask again."
#: Questions that are at the endpoint at a time.
_AT_ONCE = 16
#: An endpoint that did not answer three times is left alone so long: questions wait in a row.
_AWAY, _LEFT_ALONE_S = ("busy", "time-out", "unreachable"), 30.0
_URGENT = ("emergency", "crisis")
_UTC = ZoneInfo("UTC")
_NOBODY = Refusal.because("no_claims")


@dataclass(frozen=True, slots=True)
class Ask:
    """A question, and what is known of whoever asks.

    Attributes:
        text: as it was asked.
        at_ms: when, event time.
        past: of its conversation.
        claims: who asks and what they may see; or why that is not known.
        patient_id: whom it is about, if the question says so beside its text.
        unit_id: ward it is about, likewise.
        allowed: False = the conversation has asked too much of late.
    """

    text: str
    at_ms: int
    past: Past = field(default_factory=Past)
    claims: Claims | Refusal = _NOBODY
    patient_id: str | None = None
    unit_id: str | None = None
    allowed: bool = True


@dataclass(frozen=True, slots=True)
class Given:
    """An answer, and what the conversation remembers of it.

    Attributes:
        answer: that goes out.
        focus: subject of its first quote.
        patient: whom it is about.
        corpus: version of the documents that were asked.
        about: of a refusal, hash of whom or what it was about, for the audit alone; "" = nobody.
    """

    answer: Answer
    focus: str = ""
    patient: str | None = None
    corpus: str = ""
    about: str = ""


class Answerer:
    """Answers questions.

    Args:
        safety: the rules that come first, and the net behind them.
        retriever: finds evidence.
        confidence: whether it is enough.
        extractor: quotes it.
        corpus: version of the documents, as answers name it.
        ward: the live state; None = there is none here, as on a terminal.
        setting: what tools know besides the ward.
        zone: of the wall clock, for "since this morning".
        endpoint: a language model; None = answers are quotes.
    """

    def __init__(
        self,
        safety: Safety,
        retriever: Retriever,
        confidence: Confidence,
        extractor: Extractor,
        *,
        corpus: str = "",
        ward: Ward | None = None,
        setting: Setting | None = None,
        zone: ZoneInfo = _UTC,
        endpoint: Endpoint | None = None,
    ) -> None:
        self._safety, self._retriever, self._confidence = safety, retriever, confidence
        self._extractor, self._corpus = extractor, corpus
        self._ward, self._setting = ward, setting
        self._zone, self._endpoint = zone, endpoint
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._endpoint_again = 0.0

    async def answer(self, asks: Sequence[Ask]) -> list[Given]:
        """Answer questions of different conversations, together.

        Args:
            asks: the questions.

        Returns:
            As many answers, in their order.
        """
        # patterns, vectors and searches take milliseconds that heartbeats cannot wait for; the live
        # state is the event loop's
        verdicts = await asyncio.to_thread(self._safety.verdicts, [ask.text for ask in asks])
        given = [self._decided(*each) for each in zip(asks, verdicts, strict=True)]
        rest = [number for number, one in enumerate(given) if one is None]
        if rest:
            found = await asyncio.to_thread(self._look_up, [asks[n] for n in rest])
            said = (self._said(asks[n], one) for n, one in zip(rest, found, strict=True))
            for number, one in zip(rest, await asyncio.gather(*said), strict=True):
                given[number] = one
        answered = [one for one in given if one is not None]
        noted = (self._noted(ask, one) for ask, one in zip(asks, answered, strict=True))
        return [_with(one, verdict) for one, verdict in zip(noted, verdicts, strict=True)]

    def _noted(self, ask: Ask, given: Given) -> Given:
        """A refusal with whom it was about: who is asked about without a right is to be found."""
        if given.answer.outcome != "refused" or given.about:
            return given
        patient = _whom(ask)
        if patient is None:
            return given
        key = (self._setting or Setting()).rights.audit_key
        return replace(given, about=subject_hash("patient", patient, key))

    def _decided(self, ask: Ask, verdict: Verdict) -> Given | None:
        """What is answered without evidence; what is urgent comes before limits and patients."""
        if verdict.outcome in _URGENT:
            return _ruled(verdict)
        if not ask.allowed:
            return _LIMITED
        return self._of_patient(ask) if verdict.outcome is None else _ruled(verdict)

    def _look_up(self, asks: Sequence[Ask]) -> "Sequence[Given | _Found]":
        """Look for evidence."""
        try:
            return self._from_evidence(asks)
        except Exception as error:
            # a server of vectors that is away, say; what rules have decided is told all the same
            log.error("documents cannot be searched: %s", type(error).__name__)
            return [_UNSEARCHED] * len(asks)

    # -- patients

    def _of_patient(self, ask: Ask) -> Given | None:
        """Answer from the live state, if the question is about it."""
        if self._ward is None:
            return None
        own = ask.claims.own_id if isinstance(ask.claims, Claims) else None
        found = match(
            ask.text,
            now_ms=ask.at_ms,
            patient_id=ask.patient_id or own,
            last_patient=ask.past.patient or None,
            unit_id=ask.unit_id,
            units=self._units(ask.claims),
            zone=self._zone,
        )
        if found is None:
            return None
        if isinstance(ask.claims, Refusal):
            return self._refused(ask.claims)
        try:
            result = call(
                found.tool,
                found.arguments,
                self._ward,
                ask.claims,
                setting=self._setting,
                now_ms=ask.at_ms,
            )
        except ToolArgumentError as error:
            log.info("a question does not fit its tool: %s", error)  # carries no values
            return Given(Answer("abstained", reply_text.with_notes(error.said, ())))
        if isinstance(result, Refusal):
            return self._refused(result)
        patient = found.arguments.get("patient_id")
        return Given(Answer("answered", result.text, tools=(found.tool,)), patient=patient)

    def _units(self, claims: Claims | Refusal) -> Sequence[str]:
        """Names of units that whoever asks may know of."""
        if isinstance(claims, Refusal) or self._ward is None:
            return ()
        rights = (self._setting or Setting()).rights
        return self._ward.units() if rights.all_of(claims) else claims.units

    def _refused(self, refusal: Refusal) -> Given:
        rule = RuleMatch(f"claims/{refusal.reason}", "1", 0, 0)
        text = reply_text.with_notes(refusal.text, ())
        tools = (refusal.tool,) if refusal.tool else ()
        return Given(
            Answer("refused", text, rules=(rule,), tools=tools), about=refusal.subject_hash
        )

    # -- evidence

    async def _said(self, ask: Ask, found: "Given | _Found") -> Given:
        """Say what was found: in a model's words if there is one, else in quotes."""
        if isinstance(found, Given):
            return found
        away = monotonic() < self._endpoint_again
        endpoint = self._endpoint if found.quotes and not away else None
        # who does not go to the endpoint does not wait for those who do
        async with self._turns if endpoint is not None else nullcontext():
            reply = await reply_to(
                found.resolved,
                found.quotes,
                found.documents,
                confidence=found.sure,
                endpoint=endpoint,
                summary=ask.past.summary,
            )
        if reply.how in _AWAY:
            self._endpoint_again = monotonic() + _LEFT_ALONE_S
        quotes = reply.answer.quotes
        focus = found.documents[quotes[0].document_id].focus if quotes else ""
        return Given(reply.answer, focus, corpus=self._corpus)

    def _from_evidence(self, asks: Sequence[Ask]) -> list["_Found"]:
        resolved = [
            resolve(ask.text, ask.past.focus, "", about=ask.past.about).text for ask in asks
        ]
        hits = self._retriever.search(resolved, limit=_HITS)
        sure = [
            self._confidence.of(text, found) for text, found in zip(resolved, hits, strict=True)
        ]
        enough = [n for n, value in enumerate(sure) if value >= self._confidence.threshold]
        quotes = {n: self._extractor.quotes(resolved[n], hits[n]) for n in enough}
        return [
            _Found(
                text, quotes.get(n, ()), {hit.document.id: hit.document for hit in hits[n]}, sure[n]
            )
            for n, text in enumerate(resolved)
        ]


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is for an answer: no quotes where it is not enough."""

    resolved: str
    quotes: tuple[Quote, ...]
    documents: Mapping[str, Document]
    sure: float


def _whom(ask: Ask) -> str | None:
    """The patient that a question is about, as far as it says so; None = it does not."""
    own = ask.claims.own_id if isinstance(ask.claims, Claims) else None
    beside, last = ask.patient_id or own, ask.past.patient or None
    found = named(ask.text, ask.text.lower(), [name for name in (beside, last) if name], ())
    return found.patient_id or beside or (last if found.third else None)


def _with(given: Given, verdict: Verdict) -> Given:
    """An answer with the rules that would have decided and were set aside: an audit looks there."""
    if not verdict.set_aside:
        return given
    return replace(given, answer=replace(given.answer, set_aside=verdict.set_aside))


def _ruled(verdict: Verdict) -> Given:
    """Say what rules or net have decided."""
    assert verdict.outcome is not None
    text = reply_text.with_notes(verdict.text, ())
    return Given(Answer(verdict.outcome, text, rules=verdict.rules))


_UNSEARCHED = Given(
    Answer(
        "abstained",
        reply_text.with_notes(
            "My sources cannot be searched at the moment. Please ask your care team, or ask again "
            "in a few minutes.",
            (),
        ),
    )
)
_LIMITED = Given(
    Answer(
        "refused",
        reply_text.with_notes(_TOO_MANY, ()),
        rules=(RuleMatch("rate/session", "1", 0, 0),),
    )
)
