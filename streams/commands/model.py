"""``vigil model``: which model scores, which could, and who decided so."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from config.settings import Settings, settings
from models.comparison import Candidate, Comparison, compare
from models.promotion import Evidence, Verdict, judge
from models.registry import (
    SHIPPED,
    ModelError,
    facts_of,
    load_champion,
    load_files,
    load_model,
    read_folder,
    registered_versions,
    store_exists,
)
from models.release_records import AnyRecord, LayerRecord, ModelPointer, ModelRecord
from models.releases import Releases
from models.shadow import Shadow
from streams.commands.figures import figures_table
from streams.commands.people import me
from streams.releases import publish, read_releases

__all__ = ["model"]

#: Exit code of a promotion that the rule does not allow.
REFUSED = 3
#: Layers and moves that are shown to people.
_SHOWN = 10

_site = click.option("--site", help="Hospital. Default: VIGIL_SITE.")
_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
_who = click.option("--who", help="Who decides. Default: you, at this machine.")


@click.group(epilog="Example: vigil model list --json")
def model() -> None:
    """Say which model scores at a site, and who decided so.

    \b
    Exit codes: 0 done; 1 it did not work; 2 the command line was wrong;
    3 the rule of promotion does not allow it.
    """


# -- list


@model.command("list", epilog="Example: vigil model list --site icu-a --json")
@_site
@_json
def list_(site: str | None, as_json: bool) -> None:
    """List champions, layers, challengers, moves of the pointer, and the registry's versions."""
    chosen = settings()
    releases = asyncio.run(read_releases(chosen, site or chosen.site))
    scoring = releases.active()
    registered, trouble = _registered(chosen)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "site": releases.site,
                    "scoring": None if scoring is None else scoring.version,
                    "pointer": _plain(releases.pointer),
                    "champions": [_plain(r) for r in releases.champions.values()],
                    "layers": [_plain(r) for r in releases.layers.values()],
                    "challengers": [_plain(r) for r in releases.challengers.values()],
                    "shadows": [_plain(r) for r in releases.shadows.values()],
                    "problems": [f"{p.key}: {p.what}" for p in releases.problems],
                    "registry": registered,
                    "registry_problem": trouble,
                }
            )
        )
        return
    _show(releases, None if scoring is None else scoring.version)
    console = Console()
    for version in registered:
        alias = " (champion of the registry)" if version["champion"] else ""
        console.print(f"registry {version['version']}{alias}: {version['data_span']}")
    for line in [
        *(f"{p.key}: {p.what}" for p in releases.problems),
        *([trouble] if trouble else []),
    ]:
        console.print(line, style="yellow", markup=False, highlight=False)


def _show(releases: Releases, scoring: str | None) -> None:
    console = Console()
    if scoring is None:
        console.print(
            f"No model was promoted at site {releases.site}: workers score with the registry's "
            "champion, or the shipped model."
        )
    else:
        console.print(f"Site {releases.site} scores with {scoring}.")
    table = Table("version", "kind", "since", "who", "why", title="Models")
    for record in (*releases.champions.values(), *releases.challengers.values()):
        table.add_row(record.version, record.kind, _day(record.created_at), record.who, record.why)
    if table.row_count:
        console.print(table)
    if releases.layers:
        console.print(_layers(releases))
    for version, shadow in releases.shadows.items():
        shown = Shadow.decode(shadow.content()).evidence()
        console.print(f"{version} in the shadow: {'; '.join(judge(shown).reasons)}")
    if releases.pointer is not None:
        table = Table("", "to", "how", "when", "who", "why", title="Moves of the pointer")
        for move in [releases.pointer.as_move(), *releases.pointer.history][:_SHOWN]:
            layer = f"+{move.layer}" if move.layer else " and its layers" if move.follow else ""
            how = f"{move.action}, forced" if move.forced else move.action
            table.add_row(
                str(move.serial), move.champion + layer, how, _day(move.at), move.who, move.why
            )
        console.print(table)


def _layers(releases: Releases) -> Table:
    table = Table("version", "made", "stays", "threshold", title="Newest layers")
    for version, layer in list(releases.layers.items())[: -_SHOWN - 1 : -1]:
        table.add_row(version, _day(layer.created_at), str(layer.stays), f"{layer.threshold:.4f}")
    return table


def _plain(record: AnyRecord | None) -> Any:
    """A record as JSON, without what only a program can use."""
    if record is None:
        return None
    return record.model_dump(mode="json", exclude={"files", "values", "state"})


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _registered(chosen: Settings) -> tuple[list[dict[str, Any]], str | None]:
    """The registry's versions, and what is wrong with it."""
    if not store_exists(chosen.tracking_uri):
        return [], None
    try:
        return registered_versions(chosen.tracking_uri), None
    except ModelError as error:
        return [], str(error)


