"""Training in its own process: what comes of it, and that it ends."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from models.registry import SHIPPED, load_files, load_model
from models.retraining import Retrained, RetrainingError, challenger, retrain
from models.risk import RiskModel

pytestmark = pytest.mark.unit

#: Stands in for ``vigil train``: says what it was asked, and copies a model where it is to be.
TRAINS = f"""
import json, shutil, sys
out = sys.argv[sys.argv.index("--out") + 1]
print("progress", file=sys.stderr)
shutil.copytree({str(SHIPPED["context"])!r}, out)
print("something else")
print(json.dumps({{"version": "7", "data": {{"set": "v2"}}, "given": sys.argv[1:]}}))
"""


async def run(code: str, out: Path, **given: Any) -> Retrained:
    return await retrain(Path("sets"), out, command=("-c", code), **{"timeout_s": 30.0, **given})


@pytest.fixture(scope="module")
def shipped() -> RiskModel:
    return load_model(SHIPPED["context"])


async def test_a_model_comes_back_with_its_version_and_its_log(
    tmp_path: Path, shipped: RiskModel
) -> None:
    made = await run(TRAINS, tmp_path / "new" / "run", arguments=("--seed", "3"))
    assert made.version == f"7-{shipped.version}"
    assert load_model(made.folder).version == shipped.version
    assert made.log.read_text() == "progress\n"
    assert made.summary["given"][-2:] == ["--seed", "3"]
    assert {"--no-promote", "--json"} <= set(made.summary["given"])


async def test_a_challenger_holds_the_whole_model_and_where_it_is_from(
    tmp_path: Path, shipped: RiskModel
) -> None:
    made = await run(TRAINS, tmp_path)
    record = challenger(made, site="icu", who="learning", why="drift of heart_rate")
    assert (record.kind, record.version, record.why) == (
        "challenger", made.version, "drift of heart_rate",
    )  # fmt: skip
    assert load_files(record.contents()).fingerprint() == shipped.fingerprint()
    assert record.facts["registry"] == "7"
    assert record.facts["trained_on"]["patients"] > 0
    assert len(record.model_dump_json()) < 4 * 1024 * 1024
    json.dumps(record.facts)


async def test_a_training_that_fails_says_what_it_said_last(tmp_path: Path) -> None:
    code = "import sys; print('no septic patient', file=sys.stderr); sys.exit(1)"
    with pytest.raises(RetrainingError, match=r"exit code 1: no septic patient \(log: .*train.log"):
        await run(code, tmp_path)


@pytest.mark.parametrize("code", ["", "print('{}')", "print('[]')", "print('no json')"])
async def test_a_training_that_leaves_no_model_is_an_error(code: str, tmp_path: Path) -> None:
    with pytest.raises(RetrainingError, match="left no model"):
        await run(code, tmp_path)


SLEEPS = """
import os, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.parent.joinpath("pids").write_text(f"{os.getpid()} {child.pid}")
time.sleep(60)
"""


def gone(pids: list[int]) -> bool:
    """Whether processes have ended; one that nobody has waited for counts as ended."""

    def state(pid: int) -> str:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return "Z"

    return all(state(pid) == "Z" for pid in pids)


async def wait_for_pids(folder: Path) -> list[int]:
    deadline = time.monotonic() + 10
    while not (folder / "pids").exists() or not (folder / "pids").read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return [int(pid) for pid in (folder / "pids").read_text().split()]


@pytest.mark.skipif(not os.path.isdir("/proc/1"), reason="looks at /proc")
async def test_a_training_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    with pytest.raises(RetrainingError, match=r"longer than 1 s"):
        await run(SLEEPS, tmp_path, timeout_s=1)
    pids = await wait_for_pids(tmp_path)
    await asyncio.sleep(0.1)
    assert gone(pids)


@pytest.mark.skipif(not os.path.isdir("/proc/1"), reason="looks at /proc")
async def test_a_training_ends_with_whoever_waits_for_it_and_the_loop_goes_on_meanwhile(
    tmp_path: Path,
) -> None:
    task = asyncio.create_task(run(SLEEPS, tmp_path))
    pids = await wait_for_pids(tmp_path)  # the event loop runs
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.1)
    assert gone(pids)
