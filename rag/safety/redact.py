"""Identifiers taken out of a text before it leaves the process.

Patterns only: detectors of persons by a model take drugs and diseases for names. What is replaced
is what says itself to be an identifier (a title, "my name is", "MRN", a check digit that is right);
numbers of medicine (120/80, 38.5, dates of trials) stay.
"""

# ruff: noqa: E501, RUF001 - one identifier a line reads better wide

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Redacted", "redact"]


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without identifiers.

    Attributes:
        text: with ``[NAME-1]`` in the place of each; the same identifier has the same one.
        counts: how many of each kind were replaced; safe for a log.
    """

    text: str
    counts: Mapping[str, int]


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)


def _nhs(text: str) -> bool:
    """Whether a number is one of the NHS: ten digits, the last a check of the rest (modulus 11)."""
    digits = _digits(text)
    if len(digits) != 10 or len(set(digits)) == 1:
        return False
    check = 11 - sum(int(d) * (10 - n) for n, d in enumerate(digits[:9])) % 11
    return check % 11 == int(digits[9]) and check != 10


def _card(text: str) -> bool:
    """Whether a number is a card's (Luhn)."""
    digits = _digits(text)
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    total = sum(
        sum(divmod(int(d) * 2, 10)) if n % 2 else int(d) for n, d in enumerate(reversed(digits))
    )
    return total % 10 == 0


def _iban(text: str) -> bool:
    """Whether it is an IBAN (ISO 13616, modulus 97)."""
    plain = re.sub(r"\s", "", text).upper()
    if not 15 <= len(plain) <= 34:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1


def _ssn(text: str) -> bool:
    """Whether the US could have given such a number."""
    area, group, serial = text.split("-") if "-" in text else text.split()
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _phone(text: str) -> bool:
    return 8 <= len(_digits(text)) <= 15


#: A capital and letters, or initials. Several make a name.
_NAME = r"(?:[A-Z]['’])?[A-Z][a-zà-öø-ÿ]+(?:['’-][A-Z]?[a-zà-öø-ÿ]+)*"
_NAMES = rf"{_NAME}(?:\s+(?:(?:van|von|de|del|da|der|den|bin|al|el|la)\s+)*(?:{_NAME}|[A-Z]\.?(?=\s|$)))*"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]*"
_DATE = (
    rf"(?:\d{{1,2}}[./ -](?:\d{{1,2}}|{_MONTH})[./ -]\d{{2,4}}|\d{{4}}-\d{{2}}-\d{{2}}"
    rf"|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?\s+{_MONTH},?\s+\d{{4}})"
)
_ID = r"[A-Z]{0,4}[-/]?\d[\dA-Z-]{2,17}"

_Check = Callable[[str], bool]

