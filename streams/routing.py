"""Readings that came without their patient's key, put in order before they are sent on by patient.

A producer without keys spreads one patient's readings over all partitions, and the partitions are
read independently of each other. `Merger` gives them back in the order of their Kafka times: it
holds a reading until every other partition has been read beyond it, or is read to its end and has
been quiet for a while. The order within a partition is always kept. As in Kafka Streams' choice of
the partition with the smallest head, equal times stay in any order.

Pure: told what was read and when, it tells what may go.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from typing import Generic, TypeVar

__all__ = ["Merger"]

Item = TypeVar("Item")


@dataclass(slots=True)
class _Held(Generic[Item]):
    time_ms: int
    arrived_ms: float
    item: Item


@dataclass(slots=True)
class _Lane(Generic[Item]):
    """One partition: what is held, how far it was read, and when that last changed."""

    since_ms: float
    held: deque[_Held[Item]] = field(default_factory=deque)
    read_to_ms: int = -1


class Merger(Generic[Item]):
    """Merges partitions by Kafka time.

    Args:
        hold_ms: how long a reading waits for partitions that were read to their end.
    """

    def __init__(self, hold_ms: float) -> None:
        self._hold_ms = hold_ms
        self._lanes: dict[int, _Lane[Item]] = {}

    def __len__(self) -> int:
        """Count the items held."""
        return sum(len(lane.held) for lane in self._lanes.values())

    def assign(self, partitions: set[int], now_ms: float) -> None:
        """Start afresh with these partitions."""
        self._lanes = {partition: _Lane(now_ms) for partition in partitions}

    def read(
        self,
        partition: int,
        read_to_ms: int,
        items: list[tuple[int, Item]],
        now_ms: float,
    ) -> None:
        """Note that a partition was read.

        Args:
            partition: which.
            read_to_ms: Kafka time of the last record read.
            items: Kafka time and item, in the order of their offsets.
            now_ms: a clock that only goes forward.
        """
        lane = self._lanes.setdefault(partition, _Lane(now_ms))
        lane.held.extend(_Held(time, now_ms, item) for time, item in items)
        lane.read_to_ms = max(lane.read_to_ms, read_to_ms)
        lane.since_ms = now_ms

    def release(self, now_ms: float, at_end: Callable[[int], bool]) -> list[Item]:
        """Take out what need not wait any longer, oldest first.

        Args:
            now_ms: a clock that only goes forward.
            at_end: whether a partition has been read to its end.
        """
        out: list[Item] = []
        heads = [(lane.held[0].time_ms, p) for p, lane in self._lanes.items() if lane.held]
        heapify(heads)
        empty = {p: at_end(p) for p, lane in self._lanes.items() if not lane.held}
        while heads:
            _, partition = heads[0]
            lane = self._lanes[partition]
            head = lane.held[0]
            if any(
                self._may_hold_older(self._lanes[p], head, now_ms, end) for p, end in empty.items()
            ):
                break
            out.append(lane.held.popleft().item)
            if lane.held:
                heapreplace(heads, (lane.held[0].time_ms, partition))
            else:
                heappop(heads)
                empty[partition] = at_end(partition)
        return out

    def _may_hold_older(
        self, lane: _Lane[Item], head: _Held[Item], now_ms: float, at_end: bool
    ) -> bool:
        if lane.read_to_ms >= head.time_ms:
            return False
        quiet_ms = now_ms - max(lane.since_ms, head.arrived_ms)
        return not at_end or quiet_ms < self._hold_ms
