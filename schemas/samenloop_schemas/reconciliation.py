"""The daily account between hub and partner: one hash over what is held of an organisation in an area.

Both sides compute it: of each case the statement with the highest (revision, stated_at, statement_id), unless that is
RETRACTED or does not count; the SHA-256 over their statement ids in text form, sorted, one to a line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def hash_of(statement_ids: Iterable[str]) -> str:
    return hashlib.sha256("".join(f"{text}\n" for text in sorted(statement_ids)).encode()).hexdigest()
