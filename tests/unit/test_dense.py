"""Vectors in Qdrant, and the copy that is searched where Qdrant is embedded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from qdrant_client import QdrantClient

import rag.dense
from rag.dense import DenseIndex, Vectors, recall
from rag.encoder import DIMENSIONS
from rag.filters import Filters
from rag.matrix import Matrix
from tests.unit.made_corpus import DOCUMENTS, document

pytestmark = pytest.mark.unit


def unit(*seeds: int) -> NDArray[np.float32]:
    rows = np.array([np.random.default_rng(seed).normal(size=DIMENSIONS) for seed in seeds])
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def vectors(question: int, *passages: int) -> Vectors:
    return Vectors(unit(question)[0], unit(*passages))


@pytest.fixture
def filled() -> DenseIndex:
    index = DenseIndex()
    index.upsert(DOCUMENTS, [vectors(n, 100 + n, 200 + n) for n in range(len(DOCUMENTS))])
    return index


def test_a_document_is_found_by_its_question_and_by_any_passage(filled: DenseIndex) -> None:
    by_question, by_passage = filled.search(unit(2, 203), 2)
    assert next(iter(by_question[0])) == DOCUMENTS[2].id
    assert next(iter(by_passage[1].items())) == (DOCUMENTS[3].id, pytest.approx(1, abs=1e-5))


def test_the_copy_finds_what_qdrant_finds(filled: DenseIndex) -> None:
    assert recall(filled, unit(*range(300, 320)), k=3) == 1
    ours, theirs = (filled.search(unit(7), 4, exact=exact)[0] for exact in (False, True))
    for mine, its in zip(ours, theirs, strict=True):
        assert list(mine) == list(its)
        assert list(mine.values()) == pytest.approx(list(its.values()), abs=1e-5)


def test_an_update_replaces_and_leaves_no_old_passage(filled: DenseIndex) -> None:
    filled.upsert([DOCUMENTS[0]], [vectors(50, 51)])
    for exact in (False, True):
        ((by_question, by_passage),) = filled.search(unit(0), 20, exact=exact)
        assert by_question[DOCUMENTS[0].id] < 0.5
        ((_, by_passage),) = filled.search(unit(200), 20, exact=exact)
        assert max(by_passage.values()) < 0.5
        assert sorted(by_passage) == sorted(each.id for each in DOCUMENTS)


def test_what_was_removed_is_not_found_and_unknown_ids_do_no_harm(filled: DenseIndex) -> None:
    filled.remove([DOCUMENTS[1].id, "nobody"])
    for exact in (False, True):
        for found in filled.search(unit(1), 20, exact=exact)[0]:
            assert DOCUMENTS[1].id not in found
            assert len(found) == len(DOCUMENTS) - 1


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(question_types=("treatment",)), {"gout/cure", "sepsis/cure"}),
        (Filters(collections=("rare",)), {"marfan/genes"}),
        (Filters(focuses=("Gout",), question_types=("causes", "treatment")),
         {"gout/cure", "gout/why"}),
        (Filters(collections=("none",)), set()),
    ],
)  # fmt: skip
def test_filters_leave_only_what_they_name(
    filled: DenseIndex, filters: Filters, found: set[str]
) -> None:
    ((by_question, by_passage),) = filled.search(unit(1), 20, filters)
    assert {*by_question} == {*by_passage} == found


def test_cosines_are_of_the_nearest_vector(filled: DenseIndex) -> None:
    found = filled.cosines(unit(201)[0], [DOCUMENTS[1].id, DOCUMENTS[2].id, "nobody"])
    assert found[DOCUMENTS[1].id] == pytest.approx(1, abs=1e-5)
    assert found[DOCUMENTS[2].id] < 0.5
    assert "nobody" not in found


def test_a_server_and_a_folder_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give one of them"):
        DenseIndex(url="http://localhost:6333", path=tmp_path)


def test_the_matrix_uses_the_place_of_what_was_removed_again() -> None:
    matrix = Matrix()
    matrix.put(["a", "b", "c"], list(unit(1, 2, 3)))
    matrix.remove(["b", "nobody"])
    assert [name for name, _ in matrix.search(unit(2), 3)[0]] != ["b"]
    assert {name for name, _ in matrix.search(unit(2), 5)[0]} == {"a", "c"}
    matrix.put(["d"], list(unit(2)))
    assert matrix.search(unit(2), 1)[0][0][0] == "d"
    assert len(matrix) == 3
    assert matrix.get("b") is None


def test_an_empty_matrix_finds_nothing_for_each_question() -> None:
    assert Matrix().search(unit(1, 2), 3) == [[], []]


def test_a_document_without_passages_is_found_by_its_question() -> None:
    index = DenseIndex()
    bare = document("bare", "Nothing")
    index.upsert([bare], [Vectors(unit(1)[0], np.zeros((0, DIMENSIONS), np.float32))])
    assert list(index.search(unit(1), 5)[0][0]) == ["bare"]
    index.remove(["bare"])
    assert list(index.search(unit(1), 5)[0][0]) == []


@pytest.mark.filterwarnings("ignore::UserWarning")  # of parameters that only a server uses
def test_a_server_is_asked_by_requests_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def connect(**given: object) -> QdrantClient:
        asked.append(given)
        return QdrantClient(":memory:")

    monkeypatch.setattr(rag.dense, "QdrantClient", connect)
    index = DenseIndex(url="http://qdrant:6333", api_key="key", name="made")
    index.upsert(DOCUMENTS, [vectors(n, 100 + n, 200 + n) for n in range(len(DOCUMENTS))])
    index.upsert([DOCUMENTS[0]], [vectors(50, 51)])
    index.remove([DOCUMENTS[1].id])
    assert asked == [{"url": "http://qdrant:6333", "api_key": "key"}]
    ((by_question, by_passage),) = index.search(unit(50), 20)
    assert next(iter(by_question)) == DOCUMENTS[0].id
    assert len(by_question) == len(by_passage) == len(DOCUMENTS) - 1
    assert index.cosines(unit(51)[0], [DOCUMENTS[0].id]) == {
        DOCUMENTS[0].id: pytest.approx(1, abs=1e-5)
    }
    ((found, _),) = index.search(unit(1), 20, Filters(question_types=("causes",)))
    assert list(found) == ["gout/why"]
    assert recall(index, unit(300), k=3) == 1
    index.close()


def test_a_server_is_sent_only_what_it_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    server = QdrantClient(":memory:")
    monkeypatch.setattr(rag.dense, "QdrantClient", lambda **given: server)
    written: list[int] = []
    upsert = server.upsert

    def counted(collection: str, points: Any, **given: Any) -> Any:
        written.append(len(points.ids))
        return upsert(collection, points, **given)

    monkeypatch.setattr(server, "upsert", counted)
    its = [vectors(n, 100 + n, 200 + n) for n in range(len(DOCUMENTS))]
    DenseIndex(url="http://qdrant:6333").upsert(DOCUMENTS, its)
    assert sum(written) == 3 * len(DOCUMENTS)
    written.clear()

    again = DenseIndex(url="http://qdrant:6333")  # another worker, or this one once more
    again.upsert(DOCUMENTS, its)
    assert written == []
    its[1] = vectors(50, 101, 51)
    moved = replace(DOCUMENTS[2], focus="Scurvy")
    again.upsert([*DOCUMENTS[:2], moved, *DOCUMENTS[3:]], its)
    assert sum(written) == 2 + 3, "a question and a passage; and three points of another focus"
    ((_, by_passage),) = again.search(unit(51), 1)
    assert list(by_passage) == [DOCUMENTS[1].id]


def test_passages_that_are_left_over_are_forgotten(filled: DenseIndex) -> None:
    before = len(filled._document_of)
    filled.upsert([DOCUMENTS[0]], [vectors(1, *range(10))])
    assert len(filled._document_of) == before + 8
    filled.upsert([DOCUMENTS[0]], [Vectors(unit(1)[0], unit(1)[:0])])
    assert len(filled._document_of) == before - 1
    ((by_question, _),) = filled.search(unit(1), 1)
    assert list(by_question) == [DOCUMENTS[0].id]
