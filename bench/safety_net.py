"""The net behind the rules of safety: fits ``rag/safety/net.json`` and measures it.

    python -m bench.safety_net --questions documents.jsonl --out rag/safety/net.json

Fitted on the sets of ``tests/data/safety`` that are not held out, and on a corpus's questions, none
of which is urgent. The thresholds come from cross-validation, a set of messages held out each time:
the more messages caught the better, while of harmless ones at most a share is wrongly found.
"""

import json
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.linear_model import LogisticRegression

from rag.encoder import Encoder, load_encoder
from rag.safety.emergencies import Emergencies
from rag.safety.net import CLASSES, FORMAT, grams, parse, urgency
from rag.safety.spelling import Spelling, common_words
from rag.safety.text import plain

__all__ = [
    "Messages",
    "Options",
    "cross_validated",
    "fitted",
    "main",
    "read_questions",
    "read_sets",
]

SETS = Path(__file__).parents[1] / "tests" / "data" / "safety"
_HELD_OUT = "held_out"
_NONE = "none"

_Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Options:
    """How it is fitted.

    Attributes:
        c: inverse strength of the regularisation.
        vector: scale of the vector beside words; larger is regularised less.
        fewest: messages that a word or pair must be in.
        questions: weight of each of the corpus's questions; a message's is 1.
        smallest: a word or pair whose weights are all below is left out of the file.
        share: of harmless messages that may be found wrongly.
    """

    c: float = 0.4
    vector: float = 2.0
    fewest: int = 3
    questions: float = 0.3
    smallest: float = 0.03
    share: float = 0.015


@dataclass(frozen=True, slots=True, eq=False)
class Messages:
    """Messages, and what is known of them.

    Attributes:
        sets: the set of each.
        kinds: emergency, crisis, none.
        texts: as they were written.
        vectors: of the encoder, shape [n, 384].
        found: whether a rule finds something.
        against: whether a rule matched and what stood around it spoke against it.
    """

    sets: NDArray[np.str_]
    kinds: NDArray[np.str_]
    texts: tuple[str, ...]
    vectors: NDArray[np.float32]
    found: NDArray[np.bool_]
    against: NDArray[np.bool_]

    @classmethod
    def of(
        cls, rows: Sequence[tuple[str, str, str]], rules: Emergencies, encoder: Encoder
    ) -> "Messages":
        """Read them with the rules and encode them.

        Args:
            rows: set, kind and text of each.
            rules: as they ship.
            encoder: as it answers.
        """
        looks = [rules.look(text) for *_, text in rows]
        return cls(
            np.array([row[0] for row in rows]),
            np.array([row[1] for row in rows]),
            tuple(row[2] for row in rows),
            encoder.encode([row[2] for row in rows]),
            np.array([bool(matches) for matches, _ in looks]),
            np.array([against for _, against in looks]),
        )


def read_sets(folder: Path = SETS, *, held_out: bool = False) -> list[tuple[str, str, str]]:
    """Messages of the sets, as set, kind and text.

    Args:
        folder: of files with a kind, a tab and a message on each line.
        held_out: those that are only measured, instead of those that are fitted on.
    """
    rows: list[tuple[str, str, str]] = []
    for path in sorted(folder.glob("*.tsv")):
        if path.stem.startswith(_HELD_OUT) == held_out:
            for line in path.read_text("utf-8").splitlines():
                kind, text = line.split("\t")
                name = path.stem if held_out else path.stem.partition("_")[0]
                rows.append((name, kind, text))
    return rows


def read_questions(path: Path, count: int, seed: int = 1) -> list[tuple[str, str, str]]:
    """Questions of a corpus, drawn at random.

    Args:
        path: ``documents.jsonl`` of a corpus's folder.
        count: at most.
        seed: of the draw.
    """
    with path.open(encoding="utf-8") as lines:
        titles = sorted({str(json.loads(line)["title"]) for line in lines} - {""})
    drawn = random.Random(seed).sample(titles, min(count, len(titles)))
    return [("questions", _NONE, title) for title in drawn]


def fitted(messages: Messages, options: Options) -> dict[str, Any]:
    """Fit both functions; what `rag.safety.net.parse` reads, without its thresholds."""
    spelling = _spelling(messages.texts, options)
    bags = [_bag(text, spelling) for text in messages.texts]
    counts = Counter(gram for bag in bags for gram in bag)
    vocabulary = sorted(gram for gram, count in counts.items() if count >= options.fewest)
    place = {gram: number for number, gram in enumerate(vocabulary)}
    rows = hstack(
        [
            csr_matrix(messages.vectors.astype(np.float64) * options.vector),
            _bagged(bags, place),
            csr_matrix(messages.against[:, np.newaxis].astype(np.float64)),
        ]
    ).tocsr()
    weights = np.where(messages.sets == "questions", options.questions, 1.0)
    models = [
        LogisticRegression(C=options.c, max_iter=1000, tol=1e-4).fit(
            rows, messages.kinds == kind, weights
        )
        for kind in CLASSES
    ]
    coefficients = np.array([model.coef_[0] for model in models])
    cut = messages.vectors.shape[1]
    words = coefficients[:, cut:-1]
    return {
        "vector": (coefficients[:, :cut] * options.vector).round(4).tolist(),
        "words": {
            gram: words[:, number].round(3).tolist()
            for gram, number in place.items()
            if np.abs(words[:, number]).max() >= options.smallest
        },
        "against": coefficients[:, -1].round(4).tolist(),
        "bias": [round(float(model.intercept_[0]), 4) for model in models],
    }


def _spelling(texts: Sequence[str], options: Options) -> Spelling:
    """Words that are in enough messages put those right that are not, as when it answers."""
    none = Spelling((), ())
    counts = Counter(word for text in texts for word in set(_plain(text, none).split()))
    known = [word for word, count in counts.items() if count >= options.fewest]
    return Spelling(known, common_words())


