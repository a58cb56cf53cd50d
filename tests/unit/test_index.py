"""An index whose documents come, change and go while it is searched."""

import threading

import pytest

from rag.index import Index, Rows
from rag.retriever import Retriever
from tests.unit.made_corpus import DOCUMENTS, WordEncoder, document, made_index

pytestmark = pytest.mark.unit


def ids(index: Index, question: str) -> list[str]:
    (hits,) = Retriever(index).search([question])
    return [hit.document.id for hit in hits]


def test_a_new_document_is_found_at_once() -> None:
    index = made_index()
    index.upsert([document("scurvy", "What is (are) Scurvy ?", focus="Scurvy")])
    assert ids(index, "what is scurvy")[0] == "scurvy"
    assert len(index) == len(DOCUMENTS) + 1


def test_an_update_replaces_words_vectors_and_names() -> None:
    index = made_index()
    index.upsert([document("gout/what", "What is (are) Scurvy ?", "Vitamins.", focus="Scurvy")])
    assert ids(index, "scurvy").count("gout/what") == 1
    assert ids(index, "scurvy")[0] == "gout/what"
    (hits,) = Retriever(index).search(["scurvy"])
    assert hits[0].document.text == "Vitamins."
    assert len(index) == len(DOCUMENTS)
    (hits,) = Retriever(index).search(["what is gout"])
    assert hits[0].document.id != "gout/what"


def test_a_removed_document_is_not_found_and_comes_back_when_it_is_added() -> None:
    index = made_index()
    assert index.remove(["gout/cure", "nobody"]) == 1
    assert "gout/cure" not in ids(index, "What are the treatments for Gout ?")
    assert "gout/cure" not in index
    assert index.get("gout/cure") is None
    index.upsert([DOCUMENTS[1]])
    assert ids(index, "What are the treatments for Gout ?")[0] == "gout/cure"


def test_of_two_documents_of_one_id_the_last_is_taken() -> None:
    index = Index(WordEncoder())
    index.upsert([document("a", "old"), document("a", "new")])
    found = index.get("a")
    assert found is not None
    assert found.title == "new"
    assert len(index) == 1


def test_while_it_is_updated_a_document_is_never_missing_and_never_found_twice() -> None:
    index = made_index()
    stop = threading.Event()
    failed: list[list[str]] = []

    def update() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            index.upsert([document("gout/cure", f"What are the treatments for Gout {number} ?")])

    def look() -> None:
        for _ in range(60):
            found = ids(index, "treatments for gout")
            if found.count("gout/cure") != 1 or len(found) != len(set(found)):
                failed.append(found)

    updating = threading.Thread(target=update)
    updating.start()
    looking = [threading.Thread(target=look) for _ in range(2)]
    for thread in looking:
        thread.start()
    for thread in looking:
        thread.join()
    stop.set()
    updating.join()
    assert failed == []


def test_an_empty_index_finds_nothing() -> None:
    assert ids(Index(WordEncoder()), "what is gout") == []


def test_a_thousand_updates_of_a_document_do_not_grow_the_index() -> None:
    index = made_index()
    for number in range(1_000):
        word = f"quillword{number}"
        index.upsert([document("scurvy", f"What is (are) {word} ?", word, focus=f"{word} fever")])
        if number == 2:
            with index.rows() as rows:
                before = _size(rows)
    with index.rows() as rows:
        assert _size(rows) == before
    assert len(index) == len(DOCUMENTS) + 1
    assert ids(index, "What is quillword999 fever?")[0] == "scurvy"
    with index.rows() as rows:
        assert rows.texts.frequency("quillword999") == 1
        assert rows.texts.frequency("quillword998") == 0


def test_documents_that_come_and_go_leave_no_rows_behind_and_are_scored_as_in_a_new_index() -> None:
    index = Index(WordEncoder())
    index.upsert(DOCUMENTS)
    for turn in range(5):
        for start in range(0, 600, 300):
            some = [
                document(f"d{n}", f"What is illness{turn}x{n} ?") for n in range(start, start + 300)
            ]
            index.upsert(some)
        index.remove([f"d{n}" for n in range(600)])
    with index.rows() as rows:
        assert rows.titles.size == rows.texts.size == len(rows.documents)
        assert rows.titles.size < len(DOCUMENTS) + 2 * 1_024
    fresh = made_index()
    for asked in ("what is gout", "What are the treatments for Gout ?", "prevent scurvy"):
        assert ids(index, asked) == ids(fresh, asked)


def _size(rows: Rows) -> list[int]:
    """How many places of each kind there are, used or not."""
    lexical = [rows.titles, rows.texts]
    names = rows.names
    return [
        len(rows.documents),
        len(rows._with),
        *(len(each._words) for each in lexical),
        *(each.size for each in lexical),
        *(sum(len(found[0]) for found in each._added.values()) for each in lexical),
        *(len(each) for each in (names._about, names._names, names._vocabulary, names._by_start)),
    ]
