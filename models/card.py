"""The model card: what a model is for, what it was made from and what it is worth.

Every figure comes from the run that made the model; nothing is typed in by hand.
"""

from collections.abc import Callable, Sequence
from math import isnan

from models.alarms import alert_figures
from models.candidates import TITLES
from models.evaluation import Row, probabilities
from models.labs import LAB_FEATURES
from models.metrics import RiskReport
from models.training import URGENT_BUDGET, WARNING_BUDGET, Trained

__all__ = ["FIGURES", "figure", "model_card"]

#: Column of a table of figures: heading and how a report is shown in it.
FIGURES: tuple[tuple[str, Callable[[RiskReport], str]], ...] = (
    ("AUROC", lambda r: figure(r.auroc, 3, r.auroc_interval)),
    ("AUROC in the same hour", lambda r: figure(r.auroc_same_hour, 3)),
    ("AUPRC", lambda r: figure(r.auprc, 3)),
    ("calibration error", lambda r: figure(r.calibration_error, 4)),
    ("utility", lambda r: figure(r.utility, 3, r.utility_interval)),
    ("alerts per patient-day", lambda r: figure(r.alerts_per_patient_day, 2)),
    ("septic patients alerted", lambda r: share(r.sensitivity)),
    ("true alerts", lambda r: share(r.alert_ppv)),
)


def figure(value: float, digits: int, interval: tuple[float, float] = (float("nan"),) * 2) -> str:
    """A figure with its 95 % interval, as far as there is one.

    >>> figure(0.81234, 3, (0.8, 0.82))
    '0.812 [0.800 to 0.820]'
    """
    if isnan(value):
        return "-"
    text = f"{value:.{digits}f}"
    return (
        text
        if isnan(interval[0])
        else f"{text} [{interval[0]:.{digits}f} to {interval[1]:.{digits}f}]"
    )


def share(value: float) -> str:
    """A share in per cent.

    >>> share(0.256)
    '26 %'
    """
    return "-" if isnan(value) else f"{value:.0%}".replace("%", " %")


def model_card(trained: Trained) -> str:
    """Write the card of a model as Markdown.

    Args:
        trained: from `models.training.train`.

    Returns:
        The card.
    """
    model, facts = trained.model, trained.facts
    learned, unseen = facts["trained_on"], facts["held_out"]
    settings = ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in facts["settings"].items()
    )
    return _CARD.format(
        name=model.name,
        version=model.version,
        algorithm=TITLES[facts["algorithm"]],
        settings=settings,
        count=len(model.features),
        context=_WITH_CONTEXT if "icu_hours" in model.features else _WITHOUT_CONTEXT,
        labs=_WITH_LABS if set(LAB_FEATURES) & set(model.features) else "",
        ignorant=_KNOWS_LABS if set(LAB_FEATURES) & set(model.features) else _KNOWS_NO_LABS,
        source=_CHALLENGE if _from_challenge(trained) else _OTHER,
        learned=_cohort(learned),
        unseen=_cohort(unseen),
        hash=learned["data_hash"],
        code=facts["code"] or "unknown",
        threshold=f"{model.threshold:.4f}",
        rows=_table("on the held-out patients", trained.rows),
        groups=_table("group", trained.groups),
        tiers=_tiers(trained),
        warning=f"{WARNING_BUDGET:.2f}",
        urgent=f"{URGENT_BUDGET:.2f}",
        resamples=facts["options"]["resamples"],
        seed=facts["options"]["seed"],
    )


def _cohort(described: dict[str, object]) -> str:
    return (
        f"{described['patients']:,} patients, {described['septic_patients']:,} of them septic, "
        f"{described['readings']:,} readings, ICU hours {described['first_icu_hour']:.0f} to "
        f"{described['last_icu_hour']:.0f}"
    )


def _table(heading: str, rows: Sequence[Row]) -> str:
    lines = [[heading, "patients", "septic", *(name for name, _ in FIGURES)]]
    for row in rows:
        report = row.report
        counts = [f"{report.patients:,}", f"{report.septic_patients:,}"]
        lines.append([row.name, *counts, *(show(report) for _, show in FIGURES)])
    return _markdown(lines)


def _tiers(trained: Trained) -> str:
    risk = probabilities(trained.model, trained.data, len(trained.stays))
    heads = "tier|from|alerts per patient-day|septic patients alerted|true alerts|"
    heads += "alerted patients who were septic|median hours before onset"
    lines = [heads.split("|")]
    for name, threshold in trained.model.tiers._asdict().items():
        found = alert_figures(trained.stays, risk, threshold)
        shares = (found.sensitivity, found.ppv, found.patient_ppv)
        days, lead = figure(found.per_patient_day, 2), figure(found.lead_hours, 1)
        lines.append([name, f"{threshold:.4f}", days, *map(share, shares), lead])
    return _markdown(lines)


