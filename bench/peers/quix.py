"""The small job on Quix Streams: stateful `apply` over its RocksDB store with changelog."""

from typing import Any

from quixstreams import Application

from bench.job import SMALL_FIELDS, Features
from bench.peers.task import Task, began, run
from models.features import ORIGINAL_FEATURES

__all__: list[str] = []

_KEPT = ("sequence", *SMALL_FIELDS)


def _features(kept: list[list[float]]) -> Features:
    """As `bench.job.features`, of lists, which this engine's state can keep."""
    _, pulse, temperature, heart, resp = kept[-1]
    _, other_pulse, other_temperature, _, _ = kept[0]
    return (
        min(pulse, other_pulse),
        (temperature + other_temperature) / 2,
        (pulse + other_pulse) / 2,
        heart / resp,
    )


def main(task: Task) -> None:
    """Run it; at least once, as it comes. Tuned: nothing lingers, not in a socket either."""
    tuned: dict[str, Any] = {}
    if task.tuned:
        tuned = {
            "producer_extra_config": {"linger.ms": 0, "socket.nagle.disable": True},
            "consumer_extra_config": {"socket.nagle.disable": True},
        }
    app = Application(
        broker_address=task.broker,
        consumer_group=task.group,
        auto_offset_reset="earliest",
        state_dir=task.state,
        loglevel="WARNING",
        **tuned,
    )
    started = False

    def step(value: dict[str, Any], state: Any) -> dict[str, Any]:
        nonlocal started
        if not started:
            started = True
            began()
        kept = [*state.get("kept", [])[-1:], [value[field] for field in _KEPT]]
        state.set("kept", kept)
        return {
            "patient_id": value["patient_id"],
            "sequence": value["sequence"],
            **dict(zip(ORIGINAL_FEATURES, _features(kept), strict=True)),
        }

    readings = app.topic(task.input, key_deserializer="str", value_deserializer="json")
    results = app.topic(task.output, key_serializer="str", value_serializer="json")
    app.dataframe(readings).apply(step, stateful=True).to_topic(results)
    app.run()


if __name__ == "__main__":
    run(main)