# -- promote and rollback


@model.command(
    epilog="Examples: vigil model promote 7-3fc1a9 --data later/ ;  vigil model promote "
    "--challenger ;  vigil model promote models/new --force --reason 'the old one is broken'"
)
@click.argument("version", required=False)
@click.option("--challenger", is_flag=True, help="The newest challenger, instead of a version.")
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    help="Patients to compare on. Default: what the challenger did in the shadow.",
)
@click.option("--force", is_flag=True, help="Even if the rule does not allow it.")
@click.option("--reason", help="Why; kept with the pointer. Needed with --force.")
@_who
@_site
@_json
def promote(
    version: str | None,
    challenger: bool,
    data: Path | None,
    force: bool,
    reason: str | None,
    who: str | None,
    site: str | None,
    as_json: bool,
) -> int:
    """Let a model score: a challenger, a former champion, a number of the registry, a folder.

    "shipped" is the model that comes with the project; what scores already may always be promoted.

    It must be better than the model that scores by a declared margin, on patients that neither
    has seen. Its layers follow from then on.
    """
    if (version is None) is not challenger:
        raise click.UsageError("give a VERSION or --challenger")
    if force and not reason:
        raise click.UsageError("--force needs --reason: it is kept with the pointer")
    chosen = settings()
    releases = asyncio.run(read_releases(chosen, site or chosen.site))
    if version is None:
        if not releases.challengers:
            raise click.ClickException(
                f"there is no challenger at site {releases.site}: `vigil retrain` makes one"
            )
        version = list(releases.challengers)[-1]
    record = _record(version, releases, chosen, who or me(), reason)
    now = releases.pointer
    same = _same(record, now, chosen)
    evidence = None if same else _evidence(record, releases, chosen, data)
    verdict = Verdict(True, (same,)) if same else _judged(evidence)
    if not verdict.promote and not force:
        return _refuse(record.version, verdict, evidence, as_json)
    audit: dict[str, Any] = {"who": who or me(), "why": reason or verdict.reasons[0]}
    if same and now is None:
        pointer = releases.start(record.version, at=datetime.now(UTC), **audit)
    else:
        pointer = releases.promote(
            record.version,
            at=datetime.now(UTC),
            forced=not verdict.promote,
            evidence=None if evidence is None else evidence.to_dict(),
            **audit,
        )
    records: list[AnyRecord] = [] if record.version in releases.champions else [record]
    _publish(chosen, releases.site, [*records, pointer], as_json)
    return 0


@model.command(epilog="Examples: vigil model rollback ;  vigil model rollback 7-3fc1a9+41")
@click.argument("version", required=False)
@click.option("--reason", default="rolled back", show_default=True, help="Kept with the pointer.")
@_who
@_site
@_json
def rollback(
    version: str | None, reason: str, who: str | None, site: str | None, as_json: bool
) -> None:
    """Let an earlier model score again: VERSION, or what scored before the last promotion.

    A version, such as 7-3fc1a9 or 7-3fc1a9+41 with its 41st layer, stays as it is until the next
    promotion; newer layers do not take over.
    """
    chosen = settings()
    releases = asyncio.run(read_releases(chosen, site or chosen.site))
    pointer = releases.roll_back(version, who=who or me(), why=reason, at=datetime.now(UTC))
    _publish(chosen, releases.site, [pointer], as_json)


def _publish(chosen: Settings, site: str, records: Sequence[AnyRecord], as_json: bool) -> None:
    """Publish, read again, and say what scores now."""
    (pointer,) = [record for record in records if isinstance(record, ModelPointer)]
    asyncio.run(publish(chosen, records))
    after = asyncio.run(read_releases(chosen, site))
    scoring = after.active()
    if after.pointer != pointer:
        raise click.ClickException(
            "somebody else moved the pointer meanwhile: see vigil model list"
        )
    if scoring is None or scoring.version.partition("+")[0] != pointer.champion:
        said = "; ".join(p.what for p in after.problems[-3:])
        raise click.ClickException(f"it was published, and no reader can apply it: {said}")
    if store_exists(chosen.tracking_uri):
        try:
            _record_steps(after, chosen)
        except ModelError as error:  # the topic decides; MLflow hears of it the next time
            click.echo(f"MLflow was not told: {error}", err=True)
    if as_json:
        click.echo(json.dumps({"scoring": scoring.version, "pointer": _plain(pointer)}))
        return
    before = pointer.from_champion or "the registry's champion or the shipped model"
    layer = f"+{pointer.from_layer}" if pointer.from_layer else ""
    click.echo(f"Site {site} scores with {scoring.version}; before: {before}{layer}.")


