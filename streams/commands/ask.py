"""``vigil ask``: a question, and its answer with its sources."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from itertools import islice
from typing import Any, TextIO

import click
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from config.clock import now_ms
from config.settings import settings

__all__ = ["ask"]

#: Questions that are answered together.
_TOGETHER = 32
_ANSWER_S = 30.0
_LONGEST = 8_000
_CLAIMS_S = 300
_STYLES = {"emergency": "bold red", "crisis": "bold red", "refused": "yellow", "abstained": "dim"}


@click.command(epilog='Example: vigil ask "What are the early signs of sepsis?"')
@click.argument("question", required=False)
@click.option(
    "--jsonl",
    type=click.File("r", encoding="utf-8"),
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help='Read lines of {"id", "text"}, write lines of {"id", "outcome", "answer", "quotes"}. '
    "Without FILE: standard input.",
)
@click.option(
    "--live", is_flag=True, help="Ask the running application through the broker, patients too."
)
@click.option("--patient", metavar="ID", help="With --live: whom it is about.")
@click.option("--session", metavar="ID", help="With --live: go on with a conversation.")
@click.option("--as", "who", metavar="NAME", help="With --live: who asks.")
@click.option("--role", default="nurse", show_default=True, help="With --as: in which role.")
@click.option("--unit", multiple=True, help="With --as: a ward that they work on; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.pass_context
def ask(
    ctx: click.Context,
    question: str | None,
    jsonl: TextIO | None,
    live: bool,
    patient: str | None,
    session: str | None,
    who: str | None,
    role: str,
    unit: tuple[str, ...],
    as_json: bool,
) -> None:
    """Ask; without --live the documents of this machine alone are asked, and no broker is needed.

    With --live and VIGIL_CLAIMS_KEY, who asks is signed with the key.

    \b
    Exit codes: 0 there is an answer, whatever it says; 1 there is none; 2 nothing was asked.
    """
    if (question is None) == (jsonl is None):
        raise click.UsageError('give a question, as in vigil ask "What is sepsis?", or --jsonl')
    if not live and (patient or session or who or unit):
        raise click.UsageError("--patient, --session, --as and --unit go with --live")
    if jsonl is not None:
        if live:
            raise click.UsageError("--jsonl asks the documents of this machine: leave out --live")
        asyncio.run(_lines(jsonl))
        return
    if question is None or not 1 <= len(question.strip()) <= _LONGEST:
        raise click.UsageError(f"a question has 1 to {_LONGEST:,} characters")
    if live:
        found = asyncio.run(_live(question, patient, session, who, role, unit))
    else:
        (found,) = asyncio.run(_here([question]))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    console = Console()
    style = _STYLES.get(found["outcome"], "")
    for part in found["answer"].split("\n\n"):
        console.print(Text(part, style=style), soft_wrap=False)
        console.print()
    if found["confidence"] is not None:
        console.print(f"confidence {found['confidence']:.2f}", style="dim", highlight=False)


# -- the documents of this machine


async def _here(texts: list[str]) -> list[dict[str, Any]]:
    return [found async for found in _answers(iter(texts), len(texts))]


async def _answers(texts: Iterator[str], total: int | None) -> Any:
    # imported here: models and index take a second to load
    from rag.answering import Ask
    from streams.answering import answerer, evidence

    chosen = settings()
    console = Console(stderr=True)
    with console.status("Loading the documents…"):
        found = evidence(chosen)
        asked = answerer(chosen, found)
    with Progress(console=console, transient=True, disable=total == 1) as progress:
        task = progress.add_task("Answering", total=total)
        while batch := list(islice(texts, _TOGETHER)):
            at_ms = now_ms()
            for given in await asked.answer([Ask(text, at_ms) for text in batch]):
                answer = given.answer
                yield {
                    "outcome": answer.outcome,
                    "answer": answer.text,
                    "quotes": [
                        {
                            "document_id": found.source_id(quote.document_id),
                            "start": quote.start,
                            "end": quote.end,
                            "text": quote.text,
                            "title": quote.title,
                            "source": quote.source,
                            "url": quote.url,
                        }
                        for quote in answer.quotes
                    ],
                    "confidence": answer.confidence,
                    "rules": [rule.named for rule in answer.rules],
                    "set_aside": [rule.named for rule in answer.set_aside],
                }
                progress.advance(task)


async def _lines(source: TextIO) -> None:
    ids: list[str] = []
    texts: list[str] = []
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            given = json.loads(line)
            text = given["text"]
            if not (isinstance(text, str) and text.strip()):
                raise ValueError("no text")
            text.encode()  # half of a surrogate pair is no text
            ids.append(given["id"])
            texts.append(text)
        except (ValueError, KeyError, TypeError):
            raise click.ClickException(
                f'line {number} is not {{"id": …, "text": …}}: write one such object a line'
            ) from None
    number = 0
    async for found in _answers(iter(texts), len(texts)):
        click.echo(json.dumps({"id": ids[number], **found}, ensure_ascii=False))
        number += 1


# -- the running application


async def _live(
    text: str,
    patient: str | None,
    session: str | None,
    who: str | None,
    role: str,
    units: tuple[str, ...],
) -> dict[str, Any]:
    from streams.asking import Asker
    from streams.chat_events import Question

    question = Question(
        session_id=session or uuid.uuid4().hex,
        text=text,
        question_id=uuid.uuid4().hex,
        patient_id=patient,
    )
    chosen = settings()
    headers = [] if who is None else _headers(who, role, units, patient)
    with Console(stderr=True).status("Waiting for an answer…"):
        async with Asker(chosen) as asker:
            try:
                answer = await asyncio.wait_for(await asker.send(question, headers), _ANSWER_S)
            except TimeoutError:
                raise click.ClickException(
                    f"no answer in {_ANSWER_S:.0f} s: is `vigil worker answers` running?"
                ) from None
    found = answer.model_dump(mode="json")
    found["answer"] = found.pop("text")
    return found


def _headers(
    who: str, role: str, units: tuple[str, ...], patient: str | None
) -> list[tuple[str, bytes]]:
    from rag.tools.claims import CLAIMS_HEADER, SIGNATURE_HEADER, Claims, sign

    claims = Claims(
        sub=who,
        role=role,
        units=units,
        patients=(patient,) if patient and not units else (),
        exp=now_ms() / 1000 + _CLAIMS_S,
    )
    told = claims.model_dump_json().encode()
    headers = [(CLAIMS_HEADER, told)]
    key = settings().claims_key
    if key is not None:
        signature = sign(told, key.get_secret_value().encode())
        headers.append((SIGNATURE_HEADER, signature.encode()))
    return headers
