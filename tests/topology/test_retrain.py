"""Retraining that a learner asks for: which commands are run, and why."""

import asyncio
import json
from pathlib import Path

import pytest

from agents.retraining import Retraining
from config.settings import Settings

pytestmark = pytest.mark.topology


async def test_what_is_asked_for_at_once_is_one_training_that_a_layer_can_be_learned_on(
    tmp_path: Path,
) -> None:
    said = tmp_path / "said"
    code = f"import json, sys; print(json.dumps(sys.argv[1:]), file=open({str(said)!r}, 'a'))"
    settings = Settings(broker="nowhere:1", retrain_dir=tmp_path / "sets", feature_set="labs")
    retraining = Retraining(settings, ("-c", code))
    for why in ("drift of spo2", "drift of logit", "drift of spo2"):
        retraining.ask(why)
    keeping = asyncio.create_task(retraining.keep())
    async with asyncio.timeout(30):
        while not said.exists() or len(said.read_text().splitlines()) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    collect, retrain = map(json.loads, said.read_text().splitlines())
    assert collect == ["data", "collect", "--out", str(tmp_path / "sets")]
    assert retrain[retrain.index("--reason") + 1] == "drift of spo2; drift of logit"
    assert retrain[retrain.index("--") + 1 :] == [
        *("--candidate", "lightgbm", "--features", "labs", "--threads", "1")
    ]


async def test_mlflow_is_told_only_where_there_is_one(tmp_path: Path) -> None:
    said = tmp_path / "said"
    retraining = Retraining(
        Settings(broker="nowhere:1", home=tmp_path),
        ("-c", f"open({str(said)!r}, 'a').write('told')"),
    )
    retraining.track()
    (tmp_path / "mlflow.db").touch()
    keeping = asyncio.create_task(retraining.keep_track())
    await asyncio.sleep(0)
    assert not said.exists()
    retraining.track()
    async with asyncio.timeout(30):
        while not said.exists() or said.read_text() != "told":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
