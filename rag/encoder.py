"""What turns texts into vectors: the protocol, and which encoders there are.

Both are all-MiniLM-L6-v2 (https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2,
Apache-2.0): as int8 ONNX in every installation (`rag.onnx_encoder`), with its original weights and
torch where the extra ``chat`` is installed (`rag.torch_encoder`). Their vectors have a cosine of
.9995, so either may answer from vectors that the other made, but `Encoder.version` keeps them
apart: figures stay reproducible.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["DIMENSIONS", "Encoder", "EncoderError", "EncoderName", "load_encoder"]

#: Of a vector.
DIMENSIONS = 384

EncoderName = Literal["onnx", "torch"]


class EncoderError(RuntimeError):
    """The model is not there, or is not the one that was measured."""


class Encoder(Protocol):
    """Texts to vectors. Deterministic, and safe to call from several threads."""

    @property
    def version(self) -> str:
        """Names model and weights; vectors of two versions are never mixed."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode texts; what is over the model's 256 word pieces is not read.

        Returns:
            One row for each text, of `DIMENSIONS` numbers and length 1: (n, 384).
        """


def load_encoder(name: EncoderName = "onnx", *, threads: int = 1) -> Encoder:
    """Load an encoder.

    Args:
        name: ``onnx``, or ``torch``, which needs the extra ``chat``.
        threads: that one call may use. With 1 a worker's other threads keep their core.

    Raises:
        EncoderError: the model is missing or another one; the message says what to install.
    """
    if name == "torch":
        from rag.torch_encoder import TorchEncoder

        return TorchEncoder(threads=threads)
    from rag.onnx_encoder import OnnxEncoder

    return OnnxEncoder(threads=threads)
