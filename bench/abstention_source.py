"""What `bench.abstention` asks: the corpus of ``VIGIL_CORPUS``, as workers search it.

    python -m bench.abstention --source bench.abstention_source:medquad …

Questions without an answer are those of MedQuAD's collections of drugs and supplements, whose
answers were taken out; the archive is looked for in ``VIGIL_DATA``.
"""

import os
import re
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from bench.abstention import Source
from config.settings import settings
from rag.documents import Document, Hit
from streams.answering import evidence

__all__ = ["medquad"]

_OF_DRUGS = re.compile(r"(?:^|/)1[12]_[^/]*/[^/]*\.xml$")


def medquad() -> Source:
    """Read the corpus, and from its source the questions that have no answer.

    Raises:
        ValueError: there is no corpus, or its source is no tar that is still there.
    """
    found = evidence(settings())
    if found.corpus is None:
        raise ValueError("name a corpus in VIGIL_CORPUS: make one with `vigil corpus build`")
    retriever = found.retriever

    def search(texts: Sequence[str], most: int) -> list[list[Hit]]:
        return retriever.search(texts, limit=most)

    return Source(found.corpus.documents, list(_unanswered()), search, found.version)


def _unanswered() -> Iterator[Document]:
    archive = Path(os.environ.get("VIGIL_DATA", "../shared/data")) / "medquad/medquad-xml.tar.xz"
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if _OF_DRUGS.search(member.name) else None
            if content is None:
                continue
            root = ElementTree.parse(content).getroot()
            focus = (root.findtext("Focus") or "").strip()
            for pair in root.iter("QAPair"):
                question = (pair.findtext("Question") or "").strip()
                if question and not (pair.findtext("Answer") or "").strip():
                    kind = pair.find("Question")
                    qid = "" if kind is None else kind.get("qid", "")
                    yield Document(qid, "unanswered", question, "", focus)
