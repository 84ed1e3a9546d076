"""Newline-delimited JSON from a source that is not to be trusted: limits on size, and a file that was cut off is found out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from samenloop_connectors.sdk.errors import DataError, TransientError


@dataclass(frozen=True, slots=True)
class Line:
    """One line by its number. `resource` is None when it is no JSON object."""

    number: int
    resource: Mapping[str, Any] | None


def lines(chunks: Iterable[bytes], *, line_bytes: int, file_bytes: int, counted: int | None = None) -> Iterator[Line]:
    """The lines of a file as it comes in; empty ones are skipped but numbered.

    `counted` is what the manifest says it holds. Raises TransientError for a file that stops too early: when it holds another
    number of lines than counted, or when its last line has no end and is no JSON either. Raises DataError past a limit.
    """
    rest, number, told, size, last_whole = b"", 0, 0, 0, True
    for chunk in chunks:
        size += len(chunk)
        if size > file_bytes:
            raise DataError("too_large", message=f"a file holds more than {file_bytes} bytes")
        *whole, rest = (rest + chunk).split(b"\n")
        if len(rest) > line_bytes or any(len(line) > line_bytes for line in whole):
            raise DataError("too_large", message=f"a line holds more than {line_bytes} bytes")
        for text in whole:
            number += 1
            if text.strip():
                told += 1
                yield Line(number, json_object(text))
    if rest.strip():
        told += 1
        last = json_object(rest)
        last_whole = last is not None
        if last_whole:
            yield Line(number + 1, last)
    if not last_whole or (counted is not None and counted != told):
        raise TransientError("a file of the export was cut off on its way")


def json_object(text: bytes) -> Mapping[str, Any] | None:
    """The JSON object that a text is, or None. NaN and Infinity are no JSON."""
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
