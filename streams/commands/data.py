"""``vigil data``: data sets to train on."""

import asyncio
import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from config.clock import iso
from config.settings import settings
from models.split import split as split_patients

__all__ = ["data"]

_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")


@click.group(epilog="Example: vigil data collect --out sets/")
def data() -> None:
    """Make data sets to train on: from recorded patients, or from what was scored and its outcome.

    \b
    Exit codes: 0 done; 1 it did not work; 2 the command line was wrong.
    """


@data.command(epilog="Example: vigil data split patients/ --out sides/ --seed 1")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder; must hold nothing yet."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another one: another split.")
@_json
def split(path: Path, out: Path, seed: int, as_json: bool) -> None:
    """Split recorded patients into train, validation and production: 60, 20 and 20 of a hundred.

    By a hash of the patient's id: a patient never changes sides, whatever else is in the data.
    """
    manifest = split_patients(path, out, seed)
    if as_json:
        click.echo(json.dumps(manifest))
        return
    table = Table("", "patients", "septic", "readings", "data hash", title=f"{path} in {out}")
    for side, found in manifest["sides"].items():
        table.add_row(
            side,
            f"{found['patients']:,}",
            f"{found['septic_patients']:,}",
            f"{found['readings']:,}",
            found["data_hash"],
        )
    Console().print(table)


@data.command(
    epilog="Example: vigil data collect --out sets/ && vigil train --data sets/ --out model/"
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the sets v1, v2, …"
)
@click.option("--site", help="Hospital; kept with the set. Default: VIGIL_SITE.")
@_json
def collect(out: Path, site: str | None, as_json: bool) -> None:
    """Join what was scored with how the stays ended, into the next of a row of data sets.

    Reads the topic lessons on from where the last collection ended. A stay is in it once
    VIGIL_LABEL_DELAY_HOURS have passed since its end. A set never changes; without anything new
    there is no new one. Patients get pseudonyms, keyed by VIGIL_PSEUDONYM_KEY where it is set.
    """
    # imported here: they take a second that the help does not need
    from models.training import code_version
    from streams.collecting import collect as collect_lessons

    chosen = settings()
    found = asyncio.run(collect_lessons(chosen, out, site=site or chosen.site, code=code_version()))
    examples, outcomes = found.waiting
    if as_json:
        made = found.manifest
        shown = {k: v for k, v in (made or {}).items() if k not in ("schema", "features", "files")}
        click.echo(
            json.dumps(
                {
                    "set": None if made is None else str(out / made["name"]),
                    "manifest": shown or None,
                    "records": found.records,
                    "waiting_examples": examples,
                    "waiting_outcomes": outcomes,
                    "lost_records": found.lost,
                }
            )
        )
        return
    waiting = f"{examples:,} examples and {outcomes:,} outcomes wait"
    if found.manifest is None:
        click.echo(
            f"Nothing new: no stay is due in {found.records:,} new records; {waiting}. No set was "
            "made."
        )
        return
    made = found.manifest
    events = made["events"]
    click.echo(
        f"{out / made['name']}: {made['stays']:,} stays of {made['patients']:,} patients, "
        f"{made['septic_stays']:,} septic, {made['rows']:,} rows, {iso(events['first_ms'])} to "
        f"{iso(events['last_ms'])}, hash {made['data_hash']}; {waiting}."
    )


@data.command(
    epilog="Example: vigil data chats transcripts/ --out chats/ --archive transcripts/read"
)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the sets.")
@click.option(
    "--archive",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder that read transcripts are moved to, as they are.",
)
@_json
def chats(path: Path, out: Path, archive: Path, as_json: bool) -> None:
    """Make a data set of questions and answers out of transcripts: a file, or a folder's *.jsonl.

    Identifiers are taken out first. A set is named after its content and holds what was in none
    before; a question whose answer is not there yet waits for the next. The archive holds the
    transcripts with everything that is in them: keep it as you keep those.
    """
    # imported here: the help does not need them
    from rag.safety.redact import redact
    from rag.transcripts import make_set, transcripts_in

    made = make_set(transcripts_in(path), out, archive, lambda text: redact(text).text)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "set": None if made.folder is None else str(made.folder),
                    "manifest": made.manifest,
                    "files": list(made.files),
                    "events": made.counts,
                }
            )
        )
        return
    told = ", ".join(f"{count:,} {what}" for what, count in made.counts.items()) or "no events"
    if made.folder is None or made.manifest is None:
        click.echo(f"Nothing new: no set was made; {told}. {len(made.files)} files archived.")
        return
    outcomes = ", ".join(f"{n:,} {what}" for what, n in made.manifest["outcomes"].items())
    click.echo(
        f"{made.folder}: {made.manifest['rows']:,} questions ({outcomes}) out of {told}; "
        f"{len(made.files)} files archived."
    )
