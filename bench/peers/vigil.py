"""The small job on Vigil's engine: batches in, batches out, a table that is written by the batch.

A batch is acknowledged when the broker holds its results and its changelog. State is replay-safe
only as far as this job needs it; `tables.windows` shows how the bedside application does it.
"""

from functools import partial
from typing import Any

import msgspec
import uvloop

from agents.work import Work, finish
from bench.job import Reading, encode
from bench.peers.last_two import LastTwo
from bench.peers.task import Task, began, run
from config.settings import Settings
from streams.application import VigilApp, new_app
from streams.kafka.ports import free_ports
from streams.outbox import Outbox
from streams.transport import Batch
from tables.store import BatchTable

__all__: list[str] = []

_decode = msgspec.json.Decoder(Reading).decode
#: The larger a batch, the fewer writes a patient. Only a backlog fills one: at a steady rate it is
#: what has arrived since the last.
_BATCH_MAX = 10_000


class Job:
    """Takes batches of readings, sends their results.

    Args:
        app: the application.
        table: of the last two readings, by patient.
        output: topic of the results.
    """

    def __init__(self, app: VigilApp, table: BatchTable, output: str) -> None:
        self._app, self._table, self._output = app, table, output
        # by partition; gone with the assignment
        self._patients: dict[int, LastTwo] = {}
        self._assignment = -1
        self._started = False

    async def run(self, stream: Any) -> None:
        """Take a batch, do the job, send what came of it."""
        async for event in stream.noack().events():
            if not self._started:
                self._started = True
                began()
            batch: Batch = event.value
            if self._app.consumer.assignment_number != self._assignment:
                self._assignment = self._app.consumer.assignment_number
                self._patients.clear()
            if not await self._app.consumer.begin(batch):
                continue
            try:
                await self._handle(event, batch)
            except Exception as error:
                await self._app.fail(error)

    async def _handle(self, event: Any, batch: Batch) -> None:
        partition = batch.tp.partition
        if partition not in self._patients:
            self._patients[partition] = LastTwo(partial(self._table.load, partition))
        outbox = Outbox(self._app.batch_producer)
        records: list[Any] = batch.records
        keys = [record.key for record in records]
        readings = [_decode(record.value) for record in records]
        results, writes = self._patients[partition].take(keys, readings)
        outbox.extend(self._output, partition, zip(keys, map(encode, results), strict=True))
        self._table.store(partition, writes, outbox)
        acks = await outbox.hand_over()
        self._app.add_future(self._finish(Work(event), acks, batch))

    async def _finish(self, work: Work, acks: Any, batch: Batch) -> None:
        delivered = await finish(self._app, acks)
        if delivered is None:
            return
        if not batch.stale:
            self._table.stored(batch.tp.partition, delivered)
        work.done()


def main(task: Task) -> None:
    """Run it: the same settings for throughput and for latency."""
    settings = Settings(
        broker=task.broker,
        home=task.state,
        topic_prefix=f"{task.group}.",
        web_port=free_ports(1)[0],
        batch_max=_BATCH_MAX,
    )
    uvloop.install()
    app = new_app("job", settings)
    table = BatchTable(
        app,
        "kept",
        partitions=settings.partitions,
        buffer_mib=settings.rocksdb_buffer_mib,
        about="last two readings a patient",
    )
    job = Job(app, table, task.output)
    app.agent(app.batch_topic(task.input), name="job")(job.run)
    (task.state / "job").mkdir(parents=True, exist_ok=True)
    app.finalize()
    worker = app.Worker(loglevel="WARN", redirect_stdouts=False, quiet=True)
    worker.spinner = None
    worker.execute_from_commandline()


if __name__ == "__main__":
    run(main)
