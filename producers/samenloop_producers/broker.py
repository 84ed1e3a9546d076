"""Opening kafka-python clients so that what goes wrong is said in words, and grouped by what has to happen next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kafka import KafkaConsumer, KafkaProducer
from kafka import errors as kafka_errors

from samenloop_producers.errors import ConfigurationError, TransientError
from samenloop_producers.log_in import Answer, ask_to_log_in
from samenloop_schemas.kafka_access import KafkaAccess

Client = TypeVar("Client")
_BOOTSTRAP_MS = 10_000
_TOO_BIG = (kafka_errors.MessageSizeTooLargeError, kafka_errors.RecordListTooLargeError)
_NO_RIGHT = (
    kafka_errors.TopicAuthorizationFailedError,
    kafka_errors.ClusterAuthorizationFailedError,
    kafka_errors.GroupAuthorizationFailedError,
)


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
            request_timeout_ms=min(10_000, delivery_timeout_ms // 2),
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
    """kafka-python says the same of a wrong password and of a broker that is away: a time-out. So ask first which it is."""
    answers = {ask_to_log_in(access, address) for address in access.bootstrap.split(",")}
    if Answer.REFUSED in answers:
        raise _refused(access)
    if answers == {Answer.ABSENT}:
        raise TransientError(f"no broker answers at {access.bootstrap} (SAMENLOOP_KAFKA_BOOTSTRAP)")
    if Answer.LET_IN not in answers:
        raise TransientError(
            f"what listens at {access.bootstrap} does not answer as a broker does: when this lasts, check "
            "SAMENLOOP_KAFKA_BOOTSTRAP, SAMENLOOP_KAFKA_SECURITY_PROTOCOL and SAMENLOOP_KAFKA_SASL_MECHANISM"
        )
    try:
        return make()
    except (ValueError, TypeError, AssertionError, kafka_errors.KafkaConfigurationError) as error:
        raise ConfigurationError(f"the broker settings cannot be used: {type(error).__name__}") from None
    except kafka_errors.KafkaError as error:
        raise TransientError(f"the broker at {access.bootstrap} is busy or starting: {type(error).__name__}") from None


def _refused(access: KafkaAccess) -> ConfigurationError:
    return ConfigurationError(
        f"the broker at {access.bootstrap} refuses user {access.username!r}: wrong user name or password "
        "(SAMENLOOP_KAFKA_USERNAME, SAMENLOOP_KAFKA_PASSWORD)"
    )
