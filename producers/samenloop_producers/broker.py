"""Opening kafka-python clients so that what goes wrong is said in words, and grouped by what has to happen next."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kafka import KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors

from samenloop_producers.errors import ConfigurationError, TransientError
from samenloop_schemas.kafka_access import KafkaAccess

Client = TypeVar("Client")
_BOOTSTRAP_MS = 10_000
_TOO_BIG = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
_NO_RIGHT = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
)


class _Overheard(logging.Handler):
    """kafka-python only logs that the broker refused a log-in, and raises a time-out: this hears the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.refused = False

    def emit(self, record: logging.LogRecord) -> None:
        said = [*(record.args if isinstance(record.args, tuple) else ()), record.msg]
        self.refused = self.refused or any(
            isinstance(part, kafka_errors.SaslAuthenticationFailedError) or "SaslAuthenticationFailedError" in str(part)
            for part in said
        )


@contextmanager
def _overhear() -> Iterator[_Overheard]:
    heard, logger = _Overheard(), logging.getLogger("kafka.net")
    logger.addHandler(heard)
    try:
        yield heard
    finally:
        logger.removeHandler(heard)


def open_producer(access: KafkaAccess, delivery_timeout_ms: int = 30_000) -> Any:
    """An idempotent producer that waits for all in-sync replicas. Raises ConfigurationError or TransientError."""
    return _open(
        access,
        lambda: KafkaProducer(
            **access.client_args(),
            enable_idempotence=True,
            acks="all",
            linger_ms=5,
            compression_type=None,
            delivery_timeout_ms=delivery_timeout_ms,
            request_timeout_ms=min(10_000, delivery_timeout_ms),
            max_block_ms=min(10_000, delivery_timeout_ms),
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
            allow_auto_create_topics=False,
        ),
    )


def open_consumer(access: KafkaAccess) -> Any:
    """A consumer without a group: the caller keeps its positions. Raises ConfigurationError or TransientError."""
    return _open(
        access,
        lambda: KafkaConsumer(
            **access.client_args(),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
            allow_auto_create_topics=False,
        ),
    )


def judge(error: Exception, access: KafkaAccess, topic: str = "") -> ConfigurationError | TransientError:
    """What a failed call to the broker asks for."""
    if isinstance(error, kafka_errors.SaslAuthenticationFailedError):
        return _refused(access)
    if isinstance(error, _NO_RIGHT):
        return ConfigurationError(
            f"the broker lets user {access.username!r} in but gives it no right to {topic or 'this topic'}: "
            "ask the hub's operators to apply the topology",
            detail=type(error).__name__,
        )
    if isinstance(error, kafka_errors.UnknownTopicOrPartitionError):
        return ConfigurationError(f"there is no topic {topic}: check SAMENLOOP_TOPIC_PREFIX and the partner's name")
    return TransientError(f"the broker at {access.bootstrap} did not confirm in time", type(error).__name__)


def is_too_big(error: BaseException | None) -> bool:
    return isinstance(error, _TOO_BIG)


def _open(access: KafkaAccess, make: Callable[[], Client]) -> Client:
    with _overhear() as heard:
        try:
            return make()
        except (ValueError, TypeError, AssertionError) as error:
            raise ConfigurationError(f"the broker settings cannot be used: {type(error).__name__}") from None
        except kafka_errors.KafkaError as error:
            if heard.refused or isinstance(error, kafka_errors.SaslAuthenticationFailedError):
                raise _refused(access) from None
            if (unreachable := _unreachable(access)) is not None:
                raise TransientError(
                    f"no broker answers at {unreachable} (SAMENLOOP_KAFKA_BOOTSTRAP): {type(error).__name__}"
                ) from None
            raise TransientError(
                f"something listens at {access.bootstrap} but did not let user {access.username!r} in within "
                f"{_BOOTSTRAP_MS // 1000} s: when this lasts, check the password and SAMENLOOP_KAFKA_SECURITY_PROTOCOL"
            ) from None


def _refused(access: KafkaAccess) -> ConfigurationError:
    return ConfigurationError(
        f"the broker at {access.bootstrap} refuses user {access.username!r}: wrong user name or password "
        "(SAMENLOOP_KAFKA_USERNAME, SAMENLOOP_KAFKA_PASSWORD)"
    )


def _unreachable(access: KafkaAccess) -> str | None:
    """The bootstrap addresses when none of them accepts a connection."""
    for address in access.bootstrap.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
                return None
        except (OSError, ValueError):
            continue
    return access.bootstrap
