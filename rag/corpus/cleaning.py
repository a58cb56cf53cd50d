"""Text as it is kept: one form of each character, one space between words, no leftovers of HTML.

A document's text is cleaned once, when it comes in, and never changed afterwards: quotes are spans
of it. Whoever changes a rule here raises `VERSION`.
"""

import html
import re
import unicodedata

__all__ = ["VERSION", "clean", "clean_line", "normalised", "says_something", "without_html"]

#: Of the rules in this file; stands in every corpus's manifest.
VERSION = "1"

#: Control characters, surrogates, private use, invisible marks and marks of direction; line feed
#: and tab stay, and so do the joiners of scripts that need them.
_KEPT = {"\n", "\t", "\u200c", "\u200d"}
_DROPPED = {"Cc", "Cf", "Cs", "Co", "Cn"}
_PLAIN = re.compile(r"[\n\t\x20-\x7e]*")

_NEWLINES = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
_AROUND_NEWLINE = re.compile(r" ?\n ?")
_BLANK_LINES = re.compile(r"\n{3,}")
#: Three spaces or more before a dash or star: a list whose lines were run together.
_INLINE_ITEM = re.compile(r"(?<=\S)[^\S\n]{2,}[-*•][^\S\n]+(?=\S)")
_BULLET = re.compile(r"^(?:[*•▪◦‣·][ \t]*|[-\u2013][ \t]+)(?=\S)", re.MULTILINE)
#: A line that goes on in small letters on the next one was broken to fit a page.
_WRAPPED = re.compile(r"\n(?<=[^\n]{40}[^\n.!?:;]\n)(?=[a-z])")

#: Tags of HTML by name, so that "<5 mg" and "p < .05" stay.
_TAG = re.compile(
    r"</?(?:a|abbr|b|big|blockquote|br|center|cite|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|li|ol|p"
    r"|pre|q|s|section|small|span|strike|strong|sub|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul"
    r"|!--[^<>]*--)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_BREAKS = re.compile(
    r"</?(?:blockquote|br|dd|div|dl|dt|h[1-6]|hr|li|ol|p|pre|section|table|tr|ul)\b", re.IGNORECASE
)
_SILENT = re.compile(r"<(/?)(?:script|style)\b[^<>]*>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:[a-zA-Z][a-zA-Z0-9]{1,30}|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")

_NO_WORD = re.compile(r"[\W_]+")
_PLACEHOLDERS = {"", "n a", "na", "nan", "nil", "none", "null", "no answer", "tbd", "todo"}
_ONE_QUESTION = re.compile(r"[^.!?\n]*\?")


def clean(text: str) -> str:
    r"""Bring a text into the form that is kept; what is clean already stays as it is.

    Lines are kept where they carry structure: paragraphs, headings, items of a list.

    >>> clean("Fever\u00a0is\r\n common.   - cough    - chills ")
    'Fever is\ncommon.\n- cough\n- chills'
    """
    text = _NEWLINES.sub("\n", text)
    if not _PLAIN.fullmatch(text):
        text = "".join(c for c in text if c in _KEPT or unicodedata.category(c) not in _DROPPED)
        text = unicodedata.normalize("NFC", text)
    text = _INLINE_ITEM.sub("\n- ", text)
    text = _AROUND_NEWLINE.sub("\n", _SPACES.sub(" ", text)).strip()
    text = _BULLET.sub("- ", text)
    return _BLANK_LINES.sub("\n\n", _WRAPPED.sub(" ", text))


def clean_line(text: str) -> str:
    """Clean what is one line: a title, a focus, a name. A space before a "?" goes.

    >>> clean_line("What is (are)  Sepsis ?")
    'What is (are) Sepsis?'
    """
    line = " ".join(clean(text).split())
    return re.sub(r" ?\?(?: \?)*$", "?", line)


def without_html(text: str) -> str:
    """Take the tags of HTML out and turn entities into characters; other "<" stay.

    >>> without_html("<p>Take &lt;5 mg, p < .05</p>").strip()
    'Take <5 mg, p < .05'
    """
    if "<" in text:
        text = _TAG.sub(lambda tag: "\n" if _BREAKS.match(tag[0]) else "", _without_scripts(text))
    return _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text


def _without_scripts(text: str) -> str:
    """Take scripts and styles out, from a tag that begins one to the next that ends one."""
    kept: list[str] = []
    at, begun = 0, None
    for tag in _SILENT.finditer(text):
        if tag[1]:
            kept.append(text[at : tag.start() if begun is None else begun])
            at, begun = tag.end(), None
        elif begun is None:
            begun = tag.start()
    return "\n".join([*kept, text[at:]])


def normalised(text: str) -> str:
    """What of a text counts when two are compared: its words, without case or punctuation.

    >>> normalised("What is (are)  SEPSIS ?") == normalised("what is are sepsis")
    True
    """
    return _NO_WORD.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def says_something(text: str) -> bool:
    """Whether a text can answer: not empty, no placeholder, more than a question alone.

    >>> [says_something(text) for text in ("-", "N/A", "Is it inherited?", "Yes.")]
    [False, False, False, True]
    """
    if normalised(text) in _PLACEHOLDERS:
        return False
    return not _ONE_QUESTION.fullmatch(text.strip())
