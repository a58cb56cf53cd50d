"""A finished training goes into MLflow: one run, a nested one for each kind of model, a version.

The version becomes the champion of the registry if it is the first, or if the rule of promotion
(`models.promotion`) lets it pass on the held-out patients, which neither has seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from config.clock import iso
from models import tracking
from models.card import model_card
from models.comparison import paired
from models.evaluation import model_row, probabilities
from models.learner import require_room
from models.plots import plots
from models.promotion import judge
from models.registry import ARTIFACT, SHIPPED, load_model, load_registered, save_model
from models.risk import RiskModel
from models.stay import Stay
from models.training import Trained

__all__ = ["Published", "publish", "write_model"]


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a training in the registry.

    Attributes:
        version: number of the registered version.
        champion: whether it is the champion now.
        utility: on the held-out patients.
        champion_utility: that of the champion before it; None where there was none.
        shipped_utility: that of the model that comes with the project.
    """

    version: str
    champion: bool
    utility: float
    champion_utility: float | None
    shipped_utility: float


def write_model(trained: Trained, folder: Path) -> None:
    """Write the model folder with its card.

    Args:
        trained: from `models.training.train`.
        folder: created where it is missing.
    """
    facts = trained.facts | {"figures": {row.name: row.report.to_dict() for row in trained.rows}}
    save_model(trained.model, folder, facts)
    (folder / "MODEL_CARD.md").write_text(model_card(trained))


def publish(trained: Trained, tracking_uri: str, *, promote: bool = True) -> Published:
    """Log a training and register its model.

    Args:
        trained: from `models.training.train`.
        tracking_uri: of the MLflow store; a local one is created.
        promote: whether the model may become the champion.

    Returns:
        What became of it.

    Raises:
        models.registry.ModelError: the store does not answer, or the model is too large.
    """
    require_room(trained.model)
    facts, report = trained.facts, trained.rows[0].report
    tags = {
        "data_hash": facts["trained_on"]["data_hash"],
        "data_span": f"ICU hours {facts['trained_on']['first_icu_hour']:g} to "
        f"{facts['trained_on']['last_icu_hour']:g}",
        "code": facts["code"] or "unknown",
        "algorithm": trained.winner,
        "fingerprint": trained.model.version,
    }
    source = facts.get("data") or {}
    if "last_event_ms" in source:
        tags["data_span"] = f"{iso(source['first_event_ms'])} to {iso(source['last_event_ms'])}"
        tags["data_offsets"] = f"{source['first_offset']} to {source['next_offset']}"
    if "data_hash" in source:
        tags["data_hash"] = source["data_hash"]
    params = {
        **{f"data_{name}": value for name, value in source.items()},
        **{f"option_{name}": value for name, value in facts["options"].items()},
        **{f"trained_on_{name}": value for name, value in facts["trained_on"].items()},
        **trained.searched[[s.name for s in trained.searched].index(trained.winner)].params,
        "threshold": trained.model.threshold,
        **trained.model.tiers._asdict(),
    }
    with tracking.session(tracking_uri) as client:
        champion = load_registered(client)
        before = None if champion is None else _utility(champion, trained)
        wins = promote and (champion is None or _may_take_over(champion, trained))
        figures = {name: value for name, value in report.to_dict().items() if _is_number(value)}
        with tracking.run(
            f"{trained.winner} on all patients", params=params, metrics=figures, tags=tags
        ) as run:
            for found in trained.searched:
                with tracking.run(
                    found.name, params=found.params, metrics=found.metrics, tags=tags, nested=True
                ):
                    tracking.log_json({"trials": found.trials}, "trials.json")
                    tracking.log_figures(_plots(found.stays, found.probabilities))
                    tracking.log_pipeline(found.pipeline, len(trained.model.features))
            risk = probabilities(trained.model, trained.data, len(trained.stays))
            tracking.log_figures(_plots(trained.stays, risk, trained.model.threshold))
            tracking.log_json({"features": trained.model.features}, "features.json")
            with TemporaryDirectory(prefix="vigil-model-") as scratch:
                write_model(trained, Path(scratch))
                tracking.log_folder(Path(scratch), ARTIFACT)
            uri = tracking.log_pipeline(trained.pipeline, len(trained.model.features))
            version = tracking.register(client, run, uri, tags, champion=wins)
    shipped = load_model(SHIPPED[facts["options"]["features"]])
    return Published(version, wins, report.utility, before, _utility(shipped, trained))


def _may_take_over(champion: RiskModel, trained: Trained) -> bool:
    """Whether the rule of promotion lets a model pass, on the held-out patients."""
    return judge(paired(trained.stays, trained.data, champion, trained.model)).promote


def _utility(model: RiskModel, trained: Trained) -> float:
    """Utility of another model on the held-out patients."""
    return model_row(model.version, trained.stays, trained.data, model).report.utility


def _plots(
    stays: Sequence[Stay],
    probabilities: Sequence[NDArray[np.float64]],
    threshold: float | None = None,
) -> dict[str, Any]:
    labels = [stay.labels for stay in stays if stay.labels is not None]
    return plots(labels, probabilities, threshold)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