def _plain(text: str, spelling: Spelling) -> str:
    return plain(text, spelling.known, spelling.corrected).text


def _bag(text: str, spelling: Spelling) -> frozenset[str]:
    return grams(_plain(text, spelling))


def _bagged(bags: Sequence[frozenset[str]], place: dict[str, int]) -> csr_matrix:
    rows = []
    columns = []
    values = []
    for row, bag in enumerate(bags):
        known = [place[gram] for gram in bag if gram in place]
        rows += [row] * len(known)
        columns += known
        values += [1.0] * len(known)
    return csr_matrix((values, (rows, columns)), shape=(len(bags), len(place)))


def as_net(coefficients: dict[str, Any], encoder: str, threshold: float) -> str:
    """The file of coefficients.

    Args:
        coefficients: see `fitted`.
        encoder: version of the one that made the vectors.
        threshold: see `threshold_for`.
    """
    head = {"format": FORMAT, "version": "net-1", "classes": CLASSES, "encoder": encoder}
    given = head | coefficients | {"threshold": round(threshold, 3)}
    return (
        json.dumps(given, ensure_ascii=True, separators=(",", ":")).replace('],"', '],\n"') + "\n"
    )


def cross_validated(messages: Messages, options: Options) -> _Floats:
    """Scores of each message by a net that saw nothing of its set, shape [n, 2]."""
    folds = _folds(messages.sets)
    scores = np.zeros((len(messages.texts), len(CLASSES)), np.float32)
    for fold in sorted(set(folds)):
        held = folds == fold
        net = parse(as_net(fitted(_some(messages, ~held), options), "", 0.0))
        part = _some(messages, held)
        scores[held] = net.scores(part.texts, part.vectors, part.against.tolist())
    return scores


def _folds(sets: NDArray[np.str_]) -> NDArray[np.str_]:
    """Small sets are one; the corpus's questions are shared out."""
    folds = np.where(np.isin(sets, ("second", "third", "fourth")), "second", sets)
    asked = np.flatnonzero(folds == "questions")
    names = sorted(set(folds) - {"questions"})
    if names:
        folds[asked] = np.array(names)[np.arange(len(asked)) % len(names)]
    return folds


def _some(messages: Messages, which: NDArray[np.bool_]) -> Messages:
    return Messages(
        messages.sets[which],
        messages.kinds[which],
        tuple(text for text, is_in in zip(messages.texts, which, strict=True) if is_in),
        messages.vectors[which],
        messages.found[which],
        messages.against[which],
    )


def threshold_for(messages: Messages, scores: _Floats, share: float) -> tuple[float, float]:
    """What is added to the score of a crisis, and the threshold of both.

    They catch the most messages while of the harmless at most a share is found wrongly.

    Args:
        messages: that the scores are of; the corpus's questions do not count.
        scores: see `cross_validated`.
        share: of all harmless messages.
    """
    counted = messages.sets != "questions"
    harmless = messages.kinds == _NONE
    passed = counted & ~messages.found
    allowed = int(share * (counted & harmless).sum())
    best, chosen = -1, (0.0, float("inf"))
    for added in np.arange(0, 2.01, 0.1):
        level = urgency(scores + np.array([0, added], np.float32))
        limit = float(np.sort(level[passed & harmless])[::-1][allowed])
        caught = int((level[passed & ~harmless] > limit).sum())
        if caught > best:
            best, chosen = caught, (float(added), limit)
    return chosen


def shares(messages: Messages, urgent: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """Shares that are caught, by set: of emergencies, of crises, of harmless messages.

    Args:
        messages: measured.
        urgent: whether each was found.
    """
    return {
        str(name): {
            kind: round(float(urgent[of].mean()), 4)
            for kind in (*CLASSES, _NONE)
            if (of := (messages.sets == name) & (messages.kinds == kind)).any()
        }
        for name in sorted(set(messages.sets))
    }


def _table(title: str, messages: Messages, urgent: NDArray[np.bool_]) -> None:
    click.echo(title)
    for name, row in shares(messages, urgent).items():
        click.echo(
            f"  {name:<18}" + "  ".join(f"{kind} {share:.4f}" for kind, share in row.items())
        )


@click.command()
@click.option("--questions", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--count", default=6_000, show_default=True, help="Questions of the corpus.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--held-out", is_flag=True, help="Measure the sets that are held out, too.")
def main(questions: Path | None, count: int, out: Path | None, held_out: bool) -> None:
    """Fit the net, tell what it does to sets that it has not seen, and write it to a file."""
    options, rules, encoder = Options(), Emergencies(), load_encoder()
    rows = read_sets() + (read_questions(questions, count) if questions else [])
    messages = Messages.of(rows, rules, encoder)
    scores = cross_validated(messages, options)
    added, limit = threshold_for(messages, scores, options.share)
    _table("rules", messages, messages.found)
    above = urgency(scores + np.array([0, added], np.float32)) > limit
    _table("rules and net, cross-validated", messages, messages.found | above)
    coefficients = fitted(messages, options)
    coefficients["bias"][CLASSES.index("crisis")] += added
    text = as_net(coefficients, encoder.version, limit)
    net = parse(text)
    click.echo(f"{len(net.words)} words and pairs, {len(text)} bytes, threshold {limit:.3f}")
    if held_out:
        new = Messages.of(read_sets(held_out=True), rules, encoder)
        above = urgency(net.scores(new.texts, new.vectors, new.against.tolist())) > net.threshold
        _table("held out, rules", new, new.found)
        _table("held out, rules and net", new, new.found | above)
    if out:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
