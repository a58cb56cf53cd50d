"""The net behind the rules: how near messages are to those that were urgent.

Rules say why they decide, but people write of the same thing in more ways than rules foresee, and
write the same words about a film. The last two layers of the encoder were fitted anew to messages
that people might write, on what its layers before make of a message. The weights stand in
``net.npz``, which ``python -m bench.safety_net`` fits; they are as fixed and as versioned as rules.
"""

import hashlib
import io
import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple, Protocol
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rag.onnx_encoder import MODEL_SHA256, OnnxEncoder
from rag.safety.layers import logits, pack, unpack
from rag.safety.pieces import pieces

__all__ = [
    "CLASSES",
    "FORMAT",
    "TORN_OUT",
    "Net",
    "NetError",
    "Reading",
    "Urgent",
    "parse",
    "shipped",
    "urgency",
    "write",
]

Urgent = Literal["emergency", "crisis"]

#: In the order of the scores, after that of what is harmless.
CLASSES: tuple[Urgent, ...] = ("emergency", "crisis")
FORMAT = "vigil-safety-net/2"
#: What a piece says less than a message, in log odds: it lacks what would explain it, and a long
#: message has many of them.
TORN_OUT = np.float32(2.0)
#: Part of the version: raised when `TORN_OUT` changes, or how messages are cut.
_READING = 2
#: What numpy, zlib and json say of a damaged file.
_UNREADABLE = (
    LookupError, TypeError, ValueError, AttributeError, BadZipFile, EOFError, OSError, zlib.error
)  # fmt: skip
_AGAIN = "fit it again with `python -m bench.safety_net`"


class NetError(ValueError):
    """The weights cannot be used; the message says why."""


class States(Protocol):
    """What the encoder makes of messages before its last two layers."""

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """One array of shape [word pieces, 384] for each text."""


def urgency(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log odds of being urgent at all: somebody who walks into the sea is near both.

    Args:
        scores: log odds of each of `CLASSES` against harmless, shape [n, 2].

    Returns:
        Shape [n].
    """
    either: NDArray[np.float32] = np.logaddexp(scores[:, 0], scores[:, 1])
    return either


class Reading(NamedTuple):
    """What the net makes of a message.

    Attributes:
        urgent: what it is; where it is both, what it is more; None: neither.
        surely_not: nothing in it comes near to what is urgent.
    """

    urgent: Urgent | None
    surely_not: bool


@dataclass(frozen=True, eq=False)
class Net:
    """The fitted layers.

    Attributes:
        version: of the weights, with the first digits of their file's SHA-256, and of how they read
            a message.
        weights: see `rag.safety.layers.SHAPES`.
        threshold: urgent is what is above in `urgency`.
        doubt: surely not urgent is what is below.
        encoder: makes what they read.
    """

    version: str
    weights: Mapping[str, NDArray[np.float32]]
    threshold: float
    doubt: float
    encoder: States

    def scores(self, messages: Sequence[str]) -> NDArray[np.float32]:
        """How near messages are to an emergency and to a crisis: above 0 nearer than to harmless.

        A long message is read whole and in pieces, and is as urgent as what is most urgent in it;
        a piece has to be clearer by `TORN_OUT`.

        Args:
            messages: as they were written, not shortened.

        Returns:
            For each message a number for each of `CLASSES`, shape [n, 2].
        """
        rows = [_clearest(of) for of in self._scores(messages)]
        return np.array(rows, np.float32).reshape(-1, len(CLASSES))

    def read(self, messages: Sequence[str]) -> list[Reading]:
        """What it makes of each message.

        Args:
            messages: as they were written, not shortened.
        """
        found = []
        for of in self._scores(messages):
            clearest = _clearest(of)
            is_urgent = urgency(clearest[np.newaxis])[0] > self.threshold
            urgent = CLASSES[int(clearest.argmax())] if is_urgent else None
            found.append(Reading(urgent, bool(urgency(of).max() < self.doubt)))
        return found

    def _scores(self, messages: Sequence[str]) -> Iterator[NDArray[np.float32]]:
        """Scores of each message's pieces, shape [pieces, 2]."""
        for message in messages:
            # one at a time: the states of a long message are megabytes
            states = self.encoder.states(pieces(message))
            each = np.array([logits(of, self.weights) for of in states], np.float32)
            yield each[:, 1:] - each[:, :1]


def _clearest(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of the most urgent of a message's pieces; the first is whole, and not torn out."""
    scores = np.concatenate([scores[:1], scores[1:] - TORN_OUT])
    clearest: NDArray[np.float32] = scores[urgency(scores).argmax()]
    return clearest


def shipped(encoder: States | None = None) -> Net:
    """Read the weights that ship with Vigil.

    Args:
        encoder: makes what they read; None: one of its own.

    Raises:
        NetError: they are not of this version of the code.
        EncoderError: the encoder is not installed.
    """
    return _shipped() if encoder is None else replace(_shipped(), encoder=encoder)


@lru_cache(maxsize=1)
def _shipped() -> Net:
    return parse(files("rag.safety").joinpath("net.npz").read_bytes(), OnnxEncoder())


def write(
    weights: Mapping[str, NDArray[np.float32]], version: str, threshold: float, doubt: float
) -> bytes:
    """The file of weights.

    Args:
        weights: see `rag.safety.layers.SHAPES`.
        version: of them.
        threshold: see `Net`.
        doubt: see `Net`.
    """
    about = {
        "format": FORMAT,
        "version": version,
        "classes": CLASSES,
        "encoder": MODEL_SHA256,
        "threshold": threshold,
        "doubt": doubt,
    }
    file = io.BytesIO()
    arrays: dict[str, Any] = pack(weights)
    np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)
    return file.getvalue()


def parse(content: bytes, encoder: States) -> Net:
    """Read weights.

    Args:
        content: of the file, as `write` makes it.
        encoder: makes what they read.

    Raises:
        NetError: they are not of this version of the code.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            about: dict[str, Any] = json.loads(str(arrays["about"]))
            expected = (FORMAT, CLASSES, MODEL_SHA256)
            if (about["format"], tuple(about["classes"]), about["encoder"]) != expected:
                raise NetError(f"safety net: the weights are of another version: {_AGAIN}")
            digest = hashlib.sha256(content).hexdigest()[:8]
            weights = unpack({name: arrays[name] for name in arrays.files if name != "about"})
        threshold, doubt = float(about["threshold"]), float(about["doubt"])
        if not -math.inf < doubt <= threshold < math.inf:
            raise ValueError("doubt and threshold: finite numbers needed, the first not above")
        return Net(f"{about['version']}-{digest}-{_READING}", weights, threshold, doubt, encoder)
    except NetError:
        raise
    except _UNREADABLE as error:
        raise NetError(f"safety net: the weights cannot be read ({error}): {_AGAIN}") from None
