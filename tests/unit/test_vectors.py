"""Vectors of a corpus: encoded once."""

from pathlib import Path

import numpy as np
import pytest

from rag.documents import Chunk, Document
from rag.index import build_index
from rag.vectors import encode_corpus, passage_texts, question_text
from tests.unit.made_corpus import DOCUMENTS, WordEncoder, document

pytestmark = pytest.mark.unit


def test_a_second_start_encodes_nothing_and_gives_the_same(tmp_path: Path) -> None:
    first = encode_corpus(tmp_path, DOCUMENTS, WordEncoder())
    encoder = WordEncoder()
    second = encode_corpus(tmp_path, DOCUMENTS, encoder)
    assert encoder.encoded == []
    for mine, its in zip(first, second, strict=True):
        np.testing.assert_array_equal(mine.question, its.question)
        np.testing.assert_array_equal(mine.passages, its.passages)


def test_a_rebuild_encodes_only_what_changed(tmp_path: Path) -> None:
    encode_corpus(tmp_path, DOCUMENTS, WordEncoder())
    encoder = WordEncoder()
    changed = document("gout/cure", DOCUMENTS[1].title, "Rest.", focus="Gout")
    encode_corpus(tmp_path, [*DOCUMENTS[2:], changed, DOCUMENTS[0]], encoder)
    assert encoder.encoded == ["What are the treatments for Gout ? Rest."]


def test_a_broken_file_is_made_anew(tmp_path: Path) -> None:
    encode_corpus(tmp_path, DOCUMENTS, WordEncoder())
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"PK\x03\x04 no longer what it was")
    encoder = WordEncoder()
    encode_corpus(tmp_path, DOCUMENTS, encoder)
    assert encoder.encoded
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_where_nothing_can_be_written_the_vectors_are_there_and_a_warning_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "file"
    folder.write_text("no folder")
    vectors = encode_corpus(folder, DOCUMENTS, WordEncoder())
    assert len(vectors) == len(DOCUMENTS)
    assert f"made anew at each start: {folder}" in caplog.text


def test_another_encoder_s_vectors_are_never_taken(tmp_path: Path) -> None:
    encode_corpus(tmp_path, DOCUMENTS, WordEncoder())
    other = WordEncoder()
    other.version = "words-2"
    encode_corpus(tmp_path, DOCUMENTS, other)
    assert other.encoded


def test_progress_ends_with_everything_done(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    encode_corpus(
        tmp_path, DOCUMENTS, WordEncoder(), progress=lambda done, whole: told.append((done, whole))
    )
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] > 0


def test_the_question_s_vector_knows_what_the_document_is_about() -> None:
    assert question_text(document("a", "Stages", focus="Melanoma")) == "Stages Melanoma"
    assert question_text(document("a", "What is melanoma ?", focus="Melanoma")) == (
        "What is melanoma ?"
    )


def halves(each: Document) -> list[Chunk]:
    middle = len(each.text) // 2
    return [Chunk(each.id, 0, 0, middle), Chunk(each.id, 1, middle, len(each.text))]


def test_passages_can_be_every_chunk(tmp_path: Path) -> None:
    each = document("a", "Head", "onetwo")
    assert passage_texts(each, halves) == ["Head one", "Head two"]
    (vectors,) = encode_corpus(tmp_path, [each], WordEncoder(), chunks=halves)
    assert vectors.passages.shape == (2, 384)


def test_a_document_without_a_title_is_found_by_its_text(tmp_path: Path) -> None:
    (vectors,) = encode_corpus(tmp_path, [document("a", "", "Colchicine.")], WordEncoder())
    np.testing.assert_array_equal(vectors.question, vectors.passages[0])


def test_an_index_is_made_of_a_folder(tmp_path: Path) -> None:
    index = build_index(tmp_path, DOCUMENTS, WordEncoder())
    assert len(index) == len(DOCUMENTS)
    assert len(build_index(tmp_path, (), WordEncoder())) == 0
