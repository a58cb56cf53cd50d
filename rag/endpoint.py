"""Asks a language model behind an OpenAI-compatible endpoint; no answer is an error, soon.

``POST {base URL}/chat/completions``. A question is tried three times at most, with pauses that
double and are spread at random (full jitter; Brooker 2015), or as long as the endpoint asks with
Retry-After, and all of it within one deadline. What fails for good is not tried again.
"""

import asyncio
import email.utils
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from rag.answers import Quote
from rag.prompt import messages

__all__ = ["Access", "Endpoint", "EndpointError", "Why"]

log = logging.getLogger(__name__)

#: Why there is no reply; a label of metrics.
Why = Literal["busy", "broken", "refused", "time-out", "unreachable", "unreadable"]

#: Seconds: the longest pause before the second try; it doubles.
_PAUSE_S = 0.25
#: Statuses of an endpoint that may do better in a moment.
_AGAIN = frozenset({408, 425, 429})
#: Longer replies are no answers.
_MAX_BYTES = 262_144


class EndpointError(RuntimeError):
    """The endpoint gave no reply that can be read.

    Attributes:
        why: the kind of failure.
    """

    def __init__(self, why: Why, text: str) -> None:
        super().__init__(text)
        self.why = why


@dataclass(frozen=True, slots=True)
class Access:
    """Where the model is, and how patiently it is asked.

    Attributes:
        base_url: up to and without ``/chat/completions``; ``http://localhost:11434/v1``.
        model: its name there.
        key: sent as a bearer token; None: none is needed.
        timeout_s: of one try.
        deadline_s: of all tries together.
        tries: at most.
        max_tokens: of a reply.
    """

    base_url: str
    model: str
    key: SecretStr | None = None
    timeout_s: float = 10.0
    deadline_s: float = 20.0
    tries: int = 3
    max_tokens: int = 700

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ValueError: it is no address, or there is nothing to be tried; says what to set.
        """
        url = httpx.URL(self.base_url)
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError(
                "the endpoint's address is no http or https URL: write it as "
                "https://host/v1, without /chat/completions"
            )
        if not self.model:
            raise ValueError("the endpoint needs the name of a model")
        if self.tries < 1 or not 0 < self.timeout_s <= self.deadline_s:
            raise ValueError(
                "the endpoint needs one try at least, and a time-out above 0 within the deadline"
            )


class Endpoint:
    """A model behind an endpoint.

    Args:
        access: where it is.
        redact: takes identifiers out of a text; nothing that people wrote leaves without it.
        client: to send with; None: one of its own, closed by `aclose`.
        sleep: waits, seconds.
        clock: a monotonic one, seconds.
        spread: between 0 and 1, at random: the share of a pause that is waited.
    """

    def __init__(
        self,
        access: Access,
        *,
        redact: Callable[[str], str],
        client: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._access, self._redact = access, redact
        self._own = client is None
        self._client = client or httpx.AsyncClient()
        self._sleep, self._clock, self._spread = sleep, clock, spread

    async def aclose(self) -> None:
        """Close the connections, where they are its own."""
        if self._own:
            await self._client.aclose()

    async def reply(self, question: str, evidence: Sequence[Quote], summary: str = "") -> str:
        """Ask the model.

        Args:
            question: as people wrote it, or resolved against the conversation.
            evidence: quotes that the reply may cite as [1], [2] …
            summary: of the conversation.

        Returns:
            What it wrote, of which nothing is to be believed; see `rag.checked`.

        Raises:
            ValueError: there is no evidence: then no model is asked.
            EndpointError: no reply within tries and deadline.
        """
        if not evidence:
            raise ValueError("no evidence, no model call: abstain instead")
        body = {
            "model": self._access.model,
            "messages": messages(self._redact(question), evidence, self._redact(summary)),
            "temperature": 0,
            "max_tokens": self._access.max_tokens,
            "stream": False,
        }
        ends = self._clock() + self._access.deadline_s
        failure = EndpointError("time-out", "the endpoint did not answer within the deadline")
        for number in range(self._access.tries):
            left = ends - self._clock()
            if left <= 0:
                break
            try:
                # httpx times each read; one that trickles could go on for ever
                async with asyncio.timeout(min(self._access.timeout_s, left)):
                    return await self._once(body)
            except TimeoutError:
                failure, wait_s = (
                    EndpointError("time-out", "the endpoint did not answer in time"),
                    None,
                )
            except _Again as again:
                failure, wait_s = again.error, again.wait_s
            log.info("endpoint, try %d of %d: %s", number + 1, self._access.tries, failure)
            pause = _PAUSE_S * 2**number * self._spread() if wait_s is None else wait_s
            if number + 1 == self._access.tries or self._clock() + pause >= ends:
                break
            await self._sleep(pause)
        raise failure

    async def _once(self, body: dict[str, Any]) -> str:
        key = self._access.key
        headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        url = f"{self._access.base_url.rstrip('/')}/chat/completions"
        try:
            response = await self._client.post(
                url, json=body, headers=headers, timeout=self._access.timeout_s
            )
        except httpx.TimeoutException:
            raise TimeoutError from None
        except httpx.HTTPError as error:
            # its name only: the text of some errors holds the address
            told = f"the endpoint cannot be reached ({type(error).__name__})"
            raise _Again(EndpointError("unreachable", told)) from None
        status = response.status_code
        if status in _AGAIN or status >= 500:
            why: Why = "broken" if status >= 500 else "busy"
            failure = EndpointError(why, f"the endpoint answered {status}")
            raise _Again(failure, _retry_after(response.headers.get("Retry-After")))
        if not response.is_success:
            hint = " (is the key right?)" if status in (401, 403) else ""
            raise EndpointError("refused", f"the endpoint answered {status}{hint}")
        return _content(response)


class _Again(Exception):  # noqa: N818
    """Another try may do better."""

    def __init__(self, error: EndpointError, wait_s: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.wait_s = error, wait_s


def _content(response: httpx.Response) -> str:
    """What the model wrote."""
    try:
        if len(response.content) > _MAX_BYTES:
            raise ValueError
        choice = response.json()["choices"][0]
        text = choice["message"]["content"]
        if not isinstance(text, str) or not text.strip() or choice.get("finish_reason") == "length":
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError):
        # of another try at temperature 0 nothing else can be expected of a model; of a proxy it can
        error = EndpointError("unreadable", "the endpoint's reply is no chat completion")
        raise _Again(error) from None
    return text


def _retry_after(header: str | None) -> float | None:
    """Seconds that the endpoint asks for (RFC 9110, 10.2.3), None where it asks for none."""
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = email.utils.parsedate_to_datetime(header)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if seconds < float("inf") else None
