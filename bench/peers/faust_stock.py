"""The small job on Faust as it comes: an agent, a RocksDB table with changelog."""

from typing import Any

import faust
import msgspec

from bench.job import Reading, encode, result
from bench.peers.task import Task, began, run

__all__: list[str] = []

_decode = msgspec.json.Decoder(Reading).decode


def main(task: Task) -> None:
    """Run it, as it comes. Tuned: uvloop, no wait for the buffer; there is little more to set."""
    tuned: dict[str, Any] = {}
    if task.tuned:
        import uvloop

        uvloop.install()
        tuned = {"stream_wait_empty": False, "broker_commit_interval": 1.0}
    app = faust.App(
        task.group,
        broker=f"kafka://{task.broker}",
        store="rocksdb://",
        datadir=str(task.state),
        consumer_auto_offset_reset="earliest",
        topic_partitions=4,
        topic_replication_factor=1,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        autodiscover=False,
        **tuned,
    )
    raw = {"key_serializer": "raw", "value_serializer": "raw"}
    readings = app.topic(task.input, key_type=bytes, value_type=bytes, **raw)
    results = app.topic(task.output, key_type=bytes, value_type=bytes, **raw)
    table = app.Table("kept", partitions=4, key_type=bytes)
    started = False

    @app.agent(readings)
    async def job(stream: Any) -> None:
        nonlocal started
        async for key, value in stream.items():
            if not started:
                started = True
                began()
            reading = _decode(value)
            kept = [*(table.get(key) or ())[-1:], msgspec.structs.astuple(reading)]
            table[key] = kept
            answer = result([Reading(*each) for each in kept])
            await results.send(key=key, value=encode(answer))

    worker = app.Worker(loglevel="WARN", redirect_stdouts=False, quiet=True)
    worker.spinner = None
    app.finalize()
    worker.execute_from_commandline()


if __name__ == "__main__":
    run(main)
