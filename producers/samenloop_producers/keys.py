"""The secrets of one partner: hashes for what leaves, encryption for what stays on its disk.

Everything derives from one edge secret that never leaves the partner. The derived keys are apart, so that a hash seen by the
hub says nothing about the files at the edge.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from samenloop_schemas import ids, sealing


class EdgeKeys:
    """Hashing and local encryption under keys derived from the edge secret (32 bytes)."""

    def __init__(self, edge_secret: bytes) -> None:
        if len(edge_secret) != sealing.KEY_BYTES:
            raise ValueError("the edge secret is 32 bytes")
        self._hashing = _derive(edge_secret, b"samenloop/edge/hash/v1")
        self._storing = _derive(edge_secret, b"samenloop/edge/store/v1")

    def __repr__(self) -> str:
        return "EdgeKeys(...)"

    def case_ref(self, organisation: str, source_system: str, case_number: str) -> str:
        """The hash under which the hub knows a case. Changing the edge secret makes every case a new one."""
        return ids.keyed_hash(self._hashing, "case", organisation, source_system, case_number)

    def person_ref(self, organisation: str, source_system: str, person_number: str) -> str:
        return ids.keyed_hash(self._hashing, "person", organisation, source_system, person_number)

    def digest(self, *parts: str) -> str:
        """A hash of content: keyed, because an unkeyed hash over a BSN can be reversed."""
        return ids.keyed_hash(self._hashing, "content", *parts)

    def phase(self, case_ref: str, term: int) -> int:
        """A fixed day of the term for each case, so that not all are confirmed on one day."""
        return int(case_ref[:8], 16) % term

    def lock(self, place: str, plaintext: bytes) -> bytes:
        """Encrypt for the partner's own disk; `place` (table and row) is bound to it."""
        return sealing.encrypt(self._storing, plaintext, place.encode())

    def unlock(self, place: str, ciphertext: bytes) -> bytes:
        """Raises sealing.NotOpened when the secret is another one or the file was damaged."""
        return sealing.decrypt(self._storing, ciphertext, place.encode())


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=sealing.KEY_BYTES, salt=None, info=purpose).derive(secret)
