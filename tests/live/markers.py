"""Unmistakable values, and every form in which one could lie somewhere: encodings, spellings of dates, hashes of a number."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from urllib.parse import quote

MONTHS = (
    *("januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november"),
    *("december", "January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
"""Of two languages, one after the other."""
_START = 4
_WORD = r"(?<![0-9A-Fa-f])%s(?![0-9A-Fa-f])"
"""Eight digits occur in random hexadecimal by chance; with such neighbours they are part of it."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A value of one person. `about` names it in a failure; `forms` are what its presence would look like."""

    about: str
    forms: frozenset[bytes]
    words: tuple[re.Pattern[bytes], ...] = ()

    def found_in(self, place: bytes, starts: frozenset[bytes] | None = None) -> bytes | None:
        """The first form that lies there. `starts`, of the place, saves looking for what cannot begin anywhere."""
        starts = starts_in(place) if starts is None else starts
        for form in self.forms:
            if form[:_START] in starts and form in place:
                return form
        for pattern in self.words:
            if found := pattern.search(place):
                return found[0]
        return None


def starts_in(place: bytes) -> frozenset[bytes]:
    """All that a form could begin with there: thousands of forms are sought in megabytes."""
    return frozenset({place[at : at + _START] for at in range(len(place))})


def text(about: str, *spellings: str) -> Marker:
    return Marker(about, frozenset(form for spelling in spellings for form in _forms(spelling)))


def bsn(about: str, number: str) -> Marker:
    """The number, and what anybody could turn back into it by trying all numbers."""
    hashes = [hashlib.new(name, number.encode()).digest() for name in ("sha256", "sha1", "md5", "sha512")]
    shapes = {shape for digest in hashes for shape in (digest, *_hex(digest), *(_whole_base64(digest)))}
    dotted = f"{number[:4]}.{number[4:6]}.{number[6:]}"
    return Marker(about, frozenset({*_forms(number), *_forms(dotted), *shapes}))


def phone(about: str, number: str) -> Marker:
    """A Dutch mobile number, ten digits."""
    pairs = " ".join(number[at : at + 2] for at in range(0, 10, 2))
    return text(about, number, f"31{number[1:]}", f"{number[:2]}-{number[2:]}", f"{number[:2]} {number[2:]}", pairs)


def postcode(about: str, code: str) -> Marker:
    return text(about, code, f"{code[:4]} {code[4:]}")


def day(about: str, value: date) -> Marker:
    """A date as people and machines write it, in both directions and two languages."""
    y, m, d = f"{value.year:04d}", f"{value.month:02d}", f"{value.day:02d}"
    spellings = {sign.join(parts) for sign in "-/. _" for parts in ((y, m, d), (d, m, y), (m, d, y))}
    spellings |= {f"{value.day}{sign}{value.month}{sign}{y}" for sign in "-/."}
    for name in (MONTHS[value.month - 1], MONTHS[value.month + 11]):
        for month in {name, name[:3], name[:3] + ".", "mrt" if value.month == 3 else name}:
            spellings |= {f"{value.day} {month} {y}", f"{d}-{month}-{y}", f"{month} {value.day}, {y}"}
    # as a record is printed: year=1951, month=10, day=23
    spellings |= {f"year={value.year}, month={value.month}, day={value.day}"}
    spellings |= {json.dumps({"year": value.year, "month": value.month, "day": value.day})}
    compact = {y + m + d, d + m + y, m + d + y}
    encoded = {form for digits in compact for form in _forms(digits) if form != digits.encode()}
    return Marker(
        about,
        frozenset({form for spelling in spellings for form in _forms(spelling)} | encoded),
        tuple(re.compile(_WORD.encode() % digits.encode()) for digits in sorted(compact)),
    )


def found(markers: Iterable[Marker], place: bytes) -> list[str]:
    """What lies there, by name and form; never the place itself, which may be long."""
    starts = starts_in(place)
    hits = ((marker, marker.found_in(place, starts)) for marker in markers)
    return [f"{marker.about} as {form!r}" for marker, form in hits if form is not None]


def _forms(spelling: str) -> Iterator[bytes]:
    for cased in {spelling, spelling.lower(), spelling.upper()}:
        for composed in {unicodedata.normalize("NFC", cased), unicodedata.normalize("NFD", cased)}:
            plain = composed.encode()
            yield plain
            yield composed.encode("utf-16-le")
            yield composed.encode("utf-16-be")
            yield from _hex(plain)
            yield from _base64_within(plain)
            yield quote(composed, safe="").encode()
            yield quote(composed, safe="").lower().encode()
            yield json.dumps(composed)[1:-1].encode()
            yield "".join(c if c.isascii() else f"&#{ord(c)};" for c in composed).encode()
            try:
                yield composed.encode("cp1252")
                yield from _hex(composed.encode("cp1252"))
            except UnicodeEncodeError:
                continue


def _hex(plain: bytes) -> tuple[bytes, bytes]:
    return plain.hex().encode(), plain.hex().upper().encode()


def _whole_base64(plain: bytes) -> Iterator[bytes]:
    for coded in (base64.b64encode(plain), base64.urlsafe_b64encode(plain)):
        yield coded.rstrip(b"=")


def _base64_within(plain: bytes) -> Iterator[bytes]:
    """What the text looks like inside the base64 of something longer: the characters that it alone decides."""
    for shift in range(3):
        first = -(-shift * 8 // 6)
        last = (shift + len(plain)) * 8 // 6
        for coded in (base64.b64encode, base64.urlsafe_b64encode):
            yield coded(bytes(shift) + plain + bytes(2))[first:last]
