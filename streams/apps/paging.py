"""The paging application: from a recommendation to a person who has accepted it.

    recommendations ─→ watch ─→ alerts.raised
                         ↕
                      episodes
    drift, models, dead.letters ─→ operations ─→ alerts.raised
    alerts.raised, alerts.acknowledged, alerts.silences, delivery.receipts
      ─→ page ─→ alerts, audit; SMS and e-mail
           ↕
         pages
                  episodes, pages: RocksDB tables with changelog

Run it with ``vigil worker paging``; of several workers one pages, the others stand by.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from agents.operations import OperationsAgent
from agents.pager import PagerAgent
from agents.watch import WatchAgent
from config.policy import Policy
from config.settings import Settings, settings
from streams.application import VigilApp, new_app
from streams.audit_hashes import audit_key
from streams.callbacks import serve_callbacks
from streams.delivery.closing import close_all
from streams.delivery.message import Channel, Provider
from streams.topics import catalogue
from tables.episodes import Episodes
from tables.store import BatchTable

__all__ = ["build"]

if TYPE_CHECKING:
    app: VigilApp


def build(settings: Settings, policy: Policy, providers: Mapping[Channel, Provider]) -> VigilApp:
    """Build the application.

    Args:
        settings: of this process.
        policy: what raises an alert, and who is paged.
        providers: by channel.
    """
    app = new_app("paging", settings)
    topics = catalogue(settings)

    # recommendations → episodes → alerts.raised
    episode_table = BatchTable(
        app,
        "episodes",
        partitions=settings.partitions,
        buffer_mib=settings.rocksdb_buffer_mib,
        about="episode a patient, and how long each unit was watched",
    )
    episodes = Episodes(episode_table.load_all, policy, capacity=settings.hot_patients)
    watch = WatchAgent(app, topics, episodes, episode_table)
    app.agent(app.batch_topic(topics.recommendations.name), name="watch")(watch.run)

    # drift, models, dead.letters → alerts.raised
    operations = OperationsAgent(app, topics, policy)
    news = app.batch_topic(topics.drift.name, topics.models.name, topics.dead_letters.name)
    app.agent(news, name="operations")(operations.run)
    app.task(operations.keep)

    # alerts.raised, alerts.acknowledged, alerts.silences, delivery.receipts → people
    pages = BatchTable(
        app,
        "pages",
        partitions=1,
        buffer_mib=settings.rocksdb_buffer_mib,
        about="alerts, pages to people and what became of them",
    )
    pager = PagerAgent(app, topics, pages, policy, providers)
    inbox = app.batch_topic(
        topics.alerts_raised.name,
        topics.alerts_acknowledged.name,
        topics.alerts_silences.name,
        topics.delivery_receipts.name,
    )
    app.agent(inbox, name="page")(pager.run)
    app.task(pager.keep)
    # the engine unwinds this when its tasks have ended, and with them every request to a provider
    app.async_exit_stack.push_async_callback(close_all, providers.values())
    serve_callbacks(app, topics, policy)
    return app


def __getattr__(name: str) -> Any:
    """Build ``app`` when Faust asks for it: importing this module needs no broker."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from config.policy import load_policy
    from streams.delivery.choose import providers

    chosen = settings()
    audit_key(chosen, warn=True)
    return build(chosen, load_policy(chosen.policy), providers(chosen))
