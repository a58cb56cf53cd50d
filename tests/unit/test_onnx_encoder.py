"""The encoder of every installation, with its real model."""

from pathlib import Path

import numpy as np
import pytest

from rag.encoder import DIMENSIONS, Encoder, EncoderError, load_encoder
from rag.onnx_encoder import OnnxEncoder

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder()


def test_vectors_have_length_one_and_the_order_of_the_texts(encoder: Encoder) -> None:
    texts = ["How is sepsis treated?", "a " * 300, "", "What are the treatments of sepsis?"]
    vectors = encoder.encode(texts)
    assert vectors.shape == (4, DIMENSIONS)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near = vectors @ vectors[0]
    assert near[3] > 0.8 > near[1]


def test_a_text_s_vector_does_not_depend_on_its_company(encoder: Encoder) -> None:
    alone = encoder.encode(["chest pain"])[0]
    together = encoder.encode(["a long story about something else " * 9, "chest pain"])[1]
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_vectors_that_come_with_states_are_those_that_come_alone() -> None:
    texts = ["what is gout?", "a message of a few more words than the one before it has"]
    encoder = OnnxEncoder()
    vectors, states = encoder.read(texts)
    np.testing.assert_array_equal(vectors, encoder.encode(texts))
    assert [each.shape[1] for each in states] == [DIMENSIONS] * 2
    for state, alone in zip(states, encoder.states(texts), strict=True):
        np.testing.assert_array_equal(state, alone)


def test_no_texts_are_no_vectors(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, DIMENSIONS)


def test_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"another one")
    with pytest.raises(EncoderError, match="not the file that was measured"):
        OnnxEncoder(model=path)
    with pytest.raises(EncoderError, match="is missing"):
        OnnxEncoder(model=tmp_path / "none.onnx")
