"""Messages that people might write, by the set they came in: what the net is fitted on or not."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.retrieval_sets import Part, message_set
from rag.documents import Document
from rag.safety.net import CLASSES
from rag.safety.pieces import pieces

__all__ = [
    "NONE",
    "SETS",
    "Message",
    "long_winded",
    "padded",
    "read_questions",
    "read_sets",
    "shares",
]

SETS = Path(__file__).parents[1] / "tests" / "data" / "safety"
#: The kind of a message that is not urgent.
NONE = "none"
_HELD_OUT = "held_out"


class Message(NamedTuple):
    """One message.

    Attributes:
        of: the set that it is in; of the corpus's questions ``questions``.
        kind: emergency, crisis or none.
        text: as it was written.
    """

    of: str
    kind: str
    text: str


def read_sets(folder: Path = SETS, *, held_out: bool = False) -> list[Message]:
    """Read the messages of the sets.

    Args:
        folder: of files with a kind, a tab and a message on each line.
        held_out: those that are only measured, instead of those that are fitted on.
    """
    return [
        Message(path.stem, *line.split("\t", 1))
        for path in sorted(folder.glob("*.tsv"))
        if path.stem.startswith(_HELD_OUT) == held_out
        for line in path.read_text("utf-8").splitlines()
    ]


def read_questions(path: Path, count: int, seed: int = 1) -> list[Message]:
    """Draw questions of a corpus at random; none of them is urgent.

    Args:
        path: ``documents.jsonl`` of a corpus's folder.
        count: at most.
        seed: of the draw.
    """
    with path.open(encoding="utf-8") as lines:
        titles = sorted({str(json.loads(line)["title"]) for line in lines} - {""})
    drawn = random.Random(seed).sample(titles, min(count, len(titles)))
    return [Message("questions", NONE, title) for title in drawn]


def long_winded(path: Path, part: Part, count: int, seed: int = 2) -> list[Message]:
    """Write long messages around questions of a corpus, whole and in pieces; none is urgent.

    Args:
        path: ``documents.jsonl`` of a corpus's folder.
        part: whether they are fitted on or reported.
        count: of whole messages.
        seed: of the draw.
    """
    with path.open(encoding="utf-8") as lines:
        documents = [Document(**json.loads(line)) for line in lines]
    asked = [each.query for each in message_set(documents, part, count, seed)]
    return [Message("questions", NONE, piece) for text in asked for piece in pieces(text)]


def padded(
    messages: Sequence[Message], stories: Sequence[Message], count: int, seed: int = 3
) -> list[Message]:
    """Put what is not to the point before or behind messages; they stay as urgent as they were.

    Args:
        messages: of any kind.
        stories: that are not urgent.
        count: of messages drawn.
        seed: of the draw.
    """
    draw = random.Random(seed)
    found = []
    for message in draw.sample(messages, min(count, len(messages))):
        parts = [draw.choice(stories).text, message.text]
        draw.shuffle(parts)
        found.append(message._replace(text=" ".join(parts)))
    return found


def shares(
    messages: Sequence[Message], urgent: NDArray[np.bool_]
) -> dict[str, dict[str, tuple[int, int]]]:
    """How many were found and how many there are, by set and kind; ``all`` is every set.

    Args:
        messages: measured.
        urgent: whether each was found.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for name in [*sorted({message.of for message in messages}), "all"]:
        for kind in (*CLASSES, NONE):
            of = np.array([name in (m.of, "all") and m.kind == kind for m in messages])
            if of.any():
                found.setdefault(name, {})[kind] = (int(urgent[of].sum()), int(of.sum()))
    return found