def _refuse(version: str, verdict: Verdict, evidence: Evidence | None, as_json: bool) -> int:
    if as_json:
        found = None if evidence is None else evidence.to_dict()
        click.echo(json.dumps({"refused": version, "reasons": verdict.reasons, "evidence": found}))
    else:
        click.echo(f"{version} is not promoted: {'; '.join(verdict.reasons)}.", err=True)
    return REFUSED


def _judged(evidence: Evidence | None) -> Verdict:
    if evidence is None:
        return Verdict(
            False,
            (
                "nothing shows that it is better: give patients with --data, wait for its shadow, "
                "or use --force and --reason",
            ),
        )
    return judge(evidence)


def _same(record: ModelRecord, now: ModelPointer | None, chosen: Settings) -> str:
    """Why a model need not be better: it is the one that scores. Empty where it is not."""
    if now is not None:
        return "it follows its layers again" if now.champion == record.version else ""
    unpromoted = load_champion(
        chosen.tracking_uri, chosen.model_dir, feature_set=chosen.feature_set
    )
    same = unpromoted.fingerprint() == load_files(record.contents()).fingerprint()
    return "it scores already; from now on the pointer says so" if same else ""


def _evidence(
    record: ModelRecord, releases: Releases, chosen: Settings, data: Path | None
) -> Evidence | None:
    """What shows whether a model is better than the one that scores; None = nothing."""
    now = releases.pointer
    if data is not None:
        active = releases.active()
        before = (
            _candidate(active.version, releases, chosen)
            if active is not None
            else _unpromoted(chosen)
        )
        after = Candidate(
            replace(load_files(record.contents()), version=record.version),
            facts_of(record.contents()),
        )
        return _compared(data, before, after, 0).evidence
    shadow = releases.shadows.get(record.version)
    if shadow is None or now is None or shadow.champion != now.champion:
        return None
    return Shadow.decode(shadow.content()).evidence()


def _unpromoted(chosen: Settings) -> Candidate:
    """What workers score with before anything was promoted."""
    active = load_champion(chosen.tracking_uri, chosen.model_dir, feature_set=chosen.feature_set)
    number = active.version.partition("-")[0]
    if chosen.model_dir is not None:
        files = read_folder(chosen.model_dir)
    elif store_exists(chosen.tracking_uri) and number.isdecimal():
        files = _from_registry(number, chosen)
    else:
        files = read_folder(SHIPPED[chosen.feature_set])
    return Candidate(active, facts_of(files))


def _record(
    version: str, releases: Releases, chosen: Settings, who: str, reason: str | None
) -> ModelRecord:
    """The champion record of a version, wherever the version is."""
    known = releases.champions.get(version)
    if known is not None:
        return known
    challenger = releases.challengers.get(version)
    facts: dict[str, Any] = {}
    if challenger is not None:
        files, name, facts = challenger.contents(), version, challenger.facts
    elif _is_folder(version):
        files = read_folder(_folder(version))
        name = load_files(files).version
    elif "+" in version:
        raise ModelError(f"{version!r} is a layer: `vigil model rollback` sets one")
    elif store_exists(chosen.tracking_uri) and version.partition("-")[0].isdecimal():
        files = _from_registry(version, chosen)
        name = f"{version.partition('-')[0]}-{load_files(files).version}"
    else:
        raise ModelError(
            f"there is no model {version!r}: neither at site {releases.site}, nor in the registry "
            f"{chosen.tracking_uri}, nor as a folder; `vigil model list` shows them"
        )
    return ModelRecord.of(
        files, kind="champion", site=releases.site, version=name, created_at=datetime.now(UTC),
        who=who, why=reason or "promoted by the rule", facts=facts,
    )  # fmt: skip


def _from_registry(version: str, chosen: Settings) -> dict[str, bytes]:
    from models.tracking import connect, download, numbered_version

    number, _, fingerprint = version.partition("-")
    with (
        connect(chosen.tracking_uri, 5) as client,
        TemporaryDirectory(prefix="vigil-model-") as scratch,
    ):
        files = read_folder(download(client, numbered_version(client, number), Path(scratch)))
    if fingerprint and load_files(files).version != fingerprint:
        raise ModelError(f"version {number} of the registry is not {version!r}")
    return files


# -- track


@model.command(epilog="Example: vigil model track --site icu-a")
@_site
@_json
def track(site: str | None, as_json: bool) -> None:
    """Bring MLflow up to date with the topic: a run for every step, the alias on what scores.

    Commands that move the pointer do so themselves; a learner asks for it after a promotion.
    """
    chosen = settings()
    if not store_exists(chosen.tracking_uri):
        raise click.ClickException(f"there is no MLflow store {chosen.tracking_uri}")
    releases = asyncio.run(read_releases(chosen, site or chosen.site))
    new = _record_steps(releases, chosen)
    if as_json:
        click.echo(json.dumps({"site": releases.site, "runs": new}))
    else:
        click.echo(f"{len(new)} new runs" + "".join(f"\n{name}" for name in new))


