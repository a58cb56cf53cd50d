"""The vital signs Vigil knows: names on the wire, units, codes, and what a sensor can report.

One table. Features, event models, replay, board and checks all read it, so a vital sign is added
in one place.

Two ranges decide what becomes of a value (rule ``vitals-ranges/1``):

* outside ``possible``: no sensor on a human being reports this; the record is corrupt and goes to
  the dead letters whole, because the other values on it are not to be trusted either;
* inside ``possible`` but outside ``plausible``: the value is left out of the features and the
  recommendation carries a data-quality flag.

The ranges are wide on purpose. The plausible ones hold every extreme seen in the 40,336 patients
of the PhysioNet/CinC Challenge 2019 that a clinician could defend; the possible ones add a margin
for sensors, not for physiology.
"""

from dataclasses import dataclass

__all__ = ["MISSING", "RANGES_RULE", "SCALE", "VITALS", "WIRE_NAMES", "VitalSign", "index_of"]

RANGES_RULE = "vitals-ranges/1"

#: Values are kept as whole hundredths of their unit. Sums of integers are exact in any order, so a
#: window does not depend on the order in which its readings arrived.
SCALE = 100

#: "Not known", of a value in hundredths and of a time in milliseconds.
MISSING = -(2**63)


@dataclass(frozen=True, slots=True)
class VitalSign:
    """One vital sign.

    Attributes:
        name: short name, used in features and in text.
        wire: field name on the topic ``vitals``: the ISO/IEEE 11073-10101 reference id of the
            metric with the suffix ``_Result`` of the original feed.
        label: the name a clinician reads.
        unit: UCUM code.
        loinc: LOINC code.
        column: column in the PhysioNet/CinC 2019 files, or None where they have no such column.
        plausible: lowest and highest value that counts, inclusive.
        possible: lowest and highest value a record may carry, inclusive.
    """

    name: str
    wire: str
    label: str
    unit: str
    loinc: str
    column: str | None
    plausible: tuple[float, float]
    possible: tuple[float, float]


#: In the order of the state's columns. Appending is safe; reordering changes the state's format.
VITALS: tuple[VitalSign, ...] = (
    VitalSign("heart_rate", "MDC_ECG_HEART_RATE_Result", "heart rate", "/min", "8867-4", "HR", (15, 320), (0, 500)),
    VitalSign("pulse_rate", "MDC_PULS_OXIM_PULS_RATE_Result", "pulse rate", "/min", "8889-8", None, (15, 320), (0, 500)),
    VitalSign("resp_rate", "MDC_TTHOR_RESP_RATE_Result", "respiratory rate", "/min", "9279-1", "Resp", (1, 100), (0, 200)),
    VitalSign("temperature", "MDC_TEMP_Result", "temperature", "Cel", "8310-5", "Temp", (20, 46), (0, 120)),
    VitalSign("spo2", "MDC_PULS_OXIM_SAT_O2_Result", "oxygen saturation", "%", "59408-5", "O2Sat", (20, 100), (0, 100)),
    VitalSign("sbp", "MDC_PRESS_BLD_NONINV_SYS_Result", "systolic blood pressure", "mm[Hg]", "8480-6", "SBP", (20, 300), (0, 400)),
    VitalSign("dbp", "MDC_PRESS_BLD_NONINV_DIA_Result", "diastolic blood pressure", "mm[Hg]", "8462-4", "DBP", (5, 300), (0, 400)),
    VitalSign("map", "MDC_PRESS_BLD_NONINV_MEAN_Result", "mean arterial pressure", "mm[Hg]", "8478-0", "MAP", (10, 300), (0, 400)),
)  # fmt: skip

WIRE_NAMES: tuple[str, ...] = tuple(vital.wire for vital in VITALS)


def index_of(name: str) -> int:
    """Column of the vital sign called ``name`` in a row of values.

    Raises:
        KeyError: there is no such vital sign.

    >>> index_of("temperature")
    3
    """
    for index, vital in enumerate(VITALS):
        if vital.name == name:
            return index
    raise KeyError(f"no vital sign is called {name!r}; known: {', '.join(v.name for v in VITALS)}")
