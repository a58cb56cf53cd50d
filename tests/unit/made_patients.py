"""Patients made up for tests: a septic one's pulse and breathing rise before onset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.stay import Stay
from models.vitals import VITALS, index_of

__all__ = ["made_patients", "write_charts"]


def made_patients(
    count: int, *, seed: int = 0, hours: int = 24, septic_every: int = 3
) -> list[Stay]:
    """Stays p000000, p000001, …: one reading an hour, a third of the values missing."""
    rng = np.random.default_rng(seed)
    stays = []
    for number in range(count):
        septic = number % septic_every == 0
        onset = hours // 2
        labels = np.zeros(hours, np.int8)
        if septic:
            labels[onset:] = 1
        rise = np.clip(np.arange(hours) - onset + 8, 0, 12) * septic
        values = rng.normal((80, 80, 16, 37, 97, 120, 65, 80), 4, (hours, len(VITALS)))
        values[:, index_of("heart_rate")] += 3 * rise
        values[:, index_of("resp_rate")] += rise
        values[:, index_of("spo2")] = np.minimum(values[:, index_of("spo2")], 100)
        values[rng.random(values.shape) < 1 / 3] = np.nan
        stays.append(
            Stay(
                patient_id=f"p{number:06d}",
                seconds=np.arange(1, hours + 1) * 3600,
                values=values.round(2),
                age=float(rng.integers(20, 90)),
                sex=int(rng.integers(0, 2)),
                hours_before_icu=round(rng.exponential(20), 2),
                labels=labels,
            )
        )
    return stays


def write_charts(folder: Path, stays: Sequence[Stay]) -> Path:
    """Write stays as the challenge distributes them; without labels where there are none."""
    folder.mkdir()
    at = [i for i, vital in enumerate(VITALS) if vital.column is not None]
    head = [str(VITALS[i].column) for i in at] + ["Age", "Gender", "HospAdmTime", "ICULOS"]
    for stay in stays:
        labelled = stay.labels is not None
        lines = ["|".join([*head, *["SepsisLabel"] * labelled])]
        for row, second in enumerate(stay.seconds):
            cells = [*stay.values[row, at], stay.age, stay.sex, -stay.hours_before_icu]
            cells += [second // 3600, *([stay.labels[row]] if stay.labels is not None else [])]
            lines.append("|".join("NaN" if np.isnan(cell) else str(cell) for cell in cells))
        (folder / f"{stay.patient_id}.psv").write_text("\n".join(lines) + "\n")
    return folder
