"""An encoder that remembers: a question is encoded once, however many ask for its vector.

The safety net and the search both need it, mostly of the same text.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.encoder import DIMENSIONS, Encoder

__all__ = ["Remembering", "SharedStates"]

#: Texts that are kept, 1.5 KiB each.
_KEPT = 1_024
#: Longer texts are documents, which nobody asks for twice.
_LONGEST = 1_000


class Remembering:
    """Encodes what it does not know. Safe to call from several threads.

    Args:
        encoder: that does the work.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._known: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """Of the encoder."""
        return self._encoder.version

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts; see `rag.encoder.Encoder.encode`."""
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            found |= dict(zip(new, self._encoder.encode(new), strict=True))
        self.remember(found)
        if not texts:
            return np.zeros((0, DIMENSIONS), np.float32)
        return np.stack([found[text] for text in texts])

    def remember(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep vectors of texts that will be asked for."""
        with self._lock:
            for text, vector in vectors.items():
                if len(text) <= _LONGEST:
                    self._known[text] = vector
                    self._known.move_to_end(text)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)


class Reader(Protocol):
    """Makes vectors and states in one run."""

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """See `rag.onnx_encoder.OnnxEncoder.read`."""


class SharedStates:
    """States for the safety net: what comes with them is what the search asks for next.

    Args:
        encoder: makes both.
        memory: of the search.
    """

    def __init__(self, encoder: Reader, memory: Remembering) -> None:
        self._encoder, self._memory = encoder, memory

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """See `rag.safety.net.States`."""
        vectors, states = self._encoder.read(texts)
        self._memory.remember(dict(zip(texts, vectors, strict=True)))
        return states
