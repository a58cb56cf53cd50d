"""RocksDB as Vigil's tables need it: a local copy of a changelog, of far more keys than are in use.

Faust's store with other options, and with a remedy where a database cannot be read.

**No write-ahead log.** The changelog is the log. What a database lost in a crash is what was in its
write buffers; they are flushed in the order in which they were written, so what is left is the
state at an earlier moment, the note of the changelog's offset included: the note never tells of
more than is there, because it is written after, or together with, what it tells of. Recovery reads
the rest from the changelog. A clean stop flushes. It is also less work for each reading.

**Point lookups.** A key is nearly always there and never looked for by range: full Bloom filters,
for write buffers as well, and blocks as they are (states are compact already). What is read goes
into the memory in front of the table and is not asked for again soon, so there is no block cache
but the system's. Write buffers are the process's, so that memory does not grow with the number of
partitions; and large, because what is overwritten in one never goes to disk.

**Damage.** A database that cannot be opened is set aside and made anew, which restores it from the
changelog. One that fails while it is read is marked; the worker stops, and sets it aside when it
starts again.
"""

import logging
import shutil
from functools import lru_cache
from pathlib import Path
from typing import Any

import rocksdict
from faust.stores import STORES
from faust.stores import rocksdb as faust_rocksdb

__all__ = ["SCHEME", "Store", "set_aside"]

log = logging.getLogger(__name__)

#: ``store=`` of an application whose tables are kept here.
SCHEME = "vigil"
STORES.aliases[SCHEME] = f"{__name__}:Store"

#: Bits a key: one key in a hundred that is not there is looked for in vain.
_BLOOM_BITS = 10
#: Written beside a database's files when it failed to read.
_DAMAGED = "vigil-damaged"
#: A file handle and its index are kept for so many files of a database; it has a file for 64 MiB.
_OPEN_FILES = 256
#: Bytes of one write buffer.
_LARGEST_BUFFER = 32 * 1024 * 1024
#: A write buffer grows by so much: a database that is idle costs one, and the filter.
_ARENA_BLOCK = 64 * 1024
#: Of a write buffer, for its Bloom filter.
_BLOOM_PART = 0.01


@lru_cache
def _buffers(size: int) -> Any:
    """Return what keeps the write buffers of all databases of this process within a size."""
    return rocksdict.WriteBufferManager(size, allow_stall=False)


class Store(faust_rocksdb.Store):
    """Databases of one table, one for each partition."""

    def load(self, partition: int, key: bytes) -> bytes | None:
        """Read a key.

        Raises:
            Exception: as RocksDB says it; a damaged database is set aside at the next start.
        """
        value: bytes | None = self._get_from(partition, key)
        return value

    def load_all(self, partition: int, keys: list[bytes]) -> list[bytes | None]:
        """Read keys, in one go; see `load`."""
        values: list[bytes | None] = self._get_from(partition, keys)
        return values

    def _get_from(self, partition: int, wanted: Any) -> Any:
        try:
            return self._db_for_partition(partition).get(wanted)
        except Exception as error:
            if _is_damage(error):
                (self.partition_path(partition) / _DAMAGED).touch()
            raise

    def _open_for_partition(self, partition: int) -> Any:
        path = self.partition_path(partition)
        if (path / _DAMAGED).exists():
            self._discard(path, "it could not be read")
        try:
            return self._open(path)
        except Exception as error:
            if not _is_damage(error):
                raise
            self._discard(path, str(error))
            return self._open(path)

    def _discard(self, path: Path, why: str) -> None:
        log.warning(
            "the local copy in %s is damaged (%s): it is set aside as %s, and what the changelog "
            "holds is restored",
            path, why, set_aside(path).name,
        )  # fmt: skip

    def _open(self, path: Path) -> Any:
        given = self.rocksdb_options
        blocks = rocksdict.BlockBasedOptions()
        blocks.disable_cache()
        blocks.set_bloom_filter(_BLOOM_BITS, block_based=False)
        options = rocksdict.Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_block_based_table_factory(blocks)
        options.set_compression_type(rocksdict.DBCompressionType.none())
        options.set_write_buffer_size(min(given.write_buffer_size, _LARGEST_BUFFER))
        options.set_write_buffer_manager(_buffers(given.write_buffer_size))
        options.set_max_write_buffer_number(given.max_write_buffer_number)
        options.set_memtable_prefix_bloom_ratio(_BLOOM_PART)
        options.set_memtable_whole_key_filtering(True)
        options.set_arena_block_size(_ARENA_BLOCK)
        options.set_level_compaction_dynamic_level_bytes(True)
        options.set_max_open_files(_OPEN_FILES)
        # its own log: little, and not a new file at every start
        options.set_keep_log_file_num(2)
        options.set_max_log_file_size(1024 * 1024)
        database = rocksdict.Rdict(str(path), options=options)
        database.set_read_options(rocksdict.ReadOptions())
        unlogged = rocksdict.WriteOptions()
        unlogged.disable_wal = True
        database.set_write_options(unlogged)
        return database


def _is_damage(error: Exception) -> bool:
    """Whether RocksDB complains of what is in its files; not of a lock, a right or a full disk."""
    text = str(error)
    return text.startswith("Corruption") or "No such file or directory" in text


def set_aside(folder: Path) -> Path:
    """Rename a database's folder, for somebody to look at; only the last one is kept."""
    aside = folder.with_name(folder.name + ".aside")
    shutil.rmtree(aside, ignore_errors=True)
    folder.rename(aside)
    return aside
