"""Ids derived from content, so that whatever is sent twice is recognised anywhere. Nothing here is random or reads a clock."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID, uuid5

NAMESPACE = UUID("6f1c1f0e-54d5-5c0e-9d63-2c1f6c1f7a11")
_CODE = re.compile(r"^[a-z][a-z0-9_-]{0,47}$")


def derived_id(kind: str, *parts: object) -> UUID:
    """UUIDv5 over the parts, unambiguous whatever characters they hold."""
    return uuid5(
        NAMESPACE, json.dumps([kind, *(str(part) for part in parts)], ensure_ascii=False, separators=(",", ":"))
    )


def statement_id(
    area: str, organisation: str, source_system: str, case_ref: str, revision: int, content_hash: str
) -> UUID:
    """The id of an `InvolvementStatement`. `content_hash` is keyed: an unkeyed hash over a BSN can be reversed."""
    return derived_id("statement", area, organisation, source_system, case_ref, revision, content_hash)


def receipt_id(partner: str, statement: UUID, codes: Sequence[str]) -> UUID:
    return derived_id("receipt", partner, statement, *codes)


def clock_event_id(area: str, day: date) -> UUID:
    """Derived from area and day, so that two clock processes do no harm."""
    return derived_id("clock", area, day.isoformat())


def client_id(anchor: str) -> str:
    """The canonical id of the client whose least member is `anchor`."""
    return derived_id("client", anchor).hex


def case_id(kind: str, anchor: str) -> str:
    """The canonical id of the overlap case whose least fact is `anchor`."""
    return derived_id("case", kind, anchor).hex


def keyed_hash(secret: bytes, *parts: str) -> str:
    """128 bits of HMAC-SHA-256 in hexadecimal: refs and ids that say nothing without the secret."""
    message = json.dumps(list(parts), ensure_ascii=False, separators=(",", ":")).encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()[:32]


def canonical_json(value: Any) -> bytes:
    """One spelling per value: sorted keys, no white space, UTF-8. For hashes and comparisons."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def is_code(text: str) -> bool:
    """Whether a text can be a code of an agreement: lower case, no spaces, so that no free text passes as one."""
    return bool(_CODE.match(text))