#: Kind, pattern (what is replaced is the group ``id``, or all of it), and a check of it.
_RULES: tuple[tuple[str, re.Pattern[str], _Check | None], ...] = (
    ("EMAIL", re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), None),
    ("URL", re.compile(r"(?:https?://|www\.)[^\s<>\"')\]]+", re.I), None),
    ("IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"), _iban),
    ("CARD", re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.]*\d)"), _card),
    ("IP", re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)"), _ip),
    ("IP", re.compile(r"(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}(?![\w:])", re.I), _ip),
    (
        "SSN",
        re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])|(?:\bssn\W+)(?P<id>\d{3} \d{2} \d{4})", re.I),
        _ssn,
    ),
    (
        "NHS",
        re.compile(r"\bNHS\s*(?:number|no\.?|#)?\s*(?:is)?[:\s]*(?P<id>\d{3}[ -]?\d{3}[ -]?\d{4})", re.I),
        None,
    ),
    ("NHS", re.compile(r"(?<![\d.+-])\d{3}[ -]?\d{3}[ -]?\d{4}(?![\d-])"), _nhs),
    (
        "ID",
        re.compile(
            r"\b(?:MRN|medical record(?: number| no\.?)?|patient(?:'s)? (?:id|number|no\.?)"
            r"|hospital (?:id|number|no\.?)|record (?:number|no\.?)|insurance (?:id|number|no\.?)"
            r"|policy (?:number|no\.?)|account (?:number|no\.?)|case (?:number|no\.?)|passport(?: number| no\.?)?"
            r"|encounter id|chart (?:number|no\.?)|member id|driving licence(?: number)?"
            rf"|driver'?s license(?: number)?)\s*(?:is|was)?[\s:#=]*(?P<id>{_ID})",
            re.I,
        ),
        None,
    ),
    (
        "BIRTH",
        re.compile(
            rf"\b(?:d\.?o\.?b\.?|date of birth|born(?: on)?|birth ?date|birthday)\s*(?:is|was|on)?[\s:]*(?P<id>{_DATE})",
            re.I,
        ),
        None,
    ),
    (
        "PHONE",
        re.compile(
            r"(?<![\w.+/-])(?:\+\d{1,3}[ .-]?(?:\(0\))?(?:[ .-]?\(?\d{1,4}\)?){2,5}"
            r"|\(\d{3}\) ?\d{3}[ .-]\d{4}|\d{3}[.-]\d{3}[.-]\d{4}|0\d{3,4}[ -]\d{3}[ -]?\d{3,4}|0\d{10})"
            r"(?![\w/-]|\.\d)"
        ),
        _phone,
    ),
    (
        "PHONE",
        re.compile(
            r"\b(?:phone|tel|telephone|mobile|cell|fax|call me (?:at|on)|ring me on|reach me (?:at|on)"
            r"|my number)(?: number)?\s*(?:is)?[\s:.]*(?P<id>\+?\(?\d[\d ().-]{5,16}\d)",
            re.I,
        ),
        _phone,
    ),
    ("POSTCODE", re.compile(r"\b[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}\b"), None),
    (
        "ADDRESS",
        re.compile(
            r"\b\d{1,5}[a-zA-Z]?,? (?:[A-Z][\w'’-]+\.? ){1,4}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive"
            r"|Dr|Close|Court|Ct|Boulevard|Blvd|Way|Place|Pl|Square|Terrace|Crescent|Gardens|Highway|Hwy|Parkway)"
            r"\b\.?(?:,? (?:Apt|Apartment|Flat|Suite|Unit)\.? ?\w+)?"
            r"(?:,? [A-Z][a-z]+(?: [A-Z][a-z]+)?,? [A-Z]{2} \d{5}(?:-\d{4})?)?"
        ),
        None,
    ),
    ("POSTCODE", re.compile(r"\b(?:AL|AK|AZ|AR|CA|CO|CT|DC|DE|FL|GA|HI|IA|ID|IL|IN|KS|KY|LA|MA|MD|ME|MI|MN|MO|MS|MT|NC|ND|NE|NH|NJ|NM|NV|NY|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VA|VT|WA|WI|WV|WY) (?P<id>\d{5}(?:-\d{4})?)\b"), None),
    ("POSTCODE", re.compile(r"\b(?:zip(?: code)?|post ?code|postal code)\s*(?:is)?[\s:]*(?P<id>(?=[A-Z -]*\d)[A-Z\d][A-Z\d -]{2,8}[A-Z\d])\b", re.I), None),
    (
        "NAME",
        re.compile(
            rf"\b(?i:my name is|my name's|name is|i am called|patient name|name of the patient(?: is)?|patient's name is|signed,?"
            rf"|(?:first|last|full|sur)\s?name)[:\s]+(?P<id>{_NAMES})"
        ),
        None,
    ),
    ("NAME", re.compile(r"\b(?i:my name is|my name's)\s+(?P<id>[a-z]+(?: (?!and\b|i\b|my\b|but\b)[a-z]+)?)"), None),
    ("NAME", re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Dame|Sister|Nurse)\b\.?\s+(?P<id>{_NAMES})"), None),
    ("NAME", re.compile(rf"^\s*(?:Patient|Pt|Name|Resident|Client)\s*:\s*(?P<id>{_NAMES})", re.M), None),
)  # fmt: skip


def redact(text: str, known: Iterable[str] = ()) -> Redacted:
    """Replace identifiers.

    Args:
        text: a question, a summary, whatever is to leave the process.
        known: identifiers of the patient whom it is about; found wherever they stand as words, in
            upper or lower case.

    Returns:
        The text, and how much was replaced by kind. Redacting it again changes nothing.
    """
    found: list[tuple[int, int, str]] = []
    for each in sorted({name.strip() for name in known} - {""}, key=len, reverse=True):
        pattern = re.compile(rf"(?<!\w){re.escape(each)}(?!\w)", re.I)
        found += [(*match.span(), "PATIENT") for match in pattern.finditer(text)]
    for kind, pattern, check in _RULES:
        for match in pattern.finditer(text):
            group = "id" if "id" in pattern.groupindex and match["id"] else 0
            if check is None or check(match[group]):
                found.append((*match.span(group), kind))
    numbers: dict[tuple[str, str], int] = {}
    last: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    parts: list[str] = []
    at = 0
    order = {"PATIENT": 0}
    for start, end, kind in sorted(
        found, key=lambda each: (each[0], order.get(each[2], 1), -each[1])
    ):
        if start < at or "[" in text[start:end]:
            continue
        key = (kind, re.sub(r"\W", "", text[start:end]).casefold())
        if key not in numbers:
            last[kind] += 1
            numbers[key] = last[kind]
        counts[kind] += 1
        parts += [text[at:start], f"[{kind}-{numbers[key]}]"]
        at = end
    return Redacted("".join([*parts, text[at:]]), dict(counts))
