"""A worker of paging whose policy is wrong does not begin."""

import time
from pathlib import Path

import pytest

from tests.shell import vigil

pytestmark = pytest.mark.unit


def test_a_wrong_policy_stops_the_worker_at_once_with_its_line_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = Path("config/policy.yaml").read_text().splitlines()
    line = shipped.index("      - after_s: 300     # 5 minutes")
    shipped[line + 1] = "        notify: [physicain]"
    policy = tmp_path / "mine.yaml"
    policy.write_text("\n".join(shipped))
    monkeypatch.setenv("VIGIL_POLICY", str(policy))
    monkeypatch.setenv("VIGIL_BROKER", "127.0.0.1:1")  # nobody answers, and nobody asks
    began = time.monotonic()

    ended = vigil("worker", "paging")

    assert ended.exit_code == 1
    assert time.monotonic() - began < 30
    said = "".join(ended.stderr.split())  # lines are as wide as the terminal
    assert f"mine.yaml,line{line + 2}:" in said
    assert "physicain" in said
    assert "'physician'" in said
