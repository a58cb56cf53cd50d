"""``vigil search``: documents for questions, without an answer."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TextIO

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from config.settings import settings

__all__ = ["search"]

#: Documents of a question in ``--jsonl``, at most.
_MOST = 100
#: Questions that are encoded together.
_TOGETHER = 32


@click.command(
    epilog='Examples: vigil search "how is sepsis treated?" ;  '
    "vigil search --jsonl questions.jsonl > found.jsonl"
)
@click.argument("question", required=False)
@click.option(
    "--jsonl",
    type=click.File("r", encoding="utf-8"),
    is_flag=False,
    flag_value="-",
    metavar="[FILE]",
    help='Read lines of {"id", "query"}, write lines of {"id", "documents"}: ids, best first. '
    "Without FILE: standard input.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, _MOST),
    help=f"Documents of a question.  [10; with --jsonl {_MOST}]",
)
@click.option("--collection", multiple=True, help="Only documents of this one; repeatable.")
@click.option("--type", "kind", multiple=True, help='Only of this question type: "treatment".')
@click.option("--focus", multiple=True, help='Only about this: "Sepsis".')
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
def search(
    question: str | None,
    jsonl: TextIO | None,
    limit: int | None,
    collection: tuple[str, ...],
    kind: tuple[str, ...],
    focus: tuple[str, ...],
    as_json: bool,
) -> None:
    """Find documents for QUESTION: a question, or a whole message, which is cut down to one.

    \b
    Exit codes: 0 done, whether anything was found or not; 1 it did not work; 2 nothing was asked.
    """
    if (question is None) == (jsonl is None):
        raise click.UsageError('give a question, as in vigil search "What is sepsis?", or --jsonl')
    # imported here: model and index take a second to load
    from rag.filters import Filters
    from streams.answering import evidence

    lines = None if jsonl is None else list(_lines(jsonl))
    chosen = settings()
    with Console(stderr=True).status("Loading the documents…"):
        found = evidence(chosen)
    filters = Filters(collection, kind, focus)
    only = filters if filters.items() else None
    if lines is None:
        assert question is not None
        (hits,) = found.retriever.search([question], limit=limit or 10, filters=only)
        _show(found.retriever.shorten(question).text, hits, as_json)
        return
    most = limit or _MOST
    waiting = iter(lines)
    while batch := list(islice(waiting, _TOGETHER)):
        queries = [query for _, query in batch]
        answers = found.retriever.search(queries, limit=most, filters=only)
        for (name, _), hits in zip(batch, answers, strict=True):
            ids = [
                each
                for hit in hits
                for each in (
                    (hit.document.id,)
                    if found.corpus is None
                    # a duplicate was left out for it, and may be the one that somebody judged
                    else found.corpus.source_ids(hit.document.id)
                )
            ]
            documents = list(dict.fromkeys(ids))[:most]
            click.echo(json.dumps({"id": name, "documents": documents}, ensure_ascii=False))


def _lines(source: TextIO) -> Iterator[tuple[Any, str]]:
    """Ids, which may be of any type and are given back as they came, and queries."""
    for number, line in enumerate(source, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name, query = row["id"], row["query"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f'line {number} is not of the form {{"id": "1", "query": "What is sepsis?"}}'
            ) from None
        if not isinstance(query, str):
            raise ValueError(f"line {number}: the query is {query!r}: write text")
        yield name, query


def _show(asked: str, hits: Sequence[Any], as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "document": hit.document.id,
                "title": hit.document.title,
                "source": hit.document.source,
                "url": hit.document.url,
                "score": hit.score,
                "cosine": hit.cosine,
                "covered": hit.covered,
            }
            for hit in hits
        ]
        click.echo(json.dumps({"asked": asked, "documents": rows}, ensure_ascii=False))
        return
    table = Table("document", "title", "source", "cosine", title=Text(asked), title_justify="left")
    for hit in hits:
        table.add_row(
            Text(hit.document.id),
            Text(hit.document.title),
            Text(hit.document.source),
            f"{hit.cosine:.2f}",
        )
    Console().print(table)
