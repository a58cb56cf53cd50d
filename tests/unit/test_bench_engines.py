"""Engines that are not there, and processes that end too early, say what to do."""

import os
import sys
from pathlib import Path

import pytest

from bench import engines
from bench.common import BenchError, Child, Cores, on_core
from bench.engines import Engine, available

ABSENT = Engine("absent", "absent", 1_000, package="no_such_package")
HERE = Engine("here", "here", 1_000)


def test_an_engine_that_is_not_installed_says_what_installs_it() -> None:
    with pytest.raises(BenchError, match="absent is not installed: `uv sync --group bench`"):
        ABSENT.require()


def test_an_engine_without_a_release_for_this_python_says_so() -> None:
    newest = Engine("old", "old", 1_000, below=sys.version_info[:2])
    with pytest.raises(BenchError, match="no release for Python"):
        newest.require()


def test_what_cannot_run_is_left_out_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "ENGINES", (ABSENT, HERE))
    found, missing = available([])
    assert found == [HERE]
    assert [line.split(":")[0] for line in missing] == ["without absent"]


def test_what_was_named_and_cannot_run_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "ENGINES", (ABSENT, HERE))
    with pytest.raises(BenchError, match="not installed"):
        available(["absent"])
    assert available(["here"]) == ([HERE], [])


def test_a_process_that_ended_is_reported_with_its_last_words(tmp_path: Path) -> None:
    words = ["python", "-c", "import sys; sys.exit('the disk is full')"]
    last_words = r"(?s)peer ended with exit code 1.*the disk is full"
    with (
        Child(words, tmp_path / "log", name="peer") as child,
        pytest.raises(BenchError, match=last_words),
    ):
        child.wait_for(lambda: False, 30)


def test_a_process_is_watched_while_it_runs_and_gone_afterwards(tmp_path: Path) -> None:
    with Child(
        ["python", "-c", "import time; x = sum(range(10**6)); time.sleep(60)"], tmp_path / "log"
    ) as child:
        # of a process that has only just been forked, Python is not loaded yet
        child.wait_for(lambda: child.rss > 5_000_000 and child.cpu_s > 0, 30)
        child.check()
        assert child.running
        assert child.peak_rss > 5_000_000
    assert not child.running


def test_a_machine_with_one_core_is_named_in_the_note() -> None:
    assert "not pinned" in Cores(None, None).note
    assert "engine on core 0" in Cores(0, 3).note


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux pins processes")
def test_a_process_is_pinned_to_its_core_and_its_parent_afterwards_is_not(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    core = max(before)
    words = ["python", "-c", "import os; print(*os.sched_getaffinity(0))"]
    child = Child(words, tmp_path / "log", core=core).start()
    while child.running:
        pass
    assert (tmp_path / "log").read_text().split() == [str(core)]
    assert os.sched_getaffinity(0) == before
    with on_core(None):
        assert os.sched_getaffinity(0) == before
