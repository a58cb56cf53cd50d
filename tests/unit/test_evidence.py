"""What there is to answer from: read from the corpus, or else the documents that ship."""

from pathlib import Path

import pytest

from config.settings import Settings
from rag.corpus.build import build
from rag.corpus.chunks import ChunkSettings
from rag.corpus.manifest import CorpusError
from rag.corpus.shipped import shipped
from streams import answering
from tests.unit.made_corpus import WordEncoder

pytestmark = pytest.mark.unit


def test_the_documents_that_ship_are_encoded_once_however_often_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoders = [WordEncoder(), WordEncoder()]
    given = iter(encoders)
    monkeypatch.setattr(answering, "load_encoder", lambda _: next(given))
    settings = Settings(home=tmp_path)
    first, second = answering.evidence(settings), answering.evidence(settings)
    assert encoders[0].encoded
    assert encoders[1].encoded == []
    assert len(first.retriever.index) == len(second.retriever.index) == len(shipped())


def test_a_corpus_that_was_named_and_is_not_there_is_not_the_documents_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "load_encoder", lambda _: WordEncoder())
    with pytest.raises(CorpusError, match="nowhere"):
        answering.evidence(Settings(home=tmp_path, corpus=tmp_path / "nowhere"))


def test_a_page_is_searched_by_passages_of_the_size_that_its_corpus_was_built_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [f"Word{number} says another{number} thing{number} here." for number in range(80)]
    page = tmp_path / "page.md"
    page.write_text(
        f"# Guideline\n\n{' '.join(said[:40])} Colchicine eases gout. {' '.join(said[40:])}\n"
    )
    encoder = WordEncoder()
    monkeypatch.setattr(answering, "load_encoder", lambda _: encoder)
    passages = []
    for size in (900, 300):
        out = tmp_path / f"by-{size}"
        build([page], out, chunks=ChunkSettings(size, 0))
        encoder.encoded.clear()
        found = answering.evidence(Settings(home=tmp_path / "home", corpus=out))
        passages.append([text for text in encoder.encoded if "here." in text])
    asked = "Colchicine eases gout"
    (hits,) = found.retriever.search([asked])
    nearest = (encoder.encode(passages[-1]) @ encoder.encode([asked])[0]).max()
    assert hits[0].cosine == pytest.approx(nearest, abs=1e-6)
    few, many = map(len, passages)
    assert many > 2 * few > 2
