"""Whom to call in a region, and the words for it."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import Field

from rag.safety.rules import Strict, read
from rag.safety.source import Source

__all__ = ["Numbers", "Region"]


class Region(Strict):
    """Whom to call.

    Attributes:
        emergency: number of the emergency services, or words for it.
        crisis: of those who listen.
        poison: of those who know poisons; empty where it is not certain.
        abuse: of those who help against violence; empty where it is not certain.
        source: where the numbers stand.
    """

    emergency: str = Field(min_length=3)
    crisis: str = Field(min_length=3)
    poison: str = ""
    abuse: str = ""
    source: str = ""


class Texts(Strict):
    """Words for people, with ``{emergency}`` and so on in them."""

    emergency: str
    poison: str
    crisis: str
    abuse: str


#: What a text may name; and what it has to: without it nobody would be told whom to call.
_NAMES = ("emergency", "crisis", "poison", "abuse")
_NEEDED = {name: f"{{{name}}}" for name in _NAMES}


def _check(texts: Texts, source: Source) -> None:
    """Find what would fail, or tell no number, when somebody needs help.

    Raises:
        RulesError: a text names what there is not, or leaves out its number.
    """
    for name, text in texts.model_dump().items():
        place, needed = ("texts", name), _NEEDED[name]
        try:
            told = text.format_map(_NEEDED)
        except (KeyError, ValueError, IndexError, AttributeError):
            raise source.wrong(
                place,
                f"texts.{name}: something in braces is none of {', '.join(_NEEDED.values())}: "
                "write one of these",
            ) from None
        if needed not in told:
            raise source.wrong(place, f"texts.{name}: it tells no number: put {needed} in")


class NumbersFile(Strict):
    """``config/emergency_numbers.yaml``."""

    version: str
    last_checked: date
    default: Region
    regions: Mapping[str, Region]
    texts: Texts


class Numbers:
    """The texts of a region.

    Args:
        region: code as in the file; None or an empty text: the general words.
        path: another file than the one that ships.

    Raises:
        ValueError: the file does not have the region.
        RulesError: the file is wrong, or cannot be read.
    """

    def __init__(self, region: str | None = None, path: Path | None = None) -> None:
        content, source = read(NumbersFile, "emergency_numbers.yaml", path)
        _check(content.texts, source)
        code = (region or "").strip().upper()
        code = {"UK": "GB", "USA": "US"}.get(code, code)
        if code and code not in content.regions:
            known = ", ".join(sorted(content.regions))
            raise ValueError(
                f"no emergency numbers for the region {region!r}: set VIGIL_REGION to one of "
                f"{known}, or leave it out for general words"
            )
        self.version = content.version
        self.region = content.regions[code] if code else content.default
        self._texts = content.texts

    def text(self, rules: tuple[str, ...]) -> str:
        """What people are told.

        Args:
            rules: ids of those that matched.
        """
        said: list[str] = []
        if any(rule.startswith("emergency/") for rule in rules):
            said.append(self._texts.emergency)
            if "emergency/poisoning" in rules and self.region.poison:
                said.append(self._texts.poison)
        if any(rule.startswith("crisis/") for rule in rules):
            said.append(self._texts.crisis)
            if "crisis/abuse" in rules and self.region.abuse:
                said.append(self._texts.abuse)
        words = self.region.model_dump()
        return "\n\n".join(each.format_map(words) for each in said)
