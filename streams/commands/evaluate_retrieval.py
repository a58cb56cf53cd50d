"""``vigil evaluate retrieval``: how well and how fast documents are found."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from config.settings import settings

__all__ = ["retrieval"]


@click.command(epilog="Example: vigil evaluate retrieval --plot abstention.svg")
@click.option(
    "--questions", type=click.IntRange(1), default=300, show_default=True, help="Of each set."
)
@click.option(
    "--answers",
    type=click.IntRange(0),
    default=2_048,
    show_default=True,
    help="Answers that are searched without their questions; 0 leaves that out.",
)
@click.option(
    "--part",
    type=click.Choice(["report", "tune"]),
    default="report",
    show_default=True,
    help="Half of the subjects and wordings; weights were chosen on the other, tune.",
)
@click.option("--ablation", is_flag=True, help="Also leave out one part of the search at a time.")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    is_flag=False,
    flag_value=Path("docs/retrieval.svg"),
    metavar="[FILE]",
    help="Draw the abstention curve.  [without FILE: docs/retrieval.svg]",
)
def retrieval(
    questions: int,
    answers: int,
    part: Literal["report", "tune"],
    ablation: bool,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Ask questions made from the corpus, in patients' words, and see what is found.

    MAP, MRR, NDCG and recall at 10; a document is right where its focus and question type are those
    that were asked about. Latencies are of one question at a time on this machine.
    """
    # imported here: they take a second to load
    from bench.retrieval_trial import answers_alone, draw, trial, without
    from rag.index import Index
    from streams.answering import evidence

    console = Console(stderr=True)
    chosen = settings()
    with console.status("Loading the documents…"):
        found = evidence(chosen)
    if found.corpus is None:
        raise click.ClickException(
            "the documents that ship are too few to measure with: make a corpus of MedQuAD with "
            "`vigil corpus build`, and name it with VIGIL_CORPUS"
        )
    documents = found.corpus.documents
    with console.status("Asking…"):
        measured = trial(found.retriever, documents, count=questions, part=part)
        rows = dict(measured.rows)
        if answers:
            rows["question → answer"] = answers_alone(Index(found.encoder), documents, answers)
        less = without(found.retriever, documents, count=questions, part=part) if ablation else None
    if plot is not None:
        draw(measured.abstention, plot)
    if as_json:
        shown = {
            "version": found.version,
            "part": part,
            **asdict(measured),
            "rows": {name: asdict(row) for name, row in rows.items()},
        }
        if less is not None:
            shown["without"] = {
                what: {name: asdict(row) for name, row in parts.items()}
                for what, parts in less.items()
            }
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    table = Table("", "n", "MAP@10", "MRR@10", "NDCG@10", "R@10", box=SIMPLE_HEAD)
    table.title = f"{measured.documents:,} documents"
    every = list(rows.items())
    for what, parts in (less or {}).items():
        every += [(f"{what}, without {name}", row) for name, row in parts.items()]
    for name, row in every:
        values = (f"{value:.3f}" for value in (row.map, row.mrr, row.ndcg, row.recall))
        table.add_row(name, f"{row.questions:,}", *values)
    out = Console()
    out.print(table)
    took = measured.latency
    out.print(f"One question: p50 {took.p50_ms:.1f} ms, p99 {took.p99_ms:.1f} ms.", highlight=False)
    out.print(f"Recall of the exact ten nearest: {measured.ann_recall:.2%}.", highlight=False)
