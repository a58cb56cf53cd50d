"""Patients at a path, whatever it holds: recorded ones, a side of a split, or a collected set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.cohort import read_stays
from models.dataset import Dataset, featurise
from models.lesson_sets import is_lesson_set, newest, read_lesson_set
from models.split import side_facts
from models.stay import Stay

__all__ = ["Patients", "read_patients"]


@dataclass(frozen=True, slots=True, eq=False)
class Patients:
    """Patients to train on or to compare on.

    Attributes:
        stays: of the patients.
        featurise: makes the features of stays.
        facts: where they are from, for a model's manifest; see `models.promotion.unseen`.
        began_ms: first reading of a patient, ms since 1970, where it is known.
    """

    stays: list[Stay]
    featurise: Callable[[Sequence[Stay]], Dataset] = featurise
    facts: Mapping[str, Any] = field(default_factory=dict)
    began_ms: Mapping[str, int] = field(default_factory=dict)


def read_patients(path: Path) -> Patients:
    """Read the patients at a path.

    Args:
        path: a collected set (``DIR/v2``), a folder of such sets (the newest is taken), a side of
            a split, or anything that `models.cohort.read_stays` reads.

    Raises:
        ValueError: nothing of an accepted shape is there, or it is not what its manifest says.
    """
    folder = path
    if path.is_dir() and not is_lesson_set(path) and (path / "v1").is_dir():
        folder = newest(path) or path
    if is_lesson_set(folder):
        found = read_lesson_set(folder)
        return Patients(found.stays, found.featurise, found.facts, found.began_ms)
    return Patients(read_stays(path), facts=side_facts(path))
