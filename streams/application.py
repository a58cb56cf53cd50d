"""What every application of Vigil has in common: engine settings, health, metrics, fail-stop."""

import asyncio
import gc
import logging
import ssl
from functools import partial
from time import monotonic
from typing import Any, NoReturn

import faust
from aiohttp.web import Response
from aiokafka.producer import AIOKafkaProducer
from faust.types import TP
from faust.web import View
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from yarl import URL

from config.settings import Settings
from streams.metrics import REGISTRY, metrics
from streams.patience import patiently
from streams.recovery import set_aside_foreign
from streams.topics import prepare
from streams.transport import BatchApp, BatchConsumer
from tables.rocksdb import SCHEME

__all__ = ["VigilApp", "new_app"]

log = logging.getLogger(__name__)

_MIB = 1024 * 1024


class VigilApp(BatchApp):
    """A Faust application that makes its topics, answers for its health and stops loudly.

    Attributes:
        settings: of this process.
        sizes: how many partitions each topic of the catalogue has.
        prerequisites: set when what agents wait for at the start is there.
    """

    settings: Settings
    sizes: dict[str, int]
    prerequisites: tuple[asyncio.Event, ...] = ()

    async def on_first_start(self) -> None:
        """Get the topics ready before anything subscribes to them."""
        self.sizes = await prepare(self.settings, self.changelogs)
        await patiently(
            partial(set_aside_foreign, self.settings.kafka_client(), self.conf.tabledir),
            self.settings.bootstrap,
            self.settings.broker_wait_s,
        )
        await super().on_first_start()
        # What was imported stays for good. To look through it again and again takes a tenth of a
        # second each time; and a batch alone makes more objects than Python's 700.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 10, 10)

    @property
    def changelogs(self) -> dict[str, int]:
        """Names of the changelogs of its tables, and how many partitions each has."""
        return {
            str(table.changelog_topic_name): int(table.partitions) for table in self.tables.values()
        }

    @property
    def batch_producer(self) -> AIOKafkaProducer:
        """Producer that takes record batches."""
        return self.producer._ensure_producer()

    async def fail(self, error: BaseException) -> NoReturn:
        """Stop the worker: it exits with an error, and its offsets stay where they are."""
        log.critical("the worker stops: %s", error)
        await self.crash(error)
        # the agent must not go on to the next batch while the worker goes down
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    @property
    def alive(self) -> bool:
        """Whether committed offsets move: nothing fetched has waited too long for its commit."""
        consumer: BatchConsumer = self.consumer
        oldest = consumer.oldest_work()
        return oldest is None or oldest > monotonic() - self.settings.liveness_s

    @property
    def ready(self) -> bool:
        """Whether partitions are assigned, tables recovered, and what agents wait for is there."""
        recovering = (
            self.rebalancing or self.in_recovery or not self.tables.recovery.completed.is_set()
        )
        waits = any(not event.is_set() for event in self.prerequisites)
        return not (recovering or waits) and bool(self.consumer.assignment())


def new_app(name: str, settings: Settings) -> VigilApp:
    """Make an application: its own consumer group, its own folder, its own metrics.

    Args:
        name: of the application; with the topic prefix it is the consumer group.
        settings: of this process.
    """
    app = VigilApp(
        settings.topic_prefix + name,
        broker=[URL(f"kafka://{address}") for address in settings.bootstrap.split(",")],
        broker_credentials=_credentials(settings),
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        # members hear of a rebalance with their next heartbeat; until then partitions of one that
        # left are read by nobody
        broker_heartbeat_interval=min(0.5, settings.session_timeout_s / 3),
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * _MIB,
        # what a broker takes by default is little more
        producer_max_batch_size=1_000_000,
        producer_max_request_size=8 * _MIB,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_disable_leader=True,
        store=f"{SCHEME}://",
        datadir=str((settings.home / (settings.topic_prefix + name)).absolute()),
        table_standby_replicas=settings.standby_replicas,
        web_host=settings.web_host,
        web_bind=settings.web_host,
        web_enabled=settings.web_port > 0,
        web_port=settings.web_port or None,
        # Faust's own pages would serve tables, that is patients, without a login
        web_tables_enabled=False,
        web_router_enabled=False,
        web_in_thread=False,
        autodiscover=False,
    )
    app.settings = settings
    app.application = name
    app.broker_wait_s = settings.broker_wait_s
    app.batch_max = settings.batch_max
    app.batches_in_flight = settings.batches_in_flight
    _add_pages(app)
    return app


def _credentials(settings: Settings) -> Any:
    client = settings.kafka_client()
    context: ssl.SSLContext | None = client.get("ssl_context")
    if "sasl_mechanism" in client:
        return faust.SASLCredentials(
            username=client["sasl_plain_username"],
            password=client["sasl_plain_password"],
            mechanism=client["sasl_mechanism"],
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None


def _add_pages(app: VigilApp) -> None:
    @app.page("/live")
    async def live(view: View, request: Any) -> Response:
        """200 while batches get done, 503 when one has been in work for too long."""
        return Response(
            text="live\n" if app.alive else "stalled\n", status=200 if app.alive else 503
        )

    @app.page("/ready")
    async def ready(view: View, request: Any) -> Response:
        """200 when partitions are assigned and tables recovered."""
        return Response(
            text="ready\n" if app.ready else "not yet\n", status=200 if app.ready else 503
        )

    @app.page("/metrics")
    async def exposition(view: View, request: Any) -> Response:
        """Prometheus metrics."""
        metrics.in_flight.set(len(app.consumer.waiting()))
        return Response(
            body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


def report_lag(app: VigilApp, tp: TP, end: int) -> None:
    """Note how many records of a partition are still to be read."""
    metrics.lag.labels(tp.topic, tp.partition).set(app.consumer.lag(tp, end))
