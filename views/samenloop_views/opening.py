"""The keys with which the web and the notifier open what they show or need."""

from __future__ import annotations

from samenloop_processors.keys import KeyStore
from samenloop_processors.settings import HubSettings, secret_bytes


def key_store(settings: HubSettings, cache_seconds: float = 5.0) -> KeyStore:
    """Keys for opening; kept for seconds only, so that an erasure is felt at once."""
    if settings.keys_url is None or settings.kek is None:
        raise ValueError("this process opens facts: set SAMENLOOP_KEYS_URL and SAMENLOOP_KEK")
    return KeyStore(settings.keys_url.get_secret_value(), secret_bytes(settings.kek), cache_seconds=cache_seconds)
