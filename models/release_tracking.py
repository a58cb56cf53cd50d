"""MLflow follows the topic ``models``: the alias ``champion``, and a run for every step.

The topic decides what scores. Whoever moves the pointer brings the registry up to date after it;
what was not recorded, because the store was away, is recorded the next time.

    shadow of a challenger ─→ run: with what it is compared, its first figures
    move of the pointer    ─→ run: who, why, from what to what, the figures that it was decided on
    champion of the site   ─→ alias, where the model is in the registry
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from models import tracking
from models.registry import ALIAS, REGISTERED
from models.release_records import ModelPointer, PointerMove
from models.releases import Releases

__all__ = ["record_steps"]


def record_steps(releases: Releases, tracking_uri: str) -> list[str]:
    """Record what MLflow has no run of yet, and move its alias to the champion.

    A champion that is not in the registry, such as a shipped model, leaves the alias as it is.

    Args:
        releases: of the site.
        tracking_uri: of an MLflow store.

    Returns:
        Names of the new runs.

    Raises:
        models.registry.ModelError: the store does not answer.
    """
    pointer = releases.pointer
    steps = [
        _Step(f"shadow of {version}", f"shadow {version} {shadow.champion}", shadow.figures, {
            "challenger": version, "champion": shadow.champion,
        })
        for version, shadow in releases.shadows.items()
    ]  # fmt: skip
    if pointer is not None:
        moves: list[ModelPointer | PointerMove] = [*reversed(pointer.history), pointer]
        steps += [_step(move) for move in moves]
    with tracking.session(tracking_uri) as client:
        recorded = tracking.tagged_runs(client, "site", releases.site, "step")
        new = [step for step in steps if step.id not in recorded]
        for step in new:
            tags = {"site": releases.site, "step": step.id, **step.tags}
            with tracking.run(step.name, params={}, metrics=_numbers(step.figures), tags=tags):
                tracking.log_json(step.figures, "figures.json")
        if pointer is not None:
            _point(client, pointer.champion)
    return [step.name for step in new]


@dataclass(frozen=True, slots=True)
class _Step:
    """A run to be: its name, what tells it from others of the site, figures, and tags."""

    name: str
    id: str
    figures: Mapping[str, Any]
    tags: Mapping[str, str]


def _step(move: ModelPointer | PointerMove) -> _Step:
    evidence = move.evidence if isinstance(move, ModelPointer) else {}
    tags = {"action": move.action, "champion": move.champion, "who": move.who, "why": move.why}
    if isinstance(move, ModelPointer) and move.from_champion is not None:
        tags["before"] = move.from_champion
    name = f"{move.action} {move.champion}"
    return _Step(name, f"move {move.serial}", evidence, tags | {"forced": str(move.forced)})


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _point(client: Any, champion: str) -> None:
    """Move the alias, if the registry has the champion."""
    number, _, fingerprint = champion.partition("-")
    now = tracking.champion_version(client)
    for version in tracking.all_versions(client):
        same = str(version.version) == number and version.tags.get("fingerprint") == fingerprint
        if same and (now is None or now.version != version.version):
            client.set_registered_model_alias(REGISTERED, ALIAS, version.version)
