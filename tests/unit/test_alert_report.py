"""What the alerts of a policy are worth on recorded patients."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from models.stay import Stay
from streams import alert_report
from streams.commands.evaluate import evaluate
from tests.helpers import StubModel
from tests.unit.made_episodes import policy, recommendation

pytestmark = pytest.mark.unit

URGENT = -0.9


def stay(name: str, hours: int = 48, *, septic: bool = False) -> Stay:
    labels = np.zeros(hours, np.int8)
    labels[hours // 2 :] = septic
    return Stay(
        patient_id=name,
        seconds=np.arange(hours) * 3600,
        values=np.full((hours, 8), 80.0),
        labels=labels,
    )


def batches(**logits: list[float]) -> Iterator[list[bytes]]:
    hours = max(map(len, logits.values()))
    for hour in range(hours):
        yield [recommendation(hour, each[hour], patient=name) for name, each in logits.items()]


def test_alerts_are_counted_by_tier_and_against_the_outcome() -> None:
    stays = [stay("a", septic=True), stay("b")]
    told = batches(a=[URGENT] * 48, b=[-2.9] * 48)
    outcome = alert_report.run(told, stays, policy())
    rows = {row.name: row for row in alert_report.rows(outcome, stays)}
    assert (rows["urgent"].alerts, rows["urgent"].per_patient_day) == (4, 1.0)
    assert (rows["urgent"].septic_alerted, rows["urgent"].alerted_septic) == (1.0, 1.0)
    assert (rows["watch"].alerts, rows["watch"].septic_alerted) == (4, 0.0)


def test_what_is_over_the_budget_is_not_paged_and_lower_tiers_are_on_the_boards_only() -> None:
    stays = [stay("a"), stay("b")]
    outcome = alert_report.run(batches(a=[URGENT] * 48, b=[-1.9] * 48), stays, policy())
    assert [len(found) for found in (outcome.paged, outcome.held)] == [2, 2]
    assert {alert.tier for alert in outcome.paged} == {"urgent"}


def test_an_alert_that_was_held_pages_when_the_risk_has_risen_and_one_that_paged_does_not() -> None:
    stays = [stay(name) for name in "abc"]
    rise = [URGENT] * 3 + [3.0] * 3
    outcome = alert_report.run(batches(a=rise, b=rise, c=rise), stays, policy())
    assert len(outcome.higher) == 3
    assert [(alert.patient_id, alert.higher) for alert in outcome.paged] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]


def test_recommendations_are_those_of_the_bedside_in_the_order_of_time() -> None:
    found = [
        json.loads(value)
        for batch in alert_report.recommendations([stay("a", 3), stay("b", 2)], StubModel(), beds=1)
        for value in batch
    ]
    assert [(each["patient_id"], each["unit_id"]) for each in found] == [
        ("a", "unit-1"),
        ("b", "unit-2"),
        ("a", "unit-1"),
        ("b", "unit-2"),
        ("a", "unit-1"),
    ]


@pytest.fixture
def psv(tmp_path: Path) -> Path:
    names = "HR|O2Sat|Temp|SBP|MAP|DBP|Resp|Age|Gender|Unit1|Unit2|HospAdmTime|ICULOS|SepsisLabel"
    rows = [f"120|91|39|90|60|50|30|70|1|1|0|-1|{hour}|{int(hour > 20)}" for hour in range(1, 31)]
    (tmp_path / "p000001.psv").write_text("\n".join([names, *rows]) + "\n")
    return tmp_path


def test_the_command_tells_figures_and_draws(psv: Path, tmp_path: Path) -> None:
    plot = tmp_path / "alerts.svg"
    line = ["alerts", "--data", str(psv)]
    told = CliRunner().invoke(evaluate, [*line, "--json", "--plot", str(plot)])
    assert told.exit_code == 0, told.output
    figures: dict[str, Any] = json.loads(told.output)
    assert (figures["patients"], figures["recommendations"]) == (1, 30)
    assert [each["name"] for each in figures["alerts"]][-2:] == ["paged", "over budget"]
    assert plot.stat().st_size > 1000
    assert "urgent" in CliRunner().invoke(evaluate, line).output


def test_the_command_tells_what_is_wrong_with_a_policy(psv: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "policy.yaml"
    wrong.write_text("version: x\n")
    told = CliRunner().invoke(evaluate, ["alerts", "--data", str(psv), "--policy", str(wrong)])
    assert told.exit_code == 1
    assert "policy.yaml" in told.output
