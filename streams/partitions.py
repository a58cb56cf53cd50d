"""Which partition a patient belongs to: Kafka's default partitioner (murmur2), for many at once.

aiokafka's is written in Python and takes microseconds a key; a cache of it is of no use where there
are more patients than it holds. For one key it is as fast as compiled code with its arrays, and it
is there at once: the first call of anything compiled stands still for one to two seconds, which in
a worker that answers was the wait of the first who asked.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from aiokafka.partitioner import murmur2
from numpy.typing import NDArray

from models.compiled import kernel

__all__ = ["partition_of", "partitions_of"]

_MASK = 0xFFFFFFFF
_MIX = 0x5BD1E995
_SEED = 0x9747B28C


@lru_cache(maxsize=131_072)
def partition_of(key: bytes, partitions: int) -> int:
    """Partition of one key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def partitions_of(keys: Sequence[bytes], partitions: int) -> NDArray[np.int64]:
    """Partition of each key, shape [n].

    >>> partitions_of([b"p1", b"p2"], 4).tolist() == [partition_of(k, 4) for k in (b"p1", b"p2")]
    True
    """
    data = np.frombuffer(b"".join(keys) or b"\0", np.uint8)
    ends = np.cumsum(np.array([len(key) for key in keys], np.int64))
    found = np.empty(len(keys), np.int64)
    _partitions(data, ends, partitions, found)
    return found


@kernel
def _partitions(
    data: NDArray[np.uint8], ends: NDArray[np.int64], partitions: int, found: NDArray[np.int64]
) -> None:
    """murmur2 (Austin Appleby) as in Kafka's ``Utils.murmur2``, on 32 bits kept in 64."""
    start = 0
    for i in range(len(ends)):
        end = ends[i]
        h = _SEED ^ (end - start)
        at = start
        while at + 4 <= end:
            k = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | np.int64(data[at + 3]) << 24
            k = k * _MIX & _MASK
            k ^= k >> 24
            k = k * _MIX & _MASK
            h = h * _MIX & _MASK ^ k
            at += 4
        rest = end - at
        if rest >= 3:
            h ^= np.int64(data[at + 2]) << 16
        if rest >= 2:
            h ^= np.int64(data[at + 1]) << 8
        if rest >= 1:
            h = (h ^ np.int64(data[at])) * _MIX & _MASK
        h ^= h >> 13
        h = h * _MIX & _MASK
        h ^= h >> 15
        found[i] = (h & 0x7FFFFFFF) % partitions
        start = end
