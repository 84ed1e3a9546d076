"""What a hub process is told through its environment. Secrets stay wrapped until the moment of use."""

from __future__ import annotations

from base64 import b64decode

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from samenloop_schemas.kafka_access import KafkaAccess
from samenloop_schemas.topics import Topics


def secret_bytes(secret: SecretStr, length: int = 32) -> bytes:
    """A key given in base64. Raises ValueError, without the value, when it is not exactly `length` bytes."""
    try:
        raw = b64decode(secret.get_secret_value(), validate=True)
    except ValueError:
        raise ValueError("not base64") from None
    if len(raw) != length:
        raise ValueError(f"{len(raw)} bytes where {length} are needed")
    return raw


class HubSettings(BaseSettings):
    """One hub process. Names are those of the environment variables; Kafka's own are in `KafkaAccess`."""

    model_config = SettingsConfigDict(env_prefix="SAMENLOOP_", extra="ignore", frozen=True, populate_by_name=True)

    database_url: SecretStr = Field(validation_alias="DATABASE_URL")
    topic_prefix: str = ""
    keys_url: SecretStr | None = None
    """The keys database, for a process that opens facts or identities."""
    kek: SecretStr | None = None
    """Key-encryption key, base64 of 32 bytes."""
    matching_key: SecretStr | None = None
    """Intake only: base64 of 32 bytes."""
    hub_private_key: SecretStr | None = None
    """Intake only: base64 of a raw X25519 private key."""
    metrics_port: int = 0
    """Port on loopback for /metrics, /livez and /readyz; 0 picks a free one."""
    instance: str | None = None
    """Static membership: one id per worker slot that comes back. None = dynamic member."""

    session_timeout_s: float = 10.0
    batch_records: int = 1000
    batch_seconds: float = 1.0
    """A batch is cut so that deciding on it takes about this long."""
    pace_seconds: float = 0.0
    """Wait before the next fetch when little is pending: fewer, larger transactions against delay."""
    assignment_timeout_s: float = 30.0
    stall_timeout_s: float = 60.0
    """End offset ahead and no movement for this long: the worker says so and stops."""
    pause_share: float = 0.5
    """Share of bad records among the last `pause_window` of a partner's topic above which it is paused."""
    pause_window: int = 200
    pause_seconds: float = 900.0

    @property
    def topics(self) -> Topics:
        return Topics(self.topic_prefix)

    def kafka(self) -> KafkaAccess:
        """Access of this process's principal, from `SAMENLOOP_KAFKA_*`."""
        return KafkaAccess()  # type: ignore[call-arg]  # fields come from the environment
