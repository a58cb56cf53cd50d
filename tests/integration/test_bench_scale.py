"""The benches of scale, recovery and rebalancing, at their smallest."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bench import rebalance, recovery, scale
from streams.kafka import LocalKafka

pytestmark = pytest.mark.soak


def _run(command: click.Command, broker: LocalKafka, *options: str) -> dict[str, Any]:
    arguments = [*options, "--broker", broker.bootstrap, "--json"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    last: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return last


def test_scale_tells_cost_and_memory_for_each_number_of_patients(broker: LocalKafka) -> None:
    options = ("--patients", "500", "--patients", "1000", "--readings", "30000")

    found = _run(scale.command, broker, *options)

    assert [cost["patients"] for cost in found["scale"]] == [500, 1000]
    assert all(cost["readings"] > 0 and cost["cpu_us_per_reading"] > 0 for cost in found["scale"])
    assert all(cost["disk_bytes_per_patient"] > 100 for cost in found["scale"])
    assert found["cost_ratio"] > 0


def test_recovery_tells_the_seconds_of_each_restart(broker: LocalKafka) -> None:
    found = _run(recovery.command, broker, "--patients", "300", "--rounds", "2")

    seconds = {
        restart["state"]: restart["seconds_after_assignment"] for restart in found["recovery"]
    }
    records = {restart["state"]: restart["changelog_records"] for restart in found["recovery"]}
    assert all(0 < second < 30 for second in seconds.values())
    assert records["kept"] == 0
    assert records["lost"] >= 2 * 300  # the stays, and a window of each patient at least


@pytest.mark.slow
def test_rebalance_answers_every_reading_once(broker: LocalKafka) -> None:
    options = ("--rate", "200", "--patients", "64", "--seconds", "1")

    found = _run(rebalance.command, broker, *options)

    assert [phase["phase"] for phase in found["phases"]] == [
        "1 worker", "1 to 4 workers", "4 workers", "4 to 2 workers", "2 workers",
    ]  # fmt: skip
    assert found["answers"] - found["repeats"] == found["readings"]
    assert all(phase["p99_ms"] >= phase["p50_ms"] > 0 for phase in found["phases"])
