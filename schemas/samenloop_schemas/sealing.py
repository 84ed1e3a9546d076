"""The two ways in which personal data travel: sealed for intake alone, and under the data key of a case or a person.

The seal is HPKE (RFC 9180) in base mode: X25519, HKDF-SHA-256, AES-256-GCM, with a fresh encapsulated key per message. Fields
are AES-256-GCM with a random 96-bit nonce; their associated data bind event, field and schema, so that a ciphertext cannot be
moved to another place.
"""

from __future__ import annotations

import base64
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

KEY_BYTES = 32
_NONCE_BYTES = 12
_INFO = b"samenloop/identity/v1"
_SUITE = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


class NotOpened(ValueError):
    """The bytes cannot be opened with this key: wrong key, damaged, or moved from another place."""


def seal(hub_key: X25519PublicKey, plaintext: bytes) -> bytes:
    """Seal for the holder of the hub's private key."""
    return _SUITE.encrypt(plaintext, hub_key, info=_INFO)


def open_seal(hub_key: X25519PrivateKey, sealed: bytes) -> bytes:
    """Open what `seal` made. Raises NotOpened."""
    try:
        return _SUITE.decrypt(sealed, hub_key, info=_INFO)
    except Exception:
        raise NotOpened("the seal does not open with the hub's key") from None


def encrypt(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Nonce and ciphertext under a 256-bit data key."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, associated)


def decrypt(key: bytes, ciphertext: bytes, associated: bytes) -> bytes:
    """Raises NotOpened on a wrong key, wrong place or damage."""
    try:
        return AESGCM(key).decrypt(ciphertext[:_NONCE_BYTES], ciphertext[_NONCE_BYTES:], associated)
    except (InvalidTag, ValueError):
        raise NotOpened("a field does not open with its key") from None


def place(event_id: UUID | str, field: str, fingerprint: str) -> bytes:
    """The associated data of a field: event id, field, schema fingerprint."""
    return f"{event_id}|{field}|{fingerprint}".encode()


def new_key() -> bytes:
    return os.urandom(KEY_BYTES)


def key_to_text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def key_from_text(text: str) -> bytes:
    """A 32-byte key from base64; raises ValueError that names the form, not the content."""
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError("a key is 32 bytes in base64")
    return key


def private_key(raw: bytes) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(raw)


def public_key(raw: bytes) -> X25519PublicKey:
    return X25519PublicKey.from_public_bytes(raw)


def new_hub_key() -> tuple[bytes, bytes]:
    """A fresh (private, public) pair as raw bytes."""
    private = X25519PrivateKey.generate()
    return (
        private.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()),
        private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
    )
