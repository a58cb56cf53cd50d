"""Faust tables for state that is written a batch at a time.

A stock Faust table costs a changelog send, two puts and a sensor call for every key it is given.
`BatchTable` writes what one batch changed in one go: to RocksDB as a write batch, to the changelog
as records of the batch's outbox, in the table's own serialisation (raw bytes), so that recovery,
standby replicas and the assignor work on it as on any table. How far the local copy has got is
noted once a batch, when the broker holds the changelog.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import rocksdict
from faust.types import TP

from streams.outbox import Outbox

__all__ = ["BatchTable"]

_MIB = 1024 * 1024


class BatchTable:
    """A Faust table of bytes by bytes, co-partitioned with the topics its agent reads.

    Args:
        app: the application.
        name: of the table.
        partitions: as many as the topics have.
        buffer_mib: RocksDB's write buffers, for all tables of the process.
        about: one line for people.
    """

    def __init__(
        self, app: Any, name: str, *, partitions: int, buffer_mib: int, about: str
    ) -> None:
        self._app = app
        self.table = app.Table(
            name,
            partitions=partitions,
            key_type=bytes,
            value_type=bytes,
            help=about,
            options={
                # Faust's default is 3 x 64 MiB for every partition of every table
                "write_buffer_size": buffer_mib * _MIB,
                "max_write_buffer_number": 2,
            },
        )

    @property
    def changelog(self) -> str:
        """Name of the changelog topic."""
        return str(self.table.changelog_topic_name)

    def load(self, partition: int, key: bytes) -> bytes | None:
        """Read a key from the local copy."""
        value: bytes | None = self.table.data.load(partition, key)
        return value

    def load_all(self, partition: int, keys: list[bytes]) -> list[bytes | None]:
        """Read keys from the local copy, in one go."""
        values: list[bytes | None] = self.table.data.load_all(partition, keys)
        return values

    def scan(self, partition: int, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Read the local copy, by key; from a key on, or whole.

        Faust's note of the changelog's offset lies among the keys, and is none of the table's.
        """
        data = self.table.data
        found = data._db_for_partition(partition).items(from_key=start)
        return ((key, value) for key, value in found if key != data.offset_key)

    def store(
        self, partition: int, writes: Sequence[tuple[bytes, bytes | None]], outbox: Outbox
    ) -> None:
        """Write keys to the local copy, and put their changelog records into the outbox.

        A value of None deletes.

        The local copy may then be ahead of the changelog and of the committed offsets. That is
        safe where a state knows which readings it has seen, as `tables.windows` does.
        """
        if writes:
            self.announce(partition, writes, outbox)
            self.apply(partition, writes)

    def announce(
        self, partition: int, writes: Sequence[tuple[bytes, bytes | None]], outbox: Outbox
    ) -> None:
        """Put the changelog records into the outbox and leave the local copy as it is.

        For state that must not be ahead of the broker: `apply` it when the broker has them.
        """
        outbox.extend(self.changelog, partition, writes)

    def apply(self, partition: int, writes: Sequence[tuple[bytes, bytes | None]]) -> None:
        """Write keys to the local copy."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in writes:
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self.table.data._db_for_partition(partition).write(batch)

    def stored(self, partition: int, delivered: dict[tuple[str, int], int]) -> None:
        """Note how far the local copy has got; ``delivered`` is what the outbox returned."""
        offset = delivered.get((self.changelog, partition))
        if offset is not None:
            self.table.data.set_persisted_offset(TP(self.changelog, partition), offset)
            self._app.tables.delivered(TP(self.changelog, partition), offset)
