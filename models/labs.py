"""Laboratory results: which tests Vigil knows, in which units, and what the model sees of them.

One table, `LABS`: the 26 results of the PhysioNet/CinC Challenge 2019, with the LOINC codes under
which a laboratory sends them. A result in another unit than the table's is converted where the
factor is one of chemistry (``also``), and refused where it is not known: a creatinine of 88 is
healthy in µmol/L and would be read as dying in mg/dL.

For each test, of the results observed up to the reading:

==================  ====================================================================
``<l>``             the newest value
``<l>_hours_ago``   hours since it was observed
``<l>_change``      the newest value less the one before it
``<l>_count_24h``   results in the 24 hours up to the reading
==================  ====================================================================

A result counts from its observed time on and never before: a reading that was observed before a
result is scored without it, whenever either of them arrives.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.compiled import kernel
from models.window import HOUR_MS

__all__ = [
    "AT_MS",
    "LAB",
    "LABS",
    "LAB_FEATURES",
    "LAB_GROUPS",
    "LAB_SCALE",
    "NUMBER",
    "RESULT_WIDTH",
    "VALUE",
    "Lab",
    "index_of_loinc",
    "lab_features",
    "to_thousandths",
]

#: Values are kept as whole thousandths of their unit: troponin is charted to .01, pH to .01.
LAB_SCALE = 1000

# Columns of a result.
LAB, AT_MS, VALUE, NUMBER = 0, 1, 2, 3
RESULT_WIDTH = 4


@dataclass(frozen=True, slots=True)
class Lab:
    """One laboratory test.

    Attributes:
        name: short name, used in features and in text.
        label: the name a clinician reads.
        column: column in the PhysioNet/CinC 2019 files.
        unit: UCUM code of the values that are kept.
        loinc: LOINC codes under which it is sent; the first is the one that Vigil sends.
        plausible: lowest and highest value that counts, in `unit`, inclusive.
        group: of `LAB_GROUPS`.
        also: other UCUM codes, and what a value in them is multiplied by.
    """

    name: str
    label: str
    column: str
    unit: str
    loinc: tuple[str, ...]
    plausible: tuple[float, float]
    group: str
    also: dict[str, float] = field(default_factory=dict)


#: Molar masses: glucose 180.16, creatinine 113.12, bilirubin 584.66, urea nitrogen 28.02, lactate
#: 90.08, calcium 40.08, magnesium 24.31, phosphorus 30.97 g/mol; haemoglobin by ICSH as 16.114
#: g/dL for 10 mmol/L of the monomer. 1 kPa = 7.50062 mmHg.
_KPA = 7.50062

#: In the order of their features. Appending is safe; reordering changes the state's format.
LABS: tuple[Lab, ...] = (
    Lab("base_excess", "base excess", "BaseExcess", "mmol/L", ("11555-0", "1925-7"), (-60, 60), "gas"),
    Lab("bicarbonate", "bicarbonate", "HCO3", "mmol/L", ("1963-8", "1959-6", "1960-4"), (1, 80), "gas"),
    Lab("fio2", "inspired oxygen fraction", "FiO2", "1", ("3150-0", "19994-3"), (0.15, 1), "gas", {"%": 0.01}),
    Lab("ph", "pH", "pH", "[pH]", ("2744-1", "11558-4"), (6.5, 8), "gas", {"1": 1}),
    Lab("paco2", "arterial CO2", "PaCO2", "mm[Hg]", ("2019-8", "11557-6"), (5, 200), "gas", {"kPa": _KPA}),
    Lab("sao2", "arterial oxygen saturation", "SaO2", "%", ("2708-6",), (10, 100), "gas", {"1": 100}),
    Lab("ast", "AST", "AST", "U/L", ("1920-8",), (1, 50_000), "liver"),
    Lab("bun", "urea nitrogen", "BUN", "mg/dL", ("3094-0", "6299-2"), (0.5, 400), "kidney", {"mmol/L": 2.802}),
    Lab("alkaline_phosphatase", "alkaline phosphatase", "Alkalinephos", "U/L", ("6768-6",), (1, 10_000), "liver"),
    Lab("calcium", "calcium", "Calcium", "mg/dL", ("17861-6",), (1, 30), "metabolic", {"mmol/L": 4.008}),
    Lab("chloride", "chloride", "Chloride", "mmol/L", ("2075-0",), (20, 200), "metabolic", {"meq/L": 1}),
    Lab("creatinine", "creatinine", "Creatinine", "mg/dL", ("2160-0", "38483-4"), (0.05, 60), "kidney", {"umol/L": 0.01131}),
    Lab("bilirubin_direct", "direct bilirubin", "Bilirubin_direct", "mg/dL", ("1968-7",), (0, 60), "liver", {"umol/L": 0.05847}),
    Lab("glucose", "glucose", "Glucose", "mg/dL", ("2345-7", "2339-0", "2340-8", "41653-7"), (5, 2000), "metabolic", {"mmol/L": 18.016}),
    Lab("lactate", "lactate", "Lactate", "mmol/L", ("2524-7", "32693-4", "2518-9"), (0.05, 50), "metabolic", {"mg/dL": 0.111}),
    Lab("magnesium", "magnesium", "Magnesium", "mg/dL", ("19123-9",), (0.1, 20), "metabolic", {"mmol/L": 2.431}),
    Lab("phosphate", "phosphate", "Phosphate", "mg/dL", ("2777-1",), (0.1, 40), "metabolic", {"mmol/L": 3.097}),
    Lab("potassium", "potassium", "Potassium", "mmol/L", ("2823-3", "6298-4"), (0.5, 15), "metabolic", {"meq/L": 1}),
    Lab("bilirubin_total", "total bilirubin", "Bilirubin_total", "mg/dL", ("1975-2",), (0, 100), "liver", {"umol/L": 0.05847}),
    Lab("troponin_i", "troponin I", "TroponinI", "ng/mL", ("10839-9",), (0, 1000), "metabolic", {"ng/L": 0.001, "ug/L": 1}),
    Lab("hematocrit", "hematocrit", "Hct", "%", ("4544-3", "20570-8"), (2, 80), "blood", {"1": 100, "L/L": 100}),
    Lab("hemoglobin", "hemoglobin", "Hgb", "g/dL", ("718-7",), (0.5, 35), "blood", {"g/L": 0.1, "mmol/L": 1.6114}),
    Lab("ptt", "partial thromboplastin time", "PTT", "s", ("14979-9", "3173-2"), (5, 400), "blood"),
    Lab("wbc", "white blood cells", "WBC", "10*3/uL", ("6690-2", "26464-8"), (0, 1000), "blood", {"10*9/L": 1}),
    Lab("fibrinogen", "fibrinogen", "Fibrinogen", "mg/dL", ("3255-7",), (5, 3000), "blood", {"g/L": 100}),
    Lab("platelets", "platelets", "Platelets", "10*3/uL", ("777-3", "26515-7"), (0.5, 5000), "blood", {"10*9/L": 1}),
)  # fmt: skip

#: Groups of tests that a clinician thinks of together; the unit in which a risk is explained.
LAB_GROUPS = ("gas", "liver", "kidney", "metabolic", "blood")

_PER_LAB = ("{}", "{}_hours_ago", "{}_change", "{}_count_24h")
LAB_FEATURES: tuple[str, ...] = tuple(name.format(lab.name) for lab in LABS for name in _PER_LAB)
_EACH = len(_PER_LAB)
_COUNT = len(LABS)
_BY_LOINC = {code: index for index, lab in enumerate(LABS) for code in lab.loinc}


def index_of_loinc(code: str) -> int | None:
    """Column of the test that is sent under a LOINC code; None = Vigil has no use for it.

    >>> LABS[index_of_loinc("2524-7")].name
    'lactate'
    """
    return _BY_LOINC.get(code)


def to_thousandths(lab: int, value: float, unit: str | None) -> int | None:
    """Turn a result into whole thousandths of the unit that is kept.

    Args:
        lab: column in `LABS`.
        value: as it was sent.
        unit: its UCUM code; None = the table's.

    Returns:
        The value; None where it is not plausible, and so does not count.

    Raises:
        ValueError: the unit is none that this test comes in.

    >>> to_thousandths(index_of_loinc("2160-0"), 88.4, "umol/L")
    1000
    """
    test = LABS[lab]
    factor = 1.0 if unit in (None, test.unit) else test.also.get(str(unit))
    if factor is None:
        raise ValueError(f"unit of {test.loinc[0]} is none of {', '.join([test.unit, *test.also])}")
    converted = value * factor
    low, high = test.plausible
    # an infinity or NaN fails, too
    return round(converted * LAB_SCALE) if low <= converted <= high else None


@kernel
def lab_features(
    results: NDArray[np.int64],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    seen: NDArray[np.int64],
    at_ms: NDArray[np.int64],
    out: NDArray[np.float64],
) -> None:
    """Compute the features of the results that each reading knows.

    Args:
        results: test, observed time, thousandths and number of arrival (0, 1, …) of results, those
            of a patient one after the other, of one test in the order of their observed times,
            shape [m, 4].
        begins: first result of each reading's patient, shape [n].
        ends: the one after the last, shape [n].
        seen: results that had arrived when the reading was first scored, shape [n].
        at_ms: observed times of the readings, shape [n].
        out: filled, in the order of `LAB_FEATURES`, NaN = not known, shape [n, features].
    """
    for i in range(len(at_ms)):
        row = out[i]
        for lab in range(_COUNT):
            row[lab * _EACH] = math.nan
            row[lab * _EACH + 1] = math.nan
            row[lab * _EACH + 2] = math.nan
            row[lab * _EACH + 3] = 0.0
        known = False
        for r in range(begins[i], ends[i]):
            if results[r, NUMBER] >= seen[i] or results[r, AT_MS] > at_ms[i]:
                continue
            known = True
            at = results[r, LAB] * _EACH
            value = results[r, VALUE] / LAB_SCALE
            row[at + 2] = value - row[at]  # NaN where it is the first
            row[at] = value
            age = at_ms[i] - results[r, AT_MS]
            row[at + 1] = age / HOUR_MS
            if age < 24 * HOUR_MS:
                row[at + 3] += 1
        if not known:  # no laboratory, rather than one that measured nothing
            for lab in range(_COUNT):
                row[lab * _EACH + 3] = math.nan
