"""The words a clinician reads, from ``guidance.toml``."""

import tomllib
from functools import lru_cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

__all__ = ["Guidance", "guidance"]


class Guidance(BaseModel):
    """Texts, checked when they are loaded.

    Attributes:
        version: changes with every text.
        disclaimer: stands on every recommendation.
        next_steps: what to do, per tier.
        groups: name of each group of features.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    disclaimer: str
    next_steps: dict[str, list[str]]
    groups: dict[str, str]


@lru_cache(maxsize=1)
def guidance() -> Guidance:
    """Return the texts.

    Raises:
        pydantic.ValidationError: the file is not what `Guidance` says.
    """
    return Guidance.model_validate(
        tomllib.loads(files("config").joinpath("guidance.toml").read_text())
    )
