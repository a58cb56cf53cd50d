"""Two layers of a transformer and a linear function behind them, on numpy.

They are those of BERT (Devlin et al., 2019, https://arxiv.org/abs/1810.04805, section 3), read one
message at a time: nothing is padded, so a message has the same result in any company.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from rag.encoder import DIMENSIONS

__all__ = ["HEADS", "LAYERS", "MATRICES", "SHAPES", "logits", "pack", "unpack"]

HEADS = 12
LAYERS = 2
_WIDTH, _INNER = DIMENSIONS, 4 * DIMENSIONS
#: Of BERT; part of what the weights were fitted with.
_EPSILON = 1e-12
#: A row of nothing but zeros is divided by it.
_SMALLEST = 1e-12

Floats = NDArray[np.float32]

_SQUARE = ("attention.self.query", "attention.self.key", "attention.self.value")
#: Linear functions of a layer, as transformers names them, with their shapes [out, in].
MATRICES = {
    **dict.fromkeys((*_SQUARE, "attention.output.dense"), (_WIDTH, _WIDTH)),
    "intermediate.dense": (_INNER, _WIDTH),
    "output.dense": (_WIDTH, _INNER),
}
_NORMS = ("attention.output.LayerNorm", "output.LayerNorm")


def _shapes(classes: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(LAYERS):
        for name, shape in MATRICES.items():
            shapes[f"{layer}.{name}.weight"] = shape
            shapes[f"{layer}.{name}.bias"] = shape[:1]
        for name in _NORMS:
            shapes[f"{layer}.{name}.weight"] = shapes[f"{layer}.{name}.bias"] = (_WIDTH,)
    return shapes | {"head.weight": (classes, _WIDTH), "head.bias": (classes,)}


#: Of all weights, with one class for harmless and two for what is urgent.
SHAPES = _shapes(3)


def logits(states: Floats, weights: Mapping[str, Floats]) -> Floats:
    """Score a message.

    Args:
        states: of its word pieces, as the layers before make them, shape [n, 384].
        weights: of `SHAPES`.

    Returns:
        One number a class.
    """
    for layer in range(LAYERS):
        states = _layer(states, weights, f"{layer}.")
    scores: Floats = weights["head.weight"] @ states.mean(axis=0) + weights["head.bias"]
    return scores


def _layer(x: Floats, weights: Mapping[str, Floats], prefix: str) -> Floats:
    def linear(name: str, of: Floats) -> Floats:
        out: Floats = of @ weights[f"{prefix}{name}.weight"].T + weights[f"{prefix}{name}.bias"]
        return out

    def norm(name: str, of: Floats) -> Floats:
        centred = of - of.mean(axis=1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
        scaled: Floats = centred / spread * weights[f"{prefix}{name}.weight"]
        scaled += weights[f"{prefix}{name}.bias"]
        return scaled

    # [heads, n, width of a head]
    query, key, value = (linear(n, x).reshape(len(x), HEADS, -1).swapaxes(0, 1) for n in _SQUARE)
    told = query @ key.swapaxes(1, 2) / np.float32(np.sqrt(_WIDTH // HEADS))
    told = np.exp(told - told.max(axis=2, keepdims=True))
    told /= told.sum(axis=2, keepdims=True)
    heard = (told @ value).swapaxes(0, 1).reshape(len(x), _WIDTH)
    x = norm("attention.output.LayerNorm", linear("attention.output.dense", heard) + x)
    inner = linear("intermediate.dense", x)
    inner = inner * (1 + erf(inner / np.float32(np.sqrt(2)))) / 2
    return norm("output.LayerNorm", linear("output.dense", inner) + x)


def pack(weights: Mapping[str, Floats]) -> dict[str, NDArray[np.int8] | Floats]:
    """Round the large matrices to eight bits, a scale a row: a quarter of the bytes.

    Args:
        weights: of `SHAPES`.
    """
    packed: dict[str, NDArray[np.int8] | Floats] = {}
    for name, value in weights.items():
        if value.ndim == 2 and len(value) >= _WIDTH:
            scale = np.maximum(np.abs(value).max(axis=1, keepdims=True), _SMALLEST) / 127
            packed[name] = np.round(value / scale).astype(np.int8)
            packed[f"{name}.scale"] = scale.astype(np.float32)
        else:
            packed[name] = value.astype(np.float32)
    return packed


def unpack(packed: Mapping[str, NDArray[np.int8] | Floats]) -> dict[str, Floats]:
    """Undo `pack`.

    Raises:
        ValueError: a weight is missing, of another shape or no number.
    """
    weights = {}
    for name, shape in SHAPES.items():
        try:
            value = packed[name].astype(np.float32)
        except KeyError:
            raise ValueError(f"{name} is missing") from None
        if (scale := packed.get(f"{name}.scale")) is not None:
            value = value * scale.astype(np.float32)
        if value.shape != shape or not np.isfinite(value).all():
            raise ValueError(f"{name}: finite numbers of shape {list(shape)} needed")
        weights[name] = value
    return weights
