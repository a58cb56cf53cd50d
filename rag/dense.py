"""Vectors of documents in Qdrant: embedded by default, a server by its URL.

Two collections, because a document has one vector of its question and some of its passages.
Vectors have length 1 and are compared by their dot product, which is the cosine: embedded Qdrant
would normalise everything anew at each search.

A server is asked, and its search is HNSW; it is sent only what it does not have. Embedded, Qdrant
keeps the vectors and searches where there are filters; without any, `rag.matrix` searches a copy of
them, exactly like Qdrant and in a third of the time. `recall` holds either against Qdrant's exact
search.

Embedded Qdrant is not made for several threads (qdrant-client #1193): one lock holds them apart.
"""

import hashlib
import json
import threading
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from rag.documents import Document
from rag.encoder import DIMENSIONS
from rag.filters import Filters
from rag.matrix import Matrix

__all__ = ["DenseIndex", "Vectors", "recall"]

_Floats = NDArray[np.float32]

#: Points in one request to a server: about 2 MB.
_BATCH = 512
#: Documents that are asked for of a server's HNSW at a time while it looks for the best ones.
_BEAM = 256

#: Of a payload: digest of vector and payload.
_DIGEST = "digest"
#: A point's id, its vector and its payload.
_Stored = tuple[str, _Floats, Mapping[str, str]]

QUESTIONS, PASSAGES = "questions", "passages"


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """What is stored of a document.

    Attributes:
        question: (`DIMENSIONS`,), of its title.
        passages: (n, `DIMENSIONS`), of its text.
    """

    question: _Floats
    passages: _Floats


