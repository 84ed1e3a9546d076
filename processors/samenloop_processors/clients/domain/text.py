"""Letters: folding, a Dutch sound code and how far two spellings may differ and still be one name."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from rapidfuzz.distance import OSA, JaroWinkler

_SPECIAL = str.maketrans(
    {"ø": "o", "đ": "d", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ĳ": "ij", "’": "'", "`": "'"}
)
_NOT_A_LETTER = re.compile(r"[^a-z\-/|]+")
_SOUNDS = (
    (re.compile(r"szoon$|sz$|ss$"), "s"),
    (re.compile(r"sch"), "s"),
    (re.compile(r"ch|gh"), "g"),
    (re.compile(r"ph"), "f"),
    (re.compile(r"th|dt"), "t"),
    (re.compile(r"ck|q|c(?=[aoukrl]|$)"), "k"),
    (re.compile(r"c|z|x"), "s"),
    (re.compile(r"[vw]"), "f"),
    (re.compile(r"d$|b$"), "t"),
    (re.compile(r"j"), "y"),
    (re.compile(r"(?<=.)[aeiouyh]"), ""),
    (re.compile(r"(.)\1+"), r"\1"),
)
_SOUND_LENGTH = 6


def fold(text: str) -> str:
    """Lower case without diacritics; ``ij`` and ``y`` alike; only letters, hyphens, slashes and single spaces are left."""
    low = text.lower()
    if not low.isascii():
        low = unicodedata.normalize("NFKD", low.translate(_SPECIAL))
        low = "".join(c for c in low if not unicodedata.combining(c))
    low = low.replace("'", "").replace("ij", "y")
    return _NOT_A_LETTER.sub(" ", low).strip()


@lru_cache(maxsize=65536)
def sound(name: str) -> str:
    """A code that spelling variants of a Dutch surname share: *Schmidt* and *Smit*, *Janssen* and *Jansen*."""
    code = name
    for pattern, by in _SOUNDS:
        code = pattern.sub(by, code)
    return code[:_SOUND_LENGTH]


def similar(a: str, b: str) -> bool:
    """Whether two folded names can be one name with a typing error: one slip from four letters, two from eight.

    Where folding made one letter of *ij*, the slip may have been between the two.
    """
    shortest = min(len(a), len(b))
    if shortest < 4:
        return False
    allowed = 2 if shortest >= 8 else 1
    if OSA.distance(a, b, score_cutoff=allowed) <= allowed:
        return True
    if "y" not in a and "y" not in b:
        return False
    return int(OSA.distance(a.replace("y", "ij"), b.replace("y", "ij"), score_cutoff=allowed)) <= allowed


def alike(a: str, b: str) -> bool:
    """Whether two names have more in common than chance gives, though more lies between them than a slip."""
    return JaroWinkler.similarity(a, b, score_cutoff=0.85) > 0
