"""Exact search over vectors in one array: what embedded Qdrant is searched with.

Embedded Qdrant turns its float32 vectors into float64 at each search and takes three times as long
as this; and here several questions share one way through memory.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from rag.encoder import DIMENSIONS

__all__ = ["Matrix"]

_Floats = NDArray[np.float32]


class Matrix:
    """Vectors by name. Not safe for several threads: its owner locks."""

    def __init__(self) -> None:
        self._vectors = np.zeros((0, DIMENSIONS), np.float32)
        self._slot_of: dict[str, int] = {}
        self._names: list[str | None] = []
        self._free: list[int] = []

    def __len__(self) -> int:
        """How many vectors there are."""
        return len(self._slot_of)

    def put(self, names: Sequence[str], vectors: Sequence[_Floats]) -> None:
        """Add vectors, or replace those of the same names."""
        for name, vector in zip(names, vectors, strict=True):
            slot = self._slot_of.get(name)
            if slot is None:
                slot = self._free.pop() if self._free else len(self._names)
                if slot == len(self._names):
                    self._names.append(name)
                    self._grow(slot + 1)
                self._names[slot] = name
                self._slot_of[name] = slot
            self._vectors[slot] = vector

    def remove(self, names: Iterable[str]) -> None:
        """Take vectors out; unknown names are passed over."""
        for name in names:
            slot = self._slot_of.pop(name, None)
            if slot is not None:
                self._names[slot] = None
                self._vectors[slot] = 0
                self._free.append(slot)

    def get(self, name: str) -> _Floats | None:
        """A vector by its name."""
        slot = self._slot_of.get(name)
        return None if slot is None else self._vectors[slot]

    def search(self, questions: _Floats, limit: int) -> list[list[tuple[str, float]]]:
        """Find the nearest vectors.

        Args:
            questions: (n, `DIMENSIONS`).
            limit: for each.

        Returns:
            For each question names and dot products, best first.
        """
        count = len(self._names)
        if not self._slot_of:
            return [[] for _ in questions]
        found = []
        for products in questions @ self._vectors[:count].T:
            # slots that are free have a product of 0 and may be among the best of few
            most = min(limit + len(self._free), count)
            best = np.argpartition(-products, most - 1)[:most]
            best = best[np.argsort(-products[best], kind="stable")]
            named = [
                (name, float(products[slot]))
                for slot in best.tolist()
                if (name := self._names[slot]) is not None
            ]
            found.append(named[:limit])
        return found

    def _grow(self, size: int) -> None:
        if size > len(self._vectors):
            more = max(1_024, len(self._vectors) // 2, size - len(self._vectors))
            self._vectors = np.concatenate(
                [self._vectors, np.zeros((more, DIMENSIONS), np.float32)]
            )