class DenseIndex:
    """Vectors by document.

    Args:
        url: of a Qdrant server; None: embedded.
        path: folder of an embedded one that outlives the process, which only one process can open;
            None: in memory, filled at the start from the corpus' vectors.
        api_key: of the server.
        name: what its collections' names start with: one for each corpus and encoder version.

    Raises:
        ValueError: both ``url`` and ``path``.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        path: Path | None = None,
        api_key: str | None = None,
        name: str = "vigil",
    ) -> None:
        if url is not None and path is not None:
            raise ValueError("a Qdrant server's URL and a folder: give one of them")
        if url is not None:
            self._client = QdrantClient(url=url, api_key=api_key)
        else:
            self._client = (
                QdrantClient(":memory:") if path is None else QdrantClient(path=str(path))
            )
        self._embedded = url is None
        self._names = {kind: f"{name}-{kind}" for kind in (QUESTIONS, PASSAGES)}
        self._one_at_a_time: AbstractContextManager[object] = (
            threading.RLock() if self._embedded else nullcontext()
        )
        # point → document, and document → how many passages: what a search needs of a payload
        self._document_of: dict[str, str] = {}
        self._passages_of: dict[str, int] = {}
        # the same vectors once more, where Qdrant is embedded
        self._copies = {kind: Matrix() for kind in self._names} if self._embedded else {}
        for collection in self._names.values():
            self._create(collection)

    def close(self) -> None:
        """Let the folder go, or the connection."""
        self._client.close()

    def upsert(self, documents: Sequence[Document], vectors: Sequence[Vectors]) -> None:
        """Put documents in; one that is there already is replaced.

        New vectors are written before the old ones that are left over go, and under the same
        numbers: at no moment the document is missing.
        """
        questions, passages, left_over, forgotten = [], [], [], []
        for document, its in zip(documents, vectors, strict=True):
            payload = {
                "document": document.id,
                "collection": document.collection,
                "question_type": document.question_type,
                "focus": document.focus,
            }
            questions.append((_point(document.id, 0), its.question, payload))
            for number, vector in enumerate(its.passages):
                passages.append((_point(document.id, number), vector, payload))
            before = self._passages_of.get(document.id, 0)
            left_over += [_point(document.id, n) for n in range(len(its.passages), before)]
            # the point of the first passage has the id of that of the question
            kept = max(1, len(its.passages))
            forgotten += [_point(document.id, n) for n in range(kept, before)]
        with self._one_at_a_time:
            for document, its in zip(documents, vectors, strict=True):
                for number in range(max(1, len(its.passages))):
                    self._document_of[_point(document.id, number)] = document.id
                self._passages_of[document.id] = len(its.passages)
            self._put(QUESTIONS, questions)
            self._put(PASSAGES, passages)
            self._delete(PASSAGES, left_over)
            for point in forgotten:
                self._document_of.pop(point, None)

    def remove(self, ids: Iterable[str]) -> None:
        """Take documents out; unknown ones are passed over."""
        with self._one_at_a_time:
            questions: list[str] = []
            passages: list[str] = []
            for document in ids:
                count = self._passages_of.pop(document, None)
                if count is None:
                    continue
                questions.append(_point(document, 0))
                passages += [_point(document, number) for number in range(count)]
            self._delete(QUESTIONS, questions)
            self._delete(PASSAGES, passages)
            for point in {*questions, *passages}:
                self._document_of.pop(point, None)

    def search(
        self,
        vectors: _Floats,
        limit: int,
        filters: Filters | None = None,
        *,
        exact: bool = False,
    ) -> list[tuple[dict[str, float], dict[str, float]]]:
        """Find the nearest documents.

        Args:
            vectors: (n, `DIMENSIONS`), of n questions.
            limit: documents for each, about; fewer where several passages of one are near.
            filters: which may be found. Embedded, a filter costs ten times the search.
            exact: let Qdrant search everything: neither its HNSW nor the copy.

        Returns:
            For each question: document → cosine, best first, by question and by nearest passage.
        """
        found = [self._search(kind, vectors, limit, filters, exact) for kind in self._names]
        return list(zip(*found, strict=True))

    def cosines(self, vector: _Floats, ids: Sequence[str]) -> dict[str, float]:
        """Cosine of a question and the nearest vector of each of these documents."""
        wanted = {
            QUESTIONS: [_point(each, 0) for each in ids],
            PASSAGES: [
                _point(each, number)
                for each in ids
                for number in range(self._passages_of.get(each, 0))
            ],
        }
        best: dict[str, float] = {}
        with self._one_at_a_time:
            for kind, points in wanted.items():
                for point, its in self._vectors(kind, points):
                    document = self._document_of.get(point)
                    if document is not None:
                        best[document] = max(best.get(document, -1.0), float(its @ vector))
        return best

    def _vectors(self, kind: str, points: Sequence[str]) -> Iterable[tuple[str, _Floats]]:
        if self._embedded:
            copies = self._copies[kind]
            return [(each, its) for each in points if (its := copies.get(each)) is not None]
        if not points:
            return []
        records = self._client.retrieve(
            self._names[kind], list(points), with_payload=False, with_vectors=True
        )
        return [(str(each.id), np.asarray(each.vector, np.float32)) for each in records]

    # -- Qdrant

    def _create(self, collection: str) -> None:
        if self._client.collection_exists(collection):
            return
        self._client.create_collection(
            collection,
            vectors_config=models.VectorParams(size=DIMENSIONS, distance=models.Distance.DOT),
        )
        if not self._embedded:
            for field in ("collection", "question_type", "focus"):
                self._client.create_payload_index(
                    collection, field, models.PayloadSchemaType.KEYWORD
                )

    def _put(self, kind: str, points: Sequence[_Stored]) -> None:
        for start in range(0, len(points), _BATCH):
            part = points[start : start + _BATCH]
            if not self._embedded:
                part = self._changed(kind, part)
            if not part:
                continue
            ids, vectors, payloads = zip(*part, strict=True)
            with warnings.catch_warnings():
                # above 20,000 points it says that a server would be faster: the README says so
                warnings.simplefilter("ignore", UserWarning)
                self._client.upsert(
                    self._names[kind],
                    models.Batch(
                        ids=list(ids),
                        vectors=[vector.tolist() for vector in vectors],
                        payloads=[dict(each) for each in payloads],
                    ),
                    wait=True,
                )
            if self._embedded:
                self._copies[kind].put(ids, vectors)

    def _changed(self, kind: str, points: Sequence[_Stored]) -> list[_Stored]:
        """Those of the points that a server does not have as they are.

        Each carries a digest of itself. A worker that starts finds nearly all of them there, and to
        write them would mean that the server builds its graph anew.
        """
        marked = [(id_, vector, _marked(vector, payload)) for id_, vector, payload in points]
        there = self._client.retrieve(
            self._names[kind], [id_ for id_, _, _ in marked], with_payload=[_DIGEST]
        )
        known = {str(each.id): (each.payload or {}).get(_DIGEST) for each in there}
        return [each for each in marked if known.get(each[0]) != each[2][_DIGEST]]

    def _delete(self, kind: str, points: Sequence[str]) -> None:
        if points:
            named = models.PointIdsList(points=list(points))
            self._client.delete(self._names[kind], named, wait=True)
            if self._embedded:
                self._copies[kind].remove(points)

    def _search(
        self, kind: str, vectors: _Floats, limit: int, filters: Filters | None, exact: bool
    ) -> list[dict[str, float]]:
        with self._one_at_a_time:
            if self._embedded and not exact and _filter(filters) is None:
                answers = self._copies[kind].search(vectors, limit)
            else:
                answers = self._ask(self._names[kind], vectors, limit, filters, exact)
            found = []
            for answer in answers:
                nearest: dict[str, float] = {}
                for point, score in answer:
                    document = self._document_of.get(point)
                    if document is not None:  # else another process has just put it there
                        nearest.setdefault(document, score)
                found.append(nearest)
        return found

    def _ask(
        self, collection: str, vectors: _Floats, limit: int, filters: Filters | None, exact: bool
    ) -> list[list[tuple[str, float]]]:
        # embedded Qdrant warns of parameters, which it has no use for
        params = models.SearchParams(hnsw_ef=max(limit, _BEAM), exact=exact)
        requests = [
            models.QueryRequest(
                query=vector.tolist(),
                limit=limit,
                filter=_filter(filters),
                params=None if self._embedded else params,
            )
            for vector in vectors
        ]
        answers = self._client.query_batch_points(collection, requests)
        return [[(str(point.id), point.score) for point in answer.points] for answer in answers]


def recall(index: DenseIndex, vectors: _Floats, k: int = 10) -> float:
    """Share of the exact k nearest documents that the index finds, 0 to 1; 1 where it is exact."""
    shares = []
    found = index.search(vectors, k)
    truth = index.search(vectors, k, exact=True)
    for ours, right in zip(found, truth, strict=True):
        for mine, its in zip(ours, right, strict=True):
            if its:
                shares.append(len({*mine} & {*its}) / len(its))
    return float(np.mean(shares)) if shares else 1.0


def _marked(vector: _Floats, payload: Mapping[str, str]) -> Mapping[str, str]:
    """A payload with the digest of the point."""
    told = json.dumps(payload, sort_keys=True).encode()
    digest = hashlib.sha256(np.asarray(vector, np.float32).tobytes() + told)
    return {**payload, _DIGEST: digest.hexdigest()[:32]}


def _point(document: str, number: int) -> str:
    """A point's id: the same in every process."""
    return str(uuid5(NAMESPACE_URL, f"{document}#{number}"))


def _filter(filters: Filters | None) -> models.Filter | None:
    if filters is None or not (restricted := filters.items()):
        return None
    return models.Filter(
        must=[
            models.FieldCondition(key=field, match=models.MatchAny(any=list(values)))
            for field, values in restricted
        ]
    )
