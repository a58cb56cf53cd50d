"""The statistics behind `models.simulator`, measured on the real cohort.

    python -m models.simulator_calibration --data PATH

writes ``simulator_stats.json``. PATH is anything `models.cohort.read_stays` reads, one row an hour.
Patients of the project's hold-out are left out, so that the simulator can be held against them.
Nothing finer than a quantile leaves this module: the outermost ones lie at 0.2 % and 99.8 %.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.cohort import held_out, read_stays
from models.progress import track
from models.simulator import CHARTED, STATS, deviation, slow_part, standardised
from models.stay import MALE, Stay
from models.vitals import index_of

__all__ = ["calibrate", "describe"]

Array = NDArray[np.float64]

_COLUMNS = [index_of(name) for name in CHARTED]
_PROBABILITIES = (
    0.002, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5,
    0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99, 0.998,
)  # fmt: skip
_LABEL_LEAD_HOURS = 6
#: The challenge cuts a septic record 3 hours after onset, so there is nothing to learn beyond.
_TRAJECTORY_HOURS = np.arange(-24, 4)
#: The deviation is measured from -24 h on; here it is still none.
_TRAJECTORY_START = -36
#: Fewer measured hours than this say nothing of a patient's sd.
_ENOUGH = 4
#: What is tried for the course of a vital sign, and in how many simulated stays of each length.
_PERSISTENCES = [percent / 100 for percent in range(60, 100, 2)]
_SLOW_SHARES = [percent / 100 for percent in range(30, 105, 5)]
_SERIES = 200
_LAGS = np.array([1, 2, 3, 4, 6, 8, 12])
_ABOUT = (
    "Aggregate statistics of the PhysioNet/CinC Challenge 2019 (Reyna et al. 2020, "
    "doi 10.13026/v64v-d857, CC BY 4.0); made by models/simulator_calibration.py"
)


def calibrate(stays: Sequence[Stay]) -> dict[str, Any]:
    """Measure what the simulator needs.

    Args:
        stays: hourly stays with known outcome, stable and septic ones.

    Returns:
        The content of ``simulator_stats.json``.
    """
    septic = [stay for stay in stays if stay.septic]
    trajectory = _trajectory(septic)
    return {
        "about": _ABOUT,
        "probabilities": list(_PROBABILITIES),
        "stable": _group([stay for stay in stays if stay.septic is False], None),
        "septic": _group(septic, trajectory)
        | {
            "trajectory": {name: _rounded(values) for name, values in trajectory.items()},
            "ends_3h_after_onset": _ends_late(septic),
        },
    }


def describe(stays: Iterable[Stay]) -> dict[str, dict[str, float]]:
    """Describe a cohort, real or simulated, by figures that can be compared.

    Args:
        stays: hourly stays.

    Returns:
        Per vital sign ``mean`` and ``sd`` of all readings; ``within_sd`` and ``lag1``, their sd and
        hour-to-hour correlation around the patient's own mean; ``missing``, the share of hours
        without it; ``gap_hours``, the mean length of a run of such hours.
    """
    values = [stay.values[:, _COLUMNS] for stay in stays]
    known = [~np.isnan(rows) for rows in values]
    pooled, measured = np.concatenate(values), np.concatenate(known)
    means, _ = _means_and_sds(values)
    around = _stacked([rows - mean for rows, mean in zip(values, means, strict=True)])
    ends = sum((~mask[-1]).astype(float) + (mask[1:] & ~mask[:-1]).sum(axis=0) for mask in known)
    columns = {
        "mean": np.nanmean(pooled, axis=0),
        "sd": np.nanstd(pooled, axis=0),
        "within_sd": np.sqrt(np.nanmean(around**2, axis=0)),
        "missing": 1 - measured.mean(axis=0),
        "lag1": [_lagged(column, 1) for column in around.T],
        "gap_hours": (~measured).sum(axis=0) / ends,
    }
    return {
        name: {key: round(float(column[i]), 4) for key, column in columns.items()}
        for i, name in enumerate(CHARTED)
    }


def _group(stays: Sequence[Stay], trajectory: dict[str, Array] | None) -> dict[str, Any]:
    values = [stay.values[:, _COLUMNS] for stay in stays]
    known = [~np.isnan(rows) for rows in values]
    if trajectory is not None:
        values = [
            rows - deviation(_from_onset(stay), trajectory)
            for rows, stay in zip(values, stays, strict=True)
        ]
    means, sds = _means_and_sds(values)
    # the first hour is left out of the shares: it is blank in most patients and counted apart
    shares = np.array([mask[1:].mean(axis=0) for mask in known])
    z = _stacked([(rows - mean) / sd for rows, mean, sd in zip(values, means, sds, strict=True)])
    presence = _stacked([mask[1:] - share for mask, share in zip(known, shares, strict=True)])
    hours = np.array([len(stay.seconds) for stay in stays])
    by_hours = np.repeat(np.arange(len(stays)), hours)
    lengths = np.quantile(hours[by_hours], np.arange(1, 16, 2) / 16).astype(int)
    courses = _courses(np.maximum(lengths, _LAGS.max() + 1).tolist())
    around = _stacked([rows - mean for rows, mean in zip(values, means, strict=True)])
    fits = [_fit_course(column, courses) for column in around.T]
    patients = pd.DataFrame(
        {
            **{f"{name}.mean": means[:, i] for i, name in enumerate(CHARTED)},
            **{f"{name}.sd": sds[:, i] for i, name in enumerate(CHARTED)},
            **{f"{name}.share": shares[:, i] for i, name in enumerate(CHARTED)},
            "age": [stay.age for stay in stays],
            # a few were in intensive care before the hospital's clerk had admitted them
            "hours_before_icu": [max(stay.hours_before_icu, 0.0) for stay in stays],
        }
    )
    # A patient counts by their hours: the means and sds of short stays scatter for no other reason
    # than that they are short. Length of stay is kept out of the copula for the same reason.
    weighted = {
        name: patients[name].iloc[by_hours] if "." in name else patients[name]
        for name in [*patients]
    }
    # Pearson's r of a Gaussian copula from Spearman's (Pearson 1907)
    spearman = patients.corr(method="spearman").to_numpy()
    presence_r = pd.DataFrame(presence).corr().to_numpy()
    return {
        "patients": len(stays),
        "quantiles": {
            name: _rounded(column.quantile(list(_PROBABILITIES)))
            for name, column in weighted.items()
        },
        "hours": _rounded(np.quantile(hours, _PROBABILITIES)),
        "copula": _correlation(2 * np.sin(np.pi / 6 * spearman)),
        "male_share": round(float(np.mean([stay.sex == MALE for stay in stays])), 3),
        "persistence": [fit[0] for fit in fits],
        "slow_share": [fit[1] for fit in fits],
        "within_correlation": _correlation(pd.DataFrame(z).corr().to_numpy()),
        "first_hour_measured": round(float(np.mean([mask[0].any() for mask in known])), 3),
        "measured_persistence": _rounded([_lagged(column, 1) for column in presence.T]),
        # latent r of two events of which one half happens; close enough for the other shares here
        "measured_correlation": _correlation(np.sin(np.pi / 2 * presence_r)),
        "cohort": describe(stays),
    }


def _means_and_sds(values: Sequence[Array]) -> tuple[Array, Array]:
    """Per patient and vital sign, NaN where too little was measured; shapes [patients, 7]."""
    frame = pd.DataFrame(np.concatenate(values))
    groups = frame.groupby(np.repeat(np.arange(len(values)), [len(rows) for rows in values]))
    sds = groups.std().where((groups.count() >= _ENOUGH) & (groups.std() > 0))
    return groups.mean().to_numpy(), sds.to_numpy()


def _stacked(blocks: Sequence[Array]) -> Array:
    """All patients in one array, apart from one another by more rows of NaN than any lag."""
    apart = np.full((_LAGS.max(), len(CHARTED)), np.nan)
    return np.concatenate([rows for block in blocks for rows in (block, apart)])


def _lagged(series: Array, lag: int) -> float:
    """Correlation of a series around 0 with itself ``lag`` rows later."""
    return float(np.nanmean(series[lag:] * series[:-lag]) / np.nanmean(series**2))


def _courses(lengths: Sequence[int]) -> dict[tuple[float, float], Array]:
    """Correlation at `_LAGS` as it is seen in simulated stays, by persistence and slow share.

    A series around its own mean, over its own sd, shows less correlation than its process has, the
    shorter the stay the less. So it is the simulator's own series that are compared.

    Args:
        lengths: lengths of stay, hours, that stand for equal numbers of patient-hours.
    """
    seen = {}
    for persistence in track(_PERSISTENCES, "Fitting the courses"):
        rng = np.random.default_rng(0)
        parts = [rng.standard_normal((2, length, _SERIES)) for length in lengths]
        slow = [slow_part(shocks, persistence) for shocks, _ in parts]
        for share in _SLOW_SHARES:
            mixed = [
                standardised(np.sqrt(share) * steady + np.sqrt(1 - share) * unsteady)
                for steady, (_, unsteady) in zip(slow, parts, strict=True)
            ]
            seen[persistence, share] = np.array(
                [np.mean([np.mean(z[lag:] * z[:-lag]) for z in mixed]) for lag in _LAGS]
            )
    return seen


def _fit_course(series: Array, courses: dict[tuple[float, float], Array]) -> tuple[float, float]:
    """Persistence and slow share of the courses most like a vital sign, near lags first."""
    observed = np.array([_lagged(series, int(lag)) for lag in _LAGS])
    return min(courses, key=lambda fit: float((courses[fit] - observed) ** 2 @ (1 / _LAGS)))


def _first_label(stay: Stay) -> int:
    assert stay.labels is not None
    return int(np.argmax(stay.labels))


def _from_onset(stay: Stay) -> Array:
    hours = stay.seconds / 3600
    return hours - hours[_first_label(stay)] - _LABEL_LEAD_HOURS


def _ends_late(septic: Sequence[Stay]) -> float:
    """Of records whose labels begin inside them, the share that ends 3 hours after onset."""
    ends = np.array([_from_onset(stay)[-1] for stay in septic if _first_label(stay) > 0])
    return round(float((ends == 3).sum() / np.isin(ends, (2, 3)).sum()), 3)


def _trajectory(septic: Sequence[Stay]) -> dict[str, Array]:
    deviations = []
    for stay in septic:
        hours, values = _from_onset(stay), stay.values[:, _COLUMNS]
        earlier = values[hours < _TRAJECTORY_HOURS[0]]
        count = (~np.isnan(earlier)).sum(axis=0)
        mean = np.nansum(earlier, axis=0) / np.where(count >= _ENOUGH, count, np.nan)
        late = hours >= _TRAJECTORY_HOURS[0]
        deviations.append(pd.DataFrame(values[late] - mean, index=hours[late]))
    table = pd.concat(deviations)
    means = table.groupby(level=0).mean().reindex(_TRAJECTORY_HOURS)
    smooth = means.rolling(3, center=True, min_periods=2).mean().to_numpy()
    return {"hours": np.array([_TRAJECTORY_START, *_TRAJECTORY_HOURS], dtype=float)} | {
        name: np.concatenate(([0.0], smooth[:, i])) for i, name in enumerate(CHARTED)
    }


def _correlation(matrix: Array) -> list[list[float]]:
    """The nearest valid correlation matrix that survives rounding: no eigenvalue at or below 0."""
    values, vectors = np.linalg.eigh(matrix)
    fixed = (vectors * np.maximum(values, 0.02)) @ vectors.T
    scale = np.sqrt(np.diag(fixed))
    return [_rounded(row) for row in fixed / np.outer(scale, scale)]


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 3) for value in values]


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, path_type=Path),
    required=True,
    help="Hourly patients with outcomes, in a shape models.cohort reads.",
)
def main(data: Path) -> None:
    """Write the aggregate statistics that the simulator draws its patients from."""
    stays = [stay for stay in read_stays(data) if not held_out(stay.patient_id)]
    text = json.dumps(calibrate(stays), indent=1)
    flat = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text)
    STATS.write_text(flat + "\n", encoding="utf-8")
    click.echo(f"{STATS}: statistics of {len(stays)} patients")


if __name__ == "__main__":
    main()
