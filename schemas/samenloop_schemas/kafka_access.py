"""How a process reaches the broker: one settings model for every Kafka client in use."""

from __future__ import annotations

from pathlib import Path
from ssl import SSLContext, create_default_context
from typing import Any, Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class KafkaAccess(BaseSettings):
    """Address and credentials of one principal, from ``SAMENLOOP_KAFKA_*``."""

    model_config = SettingsConfigDict(env_prefix="SAMENLOOP_KAFKA_", extra="ignore", frozen=True)

    bootstrap: str
    username: str
    password: SecretStr
    security_protocol: Literal["SASL_PLAINTEXT", "SASL_SSL"] = "SASL_SSL"
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256"] = "SCRAM-SHA-512"
    ca_file: Path | None = None

    def client_args(self) -> dict[str, Any]:
        """Keyword arguments for kafka-python's producer, consumer and admin client."""
        return self._sasl("sasl_mechanism") | ({"ssl_cafile": str(self.ca_file)} if self.ca_file else {})

    def aiokafka_args(self) -> dict[str, Any]:
        """Keyword arguments for aiokafka's producer and consumer."""
        return self._sasl("sasl_mechanism") | ({"ssl_context": context} if (context := self.ssl_context()) else {})

    def ssl_context(self) -> SSLContext | None:
        if self.security_protocol == "SASL_PLAINTEXT":
            return None
        return create_default_context(cafile=str(self.ca_file) if self.ca_file else None)

    def environment(self) -> dict[str, str]:
        """The environment variables from which a child process reads the same access."""
        env = {
            "SAMENLOOP_KAFKA_BOOTSTRAP": self.bootstrap,
            "SAMENLOOP_KAFKA_USERNAME": self.username,
            "SAMENLOOP_KAFKA_PASSWORD": self.password.get_secret_value(),
            "SAMENLOOP_KAFKA_SECURITY_PROTOCOL": self.security_protocol,
            "SAMENLOOP_KAFKA_SASL_MECHANISM": self.sasl_mechanism,
        }
        return env | ({"SAMENLOOP_KAFKA_CA_FILE": str(self.ca_file)} if self.ca_file else {})

    def _sasl(self, mechanism_key: str) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": self.security_protocol,
            mechanism_key: self.sasl_mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password.get_secret_value(),
        }