def _markdown(lines: list[list[str]]) -> str:
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([head, "|" + "---|" * len(lines[0]), *body])


def _from_challenge(trained: Trained) -> bool:
    return {"hospital A", "hospital B"} & {row.name for row in trained.groups} != set()


_WITH_CONTEXT = """\
And the admission: age, sex, hours in the hospital before intensive
care, hours in intensive care. A sixth of the training patients were shown a second time with
nothing known of their admission, for feeds that come without."""

_WITHOUT_CONTEXT = "Nothing of the admission and no clock."

_WITH_LABS = """

And 26 laboratory tests: newest value, hours since it was known, change from the one before, number
in 24 hours. The risk never falls with lactate, creatinine, urea nitrogen or bilirubin."""

_KNOWS_LABS = """\
* It leans on *which tests were ordered* and when: a laboratory test is a doctor's suspicion, so a
  risk may rise because somebody else has thought of sepsis first.
* It knows no drugs, ventilation, notes or diagnoses, no children, no wards."""
_KNOWS_NO_LABS = """\
* It knows no laboratory values, drugs, ventilation, notes or diagnoses, no children, no wards."""

_CHALLENGE = """\
PhysioNet / Computing in Cardiology Challenge 2019, version 1.0.0, doi 10.13026/v64v-d857, CC BY 4.0
(Reyna et al., Crit Care Med 2020;48:210-217): hourly records of two hospital systems in the USA,
sepsis by Sepsis-3. The label turns 1 six hours before onset."""

_OTHER = (
    "The patients given to `vigil train`; the label turns 1 six hours before the onset of sepsis."
)

_CARD = """\
# {name} {version}

Written by `vigil train`; every figure is from that run.

## Intended use

Research, teaching and development of monitoring software for adult intensive care: at each reading
the probability that sepsis sets in within six hours, or has set in. **This is not a medical
device.** It has not been evaluated prospectively, is not cleared by any authority and must not be
used to decide on the care of a patient.

## The model

{algorithm}: {settings}.

{count} features of `models/features.py`: per vital sign the current value, its change, how long ago
it was measured, and mean, spread, extremes and number of hours measured over 6 and 24 hours; shock
index, pulse pressure and three bedside scores. {context}{labs}

An hour counts as an alarm from probability {threshold} on: the highest utility on training
patients, each predicted by a fit that had not seen the patient. Never tuned on the figures below.

## Data

{source}

* Trained on {learned}; fingerprint {hash}.
* Held out by patient id, never trained or tuned on: {unseen}.
* Code {code}, seed {seed}.

The model was *not* refitted on the held-out patients afterwards: the figures are those of this very
file.

## What it is worth

95 % intervals by bootstrap over patients ({resamples} resamples). Utility is the challenge's
normalised utility: 0 = never alarming, 1 = the best possible. Every line has its own threshold.
Alerts have a lock-out of 12 hours and are true from 12 hours before to 3 hours after onset. The
rules know neither consciousness nor oxygen nor laboratory values. **The clock alarms on everyone
from a fixed hour on and has never looked at a patient: what a model earns beyond it is what it
knows.** So does the AUROC in the same hour, among readings of patients who stayed equally long.
"Admission unknown" is the same model on a feed without admissions; lines of fewer kinds of data are
models that were trained without the rest. With NEWS2, qSOFA, SIRS or the shock index the risk never
falls.

{rows}

By group, at the same threshold:

{groups}

Tiers, on the same held-out patients. *Watch* begins at the alarm threshold; *warning* and *urgent*
were set to spend {warning} and {urgent} alerts per patient-day on training patients.

{tiers}

## What it cannot do

* It leans on the clock and on how often things are measured: habits of two hospitals, not of the
  disease. Without the admission it is no better than the line "admission unknown".
* It knows the hospitals it was trained on. In the challenge the winning entry had a utility of 0.43
  in the two hospital systems it knew and of -0.12 in a third: measure it on your own patients.
{ignorant}
* Records are hourly. A monitor's feed is digested to the same features, but was never measured.
* A septic patient who is ill on admission is labelled from the first hour: nothing can be foreseen
  there.
* Figures of groups have wide intervals; look at them before believing a difference.
"""
