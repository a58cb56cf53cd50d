"""The demo from its command line: an account that is right, and nothing left behind."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from config.settings import Settings
from streams.topics import catalogue
from tests.live import ROOT, environment, read

pytestmark = pytest.mark.integration

#: Longer than any start here; the tests end as soon as what they wait for is there.
PATIENCE_S = 90


async def start(tmp_path: Path, *arguments: str, **settings: str) -> asyncio.subprocess.Process:
    """Start ``vigil demo`` with a folder for temporary files of its own."""
    (tmp_path / "tmp").mkdir(exist_ok=True)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("VIGIL_")}
    own = {"VIGIL_HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp")}
    return await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "streams.cli", "demo", "--headless", "--patients", "3", *arguments],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=inherited | own | settings,
        cwd=ROOT,
    )


async def said(process: asyncio.subprocess.Process, words: str) -> str:
    """Read stderr until a line says something; returns what was read."""
    assert process.stderr is not None
    text = ""
    async with asyncio.timeout(PATIENCE_S):
        while words not in text:
            line = await process.stderr.readline()
            assert line, f"it ended: {text}"
            text += line.decode()
    return text


def family(process: asyncio.subprocess.Process) -> list[psutil.Process]:
    """The demo's children and theirs."""
    found: list[psutil.Process] = psutil.Process(process.pid).children(recursive=True)
    return found


def left_over(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "tmp").glob("vigil-demo-*")]


@pytest.mark.slow
async def test_a_headless_demo_accounts_for_every_reading_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    # an account that would be refused: no demo writes to people
    account = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "t", "TWILIO_FROM": "+1"}
    given = {f"VIGIL_{name}": value for name, value in account.items()}
    arguments = ("--json", "--rate", "max", "--patients", "5")
    process = await start(tmp_path, *arguments, **given)
    shown = await said(process, "First text")
    children = family(process)
    out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    text = shown + err.decode()
    assert ". Ref " in text  # to a nurse, or to operators: at this rate both are called at once
    assert "Reply ACK " in text
    assert "sim-0" not in text
    lines = out.decode().splitlines()
    assert len(lines) == 1
    result = json.loads(lines[0])
    assert result["readings"] == 5 * 48 * 12
    assert result["recommendations"] == result["readings"]
    assert (result["dead_letters"], result["late"], result["missing"]) == (0, 0, 0)
    assert result["complete"]
    assert result["pages"] > 0
    assert result["alerts"] > 0
    assert 0 < result["latency_p50_ms"] <= result["latency_p99_ms"]
    assert 0 < result["first_recommendation_s"] < result["seconds"]
    assert len(children) >= 6  # Java and two workers, each with its supervisor
    assert not any(child.is_running() for child in children)
    assert left_over(tmp_path) == []
    assert not (tmp_path / "home").exists()


@pytest.mark.slow
async def test_when_the_time_is_up_what_was_sent_is_still_answered(
    live: Settings, tmp_path: Path
) -> None:
    settings = environment(live) | {"VIGIL_HOME": str(tmp_path / "home")}
    own = {k: v for k, v in settings.items() if k.startswith("VIGIL_")}
    process = await start(tmp_path, "--json", "--rate", "50", "--for", "2", **own)
    out, err = await process.communicate()

    assert process.returncode == 0, err.decode()
    result = json.loads(out)
    assert not result["complete"]
    assert 0 < result["recommendations"] == result["readings"] <= 110
    # the alerts of real patients must not end in a demo: on this broker nobody pages
    assert result["pages"] == 0
    # the patients of a demo on a cluster that stays are new ones each time
    records = await read(live, [catalogue(live).vitals.name], bool)
    assert json.loads(records[0].value)["patient_id"].startswith("sim-0")
    assert json.loads(records[0].value)["patient_id"].count("-") == 2
    assert left_over(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_everything_in_order(tmp_path: Path, number: signal.Signals) -> None:
    process = await start(tmp_path)
    await said(process, "First recommendation")
    await asyncio.sleep(1)  # the pager is on its way
    children = family(process)
    assert len(children) >= 6
    process.send_signal(number)
    await process.communicate()

    assert process.returncode == 130
    assert not any(child.is_running() for child in children)
    assert left_over(tmp_path) == []


@pytest.mark.slow
async def test_a_demo_that_is_killed_takes_everything_with_it(tmp_path: Path) -> None:
    process = await start(tmp_path)
    await said(process, "First recommendation")
    children = family(process)
    process.kill()
    await process.wait()

    _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=15)
    assert alive == []
    assert left_over(tmp_path) == []


@pytest.mark.slow
async def test_a_worker_that_dies_ends_the_demo_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    process = await start(tmp_path, "--model", str(tmp_path / "empty"))
    _, err = await process.communicate()

    assert process.returncode == 1
    text = "".join(err.decode().split())  # lines are as wide as the terminal
    log = tmp_path / "home" / "demo-worker.log"
    assert "Thebedsideworkerendedwithexitcode1" in text
    assert str(log) in text
    assert "manifest.json" in log.read_text()
    assert left_over(tmp_path) == []
