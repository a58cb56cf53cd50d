"""``vigil evaluate shift --live``: what the stream says is what the learner says offline."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from config.settings import Settings
from models.registry import save_model
from tests.live import ROOT
from tests.unit.made_forests import made_champion
from tests.unit.made_patients import made_patients, write_charts


async def run(tmp_path: Path, live: Settings, *more: str) -> tuple[dict[str, Any], str, int]:
    """Run the command against the broker of the tests; its line of JSON, errors and exit code."""
    write_charts(tmp_path / "home", made_patients(20, seed=7))
    write_charts(tmp_path / "away", made_patients(180, hours=8))
    save_model(made_champion(), tmp_path / "model")
    given = [w for name in ("home", "away", "model") for w in (f"--{name}", str(tmp_path / name))]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("VIGIL_")}
    own = {"VIGIL_HOME": str(tmp_path / "vigil"), "VIGIL_BROKER": live.bootstrap}
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "streams.cli", "evaluate", "shift", "--live", "--no-retrain"],
        *[*given, "--delay", "2", "--point", "50", "--json", *more],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=inherited | own,
        cwd=ROOT,
    )
    try:
        out, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode is not None
    told = json.loads(out.splitlines()[-1]) if out else {}
    return told, errors.decode(), process.returncode


@pytest.mark.soak
@pytest.mark.timeout(900)  # on a busy machine three processes take minutes to load
async def test_every_probability_is_that_of_the_layer_that_it_names_and_should_name(
    tmp_path: Path, live: Settings
) -> None:
    told, errors, code = await run(tmp_path, live)
    assert code == 0, errors
    stream = told["stream"]
    assert (stream["unequal"], stream["other_version"]) == (0, 0)
    assert stream["readings"] == 180 * 8
    assert stream["layers"] == 2
    assert [point["version"] for point in told["points"]] == ["1-abc+1", "1-abc+2"]
    figures = told["whole"]["figures"]
    assert figures["online"]["patient_hours"] == stream["readings"]
    assert figures["online"]["auroc"] != figures["frozen"]["auroc"]

    admin = AIOKafkaAdminClient(**live.kafka_client())
    await admin.start()
    left = await admin.list_topics()
    await admin.close()
    assert not [name for name in left if name.startswith("shift-")]
