"""Digests of the bodies in Faust and aiokafka that the batch intake leans on.

When a release changes one: read the difference, run the account of ids under joins, leaves and kills again, pin anew.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from faust.app.base import App
from faust.tables.recovery import Recovery
from faust.transport import consumer
from faust.transport.drivers import aiokafka as driver

LEANS_ON: tuple[Any, ...] = (
    consumer.Fetcher._fetcher,
    consumer.Consumer._drain_messages,
    consumer.Consumer._wait_next_records,
    consumer.Consumer.getmany,
    consumer.Consumer.wait_empty,
    consumer.Consumer.commit,
    consumer.Consumer._commit_handler,
    consumer.Consumer.on_stop,
    consumer.Consumer.perform_seek,
    consumer.Consumer.stop_flow,
    consumer.Consumer.resume_flow,
    consumer.Consumer.pause_partitions,
    consumer.Consumer.resume_partitions,
    consumer.ThreadDelegateConsumer._getmany,
    consumer.ThreadDelegateConsumer._commit,
    consumer.ThreadDelegateConsumer.seek_wait,
    driver.AIOKafkaConsumerThread._fetch_records,
    driver.AIOKafkaConsumerThread._seek_wait,
    driver.AIOKafkaConsumerThread._commit,
    driver.AIOKafkaConsumerThread._highwaters,
    fetcher.PartitionRecords._unpack_records,
    _MemoryRecordsPy.next_batch,
    _DefaultRecordBatchPy._read_msg,
    App._stop_consumer,
    App._on_partitions_revoked,
    App._on_partitions_assigned,
    Recovery._resume_streams,
)


def digests() -> dict[str, str]:
    """Qualified name to the first twelve hex digits of the digest of its source."""
    return {_function(body).__qualname__: _digest(_function(body)) for body in LEANS_ON}


def _function(body: Any) -> Any:
    """The plain function inside Faust's task and transition wrappers."""
    body = getattr(body, "fun", body)
    return getattr(body, "__wrapped__", body)


def _digest(function: Any) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:12]
