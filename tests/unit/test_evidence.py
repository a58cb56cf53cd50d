"""What there is to answer from: read from the corpus, or else the documents that ship."""

from pathlib import Path

import pytest

from config.settings import Settings
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
