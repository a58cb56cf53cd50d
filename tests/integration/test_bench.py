"""The benchmarks run, and what they report was checked."""

import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.common import environment
from streams.kafka import LocalKafka
from streams.kafka.waiting import until


def bench(*words: str, folder: Path) -> dict[str, Any]:
    """Run ``vigil bench`` with a folder for what is temporary; return its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "bench", *words, "--json"],
        capture_output=True,
        text=True,
        env=environment() | {"TMPDIR": str(folder)},
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_throughput_checks_every_result_and_leaves_nothing_behind(tmp_path: Path) -> None:
    words = ["--engine", "vigil", "--readings", "20000", "--rounds", "1"]
    (found,) = bench("throughput", *words, folder=tmp_path)["engines"]
    assert found["engine"] == "vigil"
    assert found["readings"] == 20_000
    assert found["repeats"] == 0
    assert found["readings_per_second"] > 1_000
    assert found["peak_rss_mib"] > 30
    assert not list(tmp_path.glob("vigil-bench-*"))


def test_latency_is_above_the_floor_of_the_bare_broker(broker: LocalKafka, tmp_path: Path) -> None:
    words = ["--engine", "vigil", "--rate", "200", "--seconds", "3", "--broker", broker.bootstrap]
    found = bench("latency", *words, folder=tmp_path)
    (engine,) = found["engines"]
    assert engine["engine"] == "vigil"
    assert 0 < found["floor"]["p50_ms"] < engine["p50_ms"] <= engine["p99_ms"] <= engine["max_ms"]
    assert 150 < engine["readings_per_second"] < 250


def test_a_benchmark_that_is_told_to_stop_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    words = ["bench", "throughput", "--engine", "vigil", "--readings", "500000"]
    with subprocess.Popen(
        [sys.executable, "-m", "streams.cli", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment() | {"TMPDIR": str(tmp_path)},
    ) as running:
        try:
            assert until(lambda: is_measuring(running.pid), 60)
            family = psutil.Process(running.pid).children(recursive=True)
            running.terminate()
            assert running.wait(30) == 128 + signal.SIGTERM
        finally:
            running.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive
    assert not list(tmp_path.glob("vigil-bench-*"))


def is_measuring(pid: int) -> bool:
    """Whether a benchmark has started its engine."""
    with suppress(psutil.Error):  # processes come and go
        children = psutil.Process(pid).children(recursive=True)
        return any("bench.peers.vigil" in child.cmdline() for child in children)
    return False


def test_without_a_jdk_kafka_streams_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "bench", "latency", "--engine", "kafka-streams"],
        capture_output=True,
        text=True,
        env=environment() | {"JAVA_HOME": str(tmp_path)},
        timeout=60,
    )
    assert done.returncode == 1
    assert "JAVA_HOME" in done.stderr
    assert "Traceback" not in done.stderr
