"""A stand-in for an OpenAI-compatible endpoint that misbehaves as it is told to."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

__all__ = ["FakeEndpoint", "Step", "completion"]

Step = int | str | Exception | httpx.Response | Callable[[dict[str, Any]], str]


def completion(text: str, finish_reason: str = "stop") -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}


@dataclass
class FakeEndpoint:
    """Answers request after request with the next of its steps, and with the last for ever.

    A step is a status, the text of a completion, an error of the connection, a whole response, or a
    function of the data that the model was given.
    """

    steps: list[Step]
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def data(self) -> dict[str, Any]:
        """What is in the fence of the last request."""
        return _fenced(self.bodies[-1])

    def _answer(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        self.headers.append(request.headers)
        self.urls.append(str(request.url))
        if body["stream"]:
            return httpx.Response(400, json={"error": "streaming is not supported"})
        step = self.steps[min(len(self.bodies), len(self.steps)) - 1]
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            return step
        if isinstance(step, int):
            return httpx.Response(step, json={"error": "made"})
        text = step if isinstance(step, str) else step(_fenced(body))
        return httpx.Response(200, json=completion(text))


def _fenced(body: dict[str, Any]) -> dict[str, Any]:
    lines = body["messages"][1]["content"].splitlines()
    assert lines[0].startswith("<data ")
    assert lines[-1] == lines[0].replace("<", "</", 1)
    data: dict[str, Any] = json.loads("\n".join(lines[1:-1]))
    return data
