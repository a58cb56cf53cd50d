"""``vigil schemas``: write the JSON Schema of every topic."""

import json
from pathlib import Path

import click

from config.settings import settings
from streams.topics import catalogue

__all__ = ["schemas"]


@click.command(epilog="Example: vigil schemas --out schemas/")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for one file a topic; without it all go to standard output.",
)
def schemas(out: Path | None) -> None:
    """Write the JSON Schema (draft 2020-12) of the values of every topic."""
    documents = {
        topic.role: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": topic.name,
            **topic.model.model_json_schema(by_alias=True),
        }
        for topic in catalogue(settings())
        if topic.model is not None
    }
    if out is None:
        click.echo(json.dumps(documents, indent=2))
        return
    out.mkdir(parents=True, exist_ok=True)
    for role, document in documents.items():
        (out / f"{role}.schema.json").write_text(json.dumps(document, indent=2) + "\n")
    click.echo(f"{len(documents)} schemas in {out}")
