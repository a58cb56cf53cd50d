"""The small job on Bytewax: `stateful_map` between its Kafka connectors, with its recovery store.

Bytewax keeps state in memory and snapshots what has changed to SQLite every epoch (10 s); it has no
changelog topic.
"""

from datetime import timedelta
from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSinkMessage
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from bench.job import Reading, encode, result
from bench.peers.task import Task, began, run

__all__: list[str] = []

_decode = msgspec.json.Decoder(Reading).decode


def main(task: Task) -> None:
    """Run it, as it comes. Tuned: nothing lingers, ten messages are read at a time."""
    started = False

    def decode(message: Any) -> tuple[str, Any]:
        nonlocal started
        if not started:
            started = True
            began()
        return message.key.decode(), _decode(message.value)

    def step(before: tuple[Any, ...] | None, reading: Any) -> tuple[tuple[Any, ...], Any]:
        kept = (*(before or ())[-1:], reading)
        return kept, result(kept)

    def message(keyed: tuple[str, Any]) -> Any:
        key, answer = keyed
        return KafkaSinkMessage(key.encode(), encode(answer))

    source: dict[str, Any] = {}
    sink: dict[str, Any] = {}
    if task.tuned:
        source = {"add_config": {"socket.nagle.disable": "true"}, "batch_size": 10}
        sink = {"add_config": {"linger.ms": "0", "socket.nagle.disable": "true"}}
    flow = Dataflow("job")
    # KafkaSourceMessage(key, value)
    source_out = kafka.input("readings", flow, brokers=[task.broker], topics=[task.input], **source)
    # (patient_id, Reading)
    readings = op.map("decode", source_out.oks, decode)
    # (patient_id, Result)
    results = op.stateful_map("last_two", readings, step)
    # KafkaSinkMessage(key, value)
    messages = op.map("encode", results, message)
    kafka.output("results", messages, brokers=[task.broker], topic=task.output, **sink)

    init_db_dir(task.state, 1)
    cli_main(
        flow,
        epoch_interval=timedelta(seconds=10),
        recovery_config=RecoveryConfig(task.state, backup_interval=timedelta(0)),
    )


if __name__ == "__main__":
    run(main)
