"""The citizen service number (BSN): the eleven-test and its traps.

The weights 9, 8, 7, 6, 5, 4, 3, 2, -1 are non-zero and distinct modulo 11, so each single wrong digit and each swap of two
digits is caught. A wrong number that passes is nearly always somebody else's. An RSIN passes the same test.
"""

from __future__ import annotations

import re

_WEIGHTS = (9, 8, 7, 6, 5, 4, 3, 2, -1)
_SEPARATORS = re.compile(r"[\s.\-]")


def normalise_bsn(text: str) -> str | None:
    """Nine digits, or None when it cannot be a BSN; eight digits get their leading zero back (``1112.22.333`` is allowed)."""
    digits = _SEPARATORS.sub("", text)
    if not digits.isascii() or not digits.isdigit() or len(digits) not in (8, 9):
        return None
    return digits.zfill(9)


def passes_eleven_test(bsn: str) -> bool:
    """The eleven-test with a sum above zero (000000000 fails)."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, bsn, strict=True))
    return total > 0 and total % 11 == 0


def valid_bsn(text: str) -> str | None:
    """The normalised number when it passes the eleven-test, else None."""
    bsn = normalise_bsn(text)
    return bsn if bsn and passes_eleven_test(bsn) else None
