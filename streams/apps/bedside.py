"""The bedside application: vital signs in, recommendations out.

    vitals, vitals.routed ─┐
                           ├─ score ─→ recommendations, lessons, vitals.late, vitals.routed
    admissions ─→ admit ─→ stays
    labs ─→ chart ─→ results
    outcomes ─→ close ─→ lessons
                  windows, stays, results: RocksDB tables with changelog

Run it with ``vigil worker bedside`` or ``faust -A streams.apps.bedside worker``.
"""

import logging
from typing import TYPE_CHECKING, Any

from agents.admissions import AdmissionsAgent
from agents.labs import LabsAgent
from agents.outcomes import OutcomesAgent
from agents.vitals import VitalsAgent
from config.guidance import guidance
from config.settings import Settings, settings
from models.risk import RiskModel
from streams.application import VigilApp, new_app
from streams.bedside import Bedside, warm_up
from streams.following import Follower
from streams.intake import IntakeRules
from streams.metrics import metrics
from streams.recommend import Recommender
from streams.topics import catalogue
from tables.labs import Labs
from tables.stays import Stays
from tables.store import BatchTable
from tables.windows import Windows

__all__ = ["build"]

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    app: VigilApp


def build(settings: Settings, model: RiskModel) -> VigilApp:
    """Build the application: its topology, read from top to bottom.

    Args:
        settings: of this process.
        model: the champion.
    """
    app = new_app("bedside", settings)
    topics = catalogue(settings)
    metrics.model.labels(model.name, model.version).set(1)

    partitions, buffer_mib = settings.partitions, settings.rocksdb_buffer_mib
    window_table = BatchTable(
        app,
        "windows",
        partitions=partitions,
        buffer_mib=buffer_mib,
        about="rolling window a patient",
    )
    stay_table = BatchTable(
        app,
        "stays",
        partitions=partitions,
        buffer_mib=buffer_mib,
        about="admission facts a patient",
    )
    windows = Windows(
        window_table.load_all,
        capacity=settings.hot_patients,
        grace_ms=round(settings.grace_hours * 3_600_000),
    )
    stays = Stays(stay_table.load_all, capacity=settings.hot_patients)
    labs: Labs | None = None
    if settings.feature_set == "labs":
        lab_table = BatchTable(
            app,
            "results",
            partitions=partitions,
            buffer_mib=buffer_mib,
            about="laboratory results a patient",
        )
        labs = Labs(lab_table.load_all, capacity=settings.hot_patients)
    rules = IntakeRules(
        max_bytes=settings.max_reading_bytes,
        future_tolerance_ms=round(settings.future_tolerance_s * 1000),
    )
    bedside = Bedside(
        windows,
        stays,
        labs,
        Recommender(model, guidance()),
        rules,
        partitions,
        learning=settings.learning,
    )

    # admissions → stays
    admit = AdmissionsAgent(app, topics, stays, stay_table)
    app.agent(app.batch_topic(topics.admissions.name), name="admit")(admit.run)

    # labs → results
    chart: LabsAgent | None = None
    if labs is not None:
        chart = LabsAgent(app, topics, labs, lab_table)
        app.agent(app.batch_topic(topics.labs.name), name="chart")(chart.run)

    # models → the model that scores
    def swap(chosen: RiskModel) -> None:
        bedside.recommender.model = chosen
        metrics.model.clear()
        metrics.model.labels(chosen.name, chosen.version).set(1)
        log.info("%s %s scores from now on", chosen.name, chosen.version)

    follower = Follower(settings, topics.models.name, swap)
    app.task(follower.follow)
    app.prerequisites = (follower.ready,)

    # vitals, vitals.routed → recommendations
    score = VitalsAgent(app, topics, bedside, window_table, admit, chart, follower.ready)
    readings = app.batch_topic(topics.vitals.name, topics.vitals_routed.name)
    app.agent(readings, name="score")(score.run)
    app.task(score.keep_routing)

    # outcomes → lessons
    if settings.learning:
        send_on = OutcomesAgent(app, topics, score)
        app.agent(app.batch_topic(topics.outcomes.name), name="close")(send_on.run)
    return app


def __getattr__(name: str) -> Any:
    """Build ``app`` when Faust asks for it: importing this module needs no broker."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from models.registry import load_champion

    chosen = settings()
    model = load_champion(chosen.tracking_uri, chosen.model_dir, feature_set=chosen.feature_set)
    warm_up(model)
    return build(chosen, model)
