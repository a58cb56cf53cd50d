"""A message as the rules read it: plain lower-case words, each with its place in the original.

People write "Can't BREATHE", "cant breath", "chest" with an invisible character in it, "h3art", or
in letters that only look Latin. Rules would need a pattern for each; here all are the same words.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Plain", "Word", "plain"]


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a message.

    Attributes:
        text: lower case, ASCII letters and digits; or one of the marks ``. ? ! ,``.
        start: offset in the original message of its first character.
        end: offset after its last.
    """

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Plain:
    """A message in plain words.

    Attributes:
        words: in their order; words that one contraction stands for share their place.
        text: the words with single spaces between them and one at each end.
        places: for each character of ``text`` the number of its word.
    """

    words: tuple[Word, ...]
    text: str
    places: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the original of ``text[start:end]``.

        Raises:
            ValueError: there is no word in it.
        """
        inside = [number for number in self.places[start:end] if number >= 0]
        if not inside:
            raise ValueError("the span has no word")
        return self.words[inside[0]].start, self.words[inside[-1]].end


#: Letters of other scripts that look like Latin ones (Unicode confusables, those of Cyrillic and
#: Greek that are met in messages).
_LOOK_ALIKE = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501"
    "\u051b\u051d\u044c\u0432\u043d\u043a\u043c\u0442\u0433\u03b7\u03b1\u03bf"
    "\u03b5\u03b9\u03bd\u03c1\u03c4\u03c5\u03ba\u03c7\u03c9\u04cf\u0131",
    "aeopcyxijshdqwbbhkmtrnaoeivptukxwli",
)
_APOSTROPHES = dict.fromkeys(map(ord, "\u2019\u2018\u02bc`\u00b4\uff07"), "'")
_LEET = str.maketrans("013457@$", "oieastas")

_EMOJI = {
    "\U0001fa78": "blood", "\U0001f198": "help", "\U0001f930": "pregnant",
    "\U0001f476": "baby", "\U0001f48a": "pills", "\U0001f52a": "knife",
    "\U0001f418": "elephant", "\U0001f691": "ambulance", "\U0001f52b": "gun",
}  # fmt: skip

_TOKEN = re.compile(
    r"(?P<short>\b(?:w/o|c/o|h/o|y/o|s/p|o/e|n/v|b/c)(?![a-z]))"
    r"|(?P<number>\d+(?:[.,]\d+)?(?:/\d+)?(?![\d]))(?P<unit>[a-z]+)?"
    r"|(?P<word>[a-z@$][a-z0-9@$]*(?:'[a-z]+)*)"
    r"|(?P<pause>\.\.+|\u2026|[,:()\"]|\s[-\u2013\u2014]+\s|\u2014)"
    r"|(?P<query>(?:(?<=\s)|^)\?(?=[a-z]))"
    r"|(?P<stop>[.;\n?!])"
    rf"|(?P<emoji>[{''.join(_EMOJI)}])"
)

_SHORT = {
    "w/o": "without", "c/o": "complains of", "h/o": "history of", "y/o": "years old",
    "s/p": "after", "o/e": "on examination", "n/v": "vomiting", "b/c": "because",
}  # fmt: skip

#: What contractions and text-speak stand for. Without the apostrophe too.
_STANDS_FOR = {
    "can't": "cannot", "cant": "cannot", "cnt": "cannot", "cann't": "cannot", "carnt": "cannot",
    "couldn't": "could not", "couldnt": "could not", "won't": "will not", "wont": "will not",
    "don't": "do not", "dont": "do not", "dnt": "do not", "doesn't": "does not",
    "doesnt": "does not", "dosent": "does not", "dosnt": "does not", "didn't": "did not",
    "didnt": "did not", "isn't": "is not", "isnt": "is not", "aint": "is not", "ain't": "is not",
    "aren't": "are not", "arent": "are not", "wasn't": "was not", "wasnt": "was not",
    "weren't": "were not", "haven't": "have not", "havent": "have not", "hasn't": "has not",
    "hasnt": "has not", "hadn't": "had not", "hadnt": "had not", "wouldn't": "would not",
    "wouldnt": "would not", "shouldn't": "should not", "shouldnt": "should not",
    "i'm": "i am", "im": "i am", "i've": "i have", "ive": "i have", "i'd": "i would",
    "i'll": "i will", "he's": "he is", "hes": "he is", "she's": "she is", "shes": "she is",
    "it's": "it is", "that's": "that is", "thats": "that is", "there's": "there is",
    "theres": "there is", "what's": "what is", "whats": "what is", "who's": "who is",
    "they're": "they are", "theyre": "they are", "they've": "they have", "we're": "we are",
    "we've": "we have", "you're": "you are", "youre": "you are", "he'd": "he would",
    "she'd": "she would", "he'll": "he will", "she'll": "she will", "they'll": "they will",
    "you've": "you have", "how's": "how is", "where's": "where is", "let's": "let us",
    "everyone's": "everyone is", "someone's": "someone is", "nothing's": "nothing is",
    "u": "you", "ur": "your", "r": "are", "plz": "please", "pls": "please", "rn": "right now",
    "bc": "because", "cuz": "because", "coz": "because", "gonna": "going to", "gona": "going to",
    "wanna": "want to", "wana": "want to", "gotta": "have to", "tryna": "trying to",
    "shud": "should", "shld": "should", "wud": "would", "takin": "taking", "thru": "through",
    "lemme": "let me", "idk": "i do not know", "kys": "kill yourself", "kms": "kill myself",
    "b4": "before", "2day": "today", "2nite": "tonight", "tmrw": "tomorrow", "sum1": "someone",
    "any1": "anyone", "every1": "everyone", "ppl": "people", "hx": "history", "pmh": "history",
    "pmhx": "history", "fhx": "family history", "cp": "chest pain", "od'd": "overdosed",
    "oded": "overdosed", "od'ed": "overdosed", "od": "overdose", "ods": "overdose",
    "abdo": "abdominal", "pts": "patients", "yo": "years old", "yr": "year", "yrs": "years",
    "mins": "minutes", "hrs": "hours", "hr": "heart rate", "bpm": "heart rate",
    "mom": "mum", "mommy": "mum", "mummy": "mum", "mama": "mum", "mam": "mum",
}  # fmt: skip


def plain(message: str, known: Callable[[str], bool], corrected: Callable[[str], str]) -> Plain:
    """Read a message.

    Args:
        message: as it was written.
        known: whether the rules know a word.
        corrected: the word, or the one of the rules that was meant; may be two, with a space.
    """
    letters, offsets = _letters(message)
    words: list[Word] = []
    for found in _TOKEN.finditer(letters):
        start, end = offsets[found.start()], offsets[found.end() - 1] + 1
        words.extend(Word(text, start, end) for text in _texts(found, known, corrected))
    words = _spelled_out(words)
    places: list[int] = [-1]
    for number, word in enumerate(words):
        places += [number] * len(word.text)
        places.append(-1)
    text = " " + "".join(f"{word.text} " for word in words)
    if words and words[-1].text not in (".", "!", "?"):  # a message ends where it ends
        text, places = text + ". ", [*places, -1, -1]
    return Plain(tuple(words), text, tuple(places))


def _letters(message: str) -> tuple[str, list[int]]:
    """The message in lower-case Latin letters, and the offset in it of each."""
    if message.isascii():
        return message.lower(), list(range(len(message)))
    letters: list[str] = []
    offsets: list[int] = []
    for offset, character in enumerate(message):
        if character.isascii():
            letters.append(character.lower())
            offsets.append(offset)
            continue
        for part in unicodedata.normalize("NFKD", character).casefold():
            if unicodedata.category(part) in ("Cf", "Mn", "Me", "Cc"):
                continue
            letters.append(part.translate(_APOSTROPHES).translate(_LOOK_ALIKE))
            offsets.append(offset)
    return "".join(letters), offsets


def _texts(
    found: re.Match[str], known: Callable[[str], bool], corrected: Callable[[str], str]
) -> list[str]:
    text = found.group()
    match found.lastgroup:
        case "short":
            return _SHORT[text].split()
        case "number" | "unit":
            number, unit = found["number"].replace(",", "."), found["unit"] or ""
            if number.endswith("/40") and len(number) == 5:  # weeks of a pregnancy
                return [number[:2], "weeks", "gestation", *_word(unit, known, corrected)]
            if unit:
                if text in _STANDS_FOR:
                    return _STANDS_FOR[text].split()
                letters = text.translate(_LEET)
                if letters.isalpha() and known(letters):
                    return [letters]
            return [number, *_word(unit, known, corrected)] if unit else [number]
        case "pause":
            return [","]
        case "query":
            return ["query"]
        case "stop":
            return ["." if text in ";\n" else text]
        case "emoji":
            return [_EMOJI[text]]
    return _word(text, known, corrected)


def _word(text: str, known: Callable[[str], bool], corrected: Callable[[str], str]) -> list[str]:
    if not text:
        return []
    if text in _STANDS_FOR:
        return _STANDS_FOR[text].split()
    text = text.partition("'")[0]  # mum's: whether it is hers or she is, the rules read "mum"
    if known(text):
        return [text]
    if not text.isalpha():
        letters = text.translate(_LEET)
        return [letters] if letters.isalpha() and known(letters) else [text]
    if len(text) > 3:
        for times in (2, 1):
            shorter = re.sub(r"(.)\1{2,}", r"\1" * times, text)
            if known(shorter):
                return [shorter]
    fixed = corrected(text)
    return [part for each in fixed.split() for part in _STANDS_FOR.get(each, each).split()]


def _spelled_out(words: list[Word]) -> list[Word]:
    """``c h e s t`` is one word; "2" before a verb is "to"."""
    joined: list[Word] = []
    at = 0
    while at < len(words):
        end = at
        while end < len(words) and len(words[end].text) == 1 and words[end].text.isalpha():
            end += 1
        if end - at >= 4:
            text = "".join(word.text for word in words[at:end])
            joined.append(Word(text, words[at].start, words[end - 1].end))
            at = end
            continue
        word = words[at]
        if word.text == "2" and joined and joined[-1].text in ("want", "going", "need", "trying"):
            word = Word("to", word.start, word.end)
        joined.append(word)
        at += 1
    return joined
