"""Words as the lexical index sees them: lower case, without accents and endings."""

import re
import threading
import unicodedata
from functools import lru_cache
from importlib import import_module
from typing import Any

__all__ = ["STOP_WORDS", "plain", "stem", "stems", "words"]

#: Words that say nothing of what a text is about.
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
    a about after again all also am an and any anybody anyone are as at be because been before
    being but by can could did do does doing don down during each few for from further get gets
    getting give go going got had has have having he her here him himself his how however i if
    in into is it its itself just know like made make many may maybe me mean might more most
    much must my myself no nor not now of off on once one only or other our out over own please
    really s same see she should so some somebody someone such t tell than thank thanks that the
    their them then there these they thing things this those though to too up us use very want
    was we were what when where whether which while who whom why will with would you your yours
    """,
    )
)

_WORD = re.compile(r"[a-z0-9]+")
# it ships no types
_stemmer: Any = import_module("Stemmer").Stemmer("english")
# a stemmer keeps its last word in itself: two threads would get each other's
_stemming = threading.Lock()


def plain(text: str) -> str:
    """Lower case, without accents and apostrophes: "Sjögren's" → "sjogrens"."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
        text = "".join(each for each in text if not unicodedata.combining(each))
    return text.lower().replace("'", "")


def words(text: str) -> list[str]:
    """Split a text into words, stop words and all."""
    return _WORD.findall(plain(text))


@lru_cache(200_000)
def stem(word: str) -> str:
    """Cut a word's ending off: "treatments" → "treatment"."""
    with _stemming:
        return str(_stemmer.stemWord(word))


def stems(text: str) -> list[str]:
    """Stems of a text's words, in order, without stop words."""
    return [stem(word) for word in words(text) if word not in STOP_WORDS]
