"""Record batches as aiokafka reads them, except that a header's name need not be text.

Kafka takes any bytes for the name of a header; aiokafka raises on bytes that are no UTF-8, again at every start. One such
record would stop a stage for everybody, for as long as the log is kept. So a batch that cannot be read is read once more,
slowly, with replacement characters in such names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy

_MAGIC_WITH_HEADERS = 2


def install() -> None:
    """For all consumers of this process."""
    fetcher.MemoryRecords = LenientRecords


class LenientRecords(_MemoryRecordsPy):  # type: ignore[misc]
    """Cuts a fetch into batches; the batches themselves are read by aiokafka's compiled code."""

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return batch if raw is None or raw[self.MAGIC_OFFSET] < _MAGIC_WITH_HEADERS else _Batch(batch, raw)


class _Batch:
    """A batch like the one inside it, which is read again from the record at which it fails."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except UnicodeDecodeError:
            for number, record in enumerate(_slowly(self._raw)):
                if number >= read:
                    yield record


def _slowly(raw: memoryview) -> Iterator[Any]:
    batch = _DefaultRecordBatchPy(raw)
    batch._maybe_uncompress()
    batch._buffer = _Bytes(batch._buffer)
    yield from batch


class _Bytes(bytearray):
    """Decodes whatever it holds."""

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return _Bytes(found) if isinstance(key, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "replace")