def _record_steps(releases: Releases, chosen: Settings) -> list[str]:
    # imported here: MLflow takes seconds to load
    from models.release_tracking import record_steps

    return record_steps(releases, chosen.tracking_uri)


# -- compare


@model.command(
    "compare",
    epilog="Example: vigil model compare active models/new --data patients/ --json",
)
@click.argument("a")
@click.argument("b")
@click.option(
    "--data", required=True, type=click.Path(exists=True, path_type=Path), help="Patients."
)
@click.option(
    "--resamples",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Bootstrap resamples for the intervals of the figures.",
)
@_site
@_json
def compare_(a: str, b: str, data: Path, resamples: int, site: str | None, as_json: bool) -> None:
    """Compare models A and B on patients that neither has seen, beside the ICU clock.

    A model is a folder, a version of this site, a number of the registry, "active" for what scores
    now, or "shipped". Intervals are 95 %, over whole patients; the difference is paired.
    """
    chosen = settings()
    releases = None
    if any(not _is_folder(name) for name in (a, b)):
        releases = asyncio.run(read_releases(chosen, site or chosen.site))
    before, after = (_candidate(name, releases, chosen) for name in (a, b))
    found = _compared(data, before, after, resamples)
    verdict = judge(found.evidence)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "a": before.model.version,
                    "b": after.model.version,
                    "figures": {row.name: row.report.to_dict() for row in found.rows},
                    "difference": found.evidence.to_dict(),
                    "patients_left_out": found.left_out,
                    "promote": verdict.promote,
                    "reasons": verdict.reasons,
                }
            )
        )
        return
    console = Console()
    evidence = found.evidence
    title = f"{evidence.stays:,} patients that neither has seen, {evidence.septic:,} septic"
    console.print(figures_table(title, found.rows))
    for row in found.rows:
        (low, high), (a_low, a_high) = row.report.utility_interval, row.report.auroc_interval
        console.print(
            f"{row.name}: utility {row.report.utility:.3f} [{low:.3f} to {high:.3f}], AUROC "
            f"{row.report.auroc:.3f} [{a_low:.3f} to {a_high:.3f}]",
            highlight=False,
        )
    low, high = evidence.gain_interval
    console.print(
        f"B less A, paired: utility {evidence.gain:+.3f} [{low:+.3f} to {high:+.3f}], better in "
        f"{evidence.better:.0%} of the resamples. {found.left_out:,} patients were left out.",
        highlight=False,
    )
    says = "B may take over" if verdict.promote else "B does not take over"
    console.print(f"{says}: {'; '.join(verdict.reasons)}.", highlight=False)


#: What the models that come with the project are called.
_SHIPPED = {f"shipped/{name}": folder for name, folder in SHIPPED.items()}
_SHIPPED["shipped"] = SHIPPED["context"]


def _is_folder(name: str) -> bool:
    return name in _SHIPPED or (Path(name) / "manifest.json").is_file()


def _folder(name: str) -> Path:
    return _SHIPPED.get(name, Path(name))


def _candidate(name: str, releases: Releases | None, chosen: Settings) -> Candidate:
    if _is_folder(name):
        folder = _folder(name)
        return Candidate(load_model(folder), facts_of(read_folder(folder)))
    assert releases is not None
    if name == "active":
        active = releases.active()
        if active is None:
            return _unpromoted(chosen)
        name = active.version
    champion, _, layer = name.partition("+")
    record = releases.champions.get(champion) or releases.challengers.get(champion)
    if record is not None:
        facts = facts_of(record.contents())
        if layer:
            facts = _with_layer(facts, releases.layers.get(name))
        return Candidate(releases.model(name), facts)
    files = _record(name, releases, chosen, "", None).contents()
    return Candidate(load_files(files), facts_of(files))


def _with_layer(facts: dict[str, Any], layer: LayerRecord | None) -> dict[str, Any]:
    """Whom a model with a layer has seen: what its champion's split hides, the layer may know."""
    data = dict(facts.get("data") or {})
    data.pop("split", None)
    until = layer.facts.get("last_event_ms") if layer is not None else None
    known = data.get("last_event_ms")
    data["last_event_ms"] = None if until is None or known is None else max(until, known)
    return facts | {"data": data}


def _compared(path: Path, before: Candidate, after: Candidate, resamples: int) -> Comparison:
    # imported here: reading patients loads what moving a pointer does not need
    from models.sources import read_patients

    patients = read_patients(path)
    return compare(
        patients.stays,
        before,
        after,
        resamples=resamples,
        began_ms=patients.began_ms,
        featurise=patients.featurise,
    )
