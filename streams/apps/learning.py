"""The learning application: what the hospital teaches, out as new layers of its model.

    lessons ─→ learn ─→ models, drift, dead.letters
                 ↕
              pending: RocksDB table with changelog

Run it with ``vigil worker learning``; of several workers one learns, the others stand by.
"""

from typing import TYPE_CHECKING, Any

from agents.learner import LearnerAgent
from agents.retraining import Retraining
from config.settings import Settings, settings
from models.learner import require_room
from models.risk import ForestModel
from streams.application import VigilApp, new_app
from streams.following import Follower
from streams.topics import catalogue
from tables.store import BatchTable

__all__ = ["build"]

if TYPE_CHECKING:
    app: VigilApp


def build(settings: Settings, champion: ForestModel) -> VigilApp:
    """Build the application.

    Args:
        settings: of this process.
        champion: where learning starts, until the topic ``models`` names another.
    """
    app = new_app("learning", settings)
    topics = catalogue(settings)
    table = BatchTable(
        app,
        "pending",
        partitions=1,
        buffer_mib=settings.rocksdb_buffer_mib,
        about="examples and outcomes that wait, and what the learner goes on from",
    )
    follower = Follower(settings, topics.models.name)
    retraining = Retraining(settings)
    learner = LearnerAgent(app, topics, table, follower, champion, retraining)
    app.agent(app.batch_topic(topics.lessons.name), name="learn")(learner.run)
    app.task(follower.follow)
    app.prerequisites = (follower.ready,)
    app.task(retraining.keep)
    app.task(retraining.keep_track)
    return app


def __getattr__(name: str) -> Any:
    """Build ``app`` when Faust asks for it: importing this module needs no broker."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from models.registry import ModelError, load_champion

    chosen = settings()
    model = load_champion(chosen.tracking_uri, chosen.model_dir, feature_set=chosen.feature_set)
    if not isinstance(model, ForestModel):
        raise ModelError(
            f"{model.name} {model.version} is no gradient-boosted forest: there are no leaves to "
            "learn on; train one with `vigil train --candidate lightgbm`"
        )
    require_room(model)
    return build(chosen, model)
