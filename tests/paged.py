"""Recommendations, a policy and what is told of alerts, for tests of paging against the broker."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from config.clock import iso, now_ms
from config.settings import Settings
from streams.alert_events import AlertChange
from streams.topics import catalogue
from tests.live import Worker, read

__all__ = ["DOCTOR", "HEAD", "NURSE", "OPERATOR", "changes", "policy_file", "recommendation"]

NURSE, DOCTOR, HEAD, OPERATOR = (f"+4477009001{number:02}" for number in (1, 2, 3, 4))

POLICY = f"""
version: test
episodes:
  tiers:
    urgent: {{recommended: urgent}}
    warning: {{recommended: warning}}
budget:
  per_patient_day: {{}}
routes:
  - {{kind: patient, tiers: [urgent], escalation: bedside}}
  - {{kind: patient, tiers: [warning, watch], escalation: nobody}}
  - {{kind: operations, tiers: [urgent, warning], escalation: operators}}
escalations:
  bedside:
    steps:
      - {{after_s: 0, notify: [nurse], channels: [sms]}}
      - {{after_s: SECOND, notify: [doctor], channels: [sms]}}
      - {{after_s: 3000, notify: [head], channels: [sms]}}
  operators:
    steps:
      - {{after_s: 0, notify: [operator], channels: [sms]}}
schedules: {{}}
contacts:
  nurse: {{name: N, sms: "{NURSE}", time_zone: Europe/London, limits: LIMITS}}
  doctor: {{name: D, sms: "{DOCTOR}", time_zone: Europe/London, limits: LIMITS}}
  head: {{name: H, sms: "{HEAD}", time_zone: Europe/London, limits: LIMITS}}
  operator: {{name: O, sms: "{OPERATOR}", time_zone: Europe/London}}
""".replace("LIMITS", "[{texts: 100000, minutes: 0.001}]")


def policy_file(folder: Path, second_s: float = 1_000) -> Path:
    """Write a policy: nurse, then after so many seconds the doctor."""
    path = folder / "policy.yaml"
    path.write_text(POLICY.replace("SECOND", f"{second_s:g}"))
    return path


def recommendation(
    patient: str, tier: str, *, at_ms: int | None = None, risk: float = 0.3, unit: str = "ICU-1"
) -> bytes:
    """What the pager needs of a recommendation."""
    at = now_ms() if at_ms is None else at_ms
    return json.dumps(
        {
            "recommendation_id": f"{patient}-{at}",
            "patient_id": patient,
            "unit_id": unit,
            "observed_at": iso(at),
            "risk": risk,
            "tier": tier,
            "news2": {"total": 2},
            "processing": {"produced_at": iso(now_ms())},
        }
    ).encode()


async def changes(
    chosen: Settings, wanted: Iterable[str], worker: Worker | None = None, seconds: float = 60
) -> list[AlertChange]:
    """Read `alerts` until each of these states was told, as often as it is named."""
    still = list(wanted)

    def enough(records: list[Any]) -> bool:
        told = [json.loads(record.value)["state"] for record in records]
        return all(told.count(state) >= still.count(state) for state in still)

    records = await read(chosen, [catalogue(chosen).alerts.name], enough, worker, seconds)
    told = [AlertChange.model_validate_json(record.value) for record in records]
    return sorted(told, key=lambda change: change.at)  # partitions come in any order
