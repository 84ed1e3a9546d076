"""The files of the drop folder: what a name says, and whether the companion vouches for the bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature

from samenloop_connectors.mee.config import public_key
from samenloop_connectors.sdk.errors import DataError
from samenloop_connectors.sdk.history import DAY
from samenloop_schemas.dates import micros

_NAME = re.compile(r"^MEE_([A-Za-z0-9-]+)_(\d{8})(_volledig)?(?:_v(\d{1,4}))?\.(csv|xlsx)$", re.IGNORECASE)
_SHA256 = re.compile(r"^\s*([0-9a-fA-F]{64})(?:[ \t]+\*?(\S.*?))?\s*$")
_MOST_COMPANION = 4096
SUFFIXES = (".csv", ".xlsx")


@dataclass(frozen=True, slots=True)
class FileName:
    """What a file's name says. The plain name is version 1 of its day; `whole`: it shows every dossier."""

    organisation: str
    day: date
    whole: bool
    version: int
    workbook: bool

    @property
    def at(self) -> int:
        """The reading, and the version of all its rows: the day in microseconds, then what tells the files of a day apart."""
        midnight = micros(datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC))
        return midnight // DAY * DAY + self.version * 4 + self.whole * 2 + self.workbook


def parse_name(name: str) -> FileName | None:
    match = _NAME.match(name)
    if not match:
        return None
    try:
        day = date(int(match[2][:4]), int(match[2][4:6]), int(match[2][6:]))
    except ValueError:
        return None
    return FileName(match[1], day, bool(match[3]), int(match[4] or 1), match[5].lower() == "xlsx")


def companion(path: Path, signed: bool) -> Path:
    return path.with_name(path.name + (".sig" if signed else ".sha256"))


def signed_line(name: str, digest: str) -> bytes:
    """What is signed: the line that ``sha256sum <name>`` prints, so that the signature holds for name and content."""
    return f"{digest}  {name}\n".encode()


def vouch(path: Path, content: bytes, keys: Sequence[str]) -> str:
    """The SHA-256 of a file for which its companion vouches. Raises DataError, or OSError when there is no companion."""
    beside = companion(path, bool(keys))
    with beside.open("rb") as file:
        said = file.read(_MOST_COMPANION)
    digest = hashlib.sha256(content).hexdigest()
    if keys:
        _check_signature(path.name, digest, said, keys)
        return digest
    match = _SHA256.match(said.decode("utf-8-sig", errors="replace"))
    if not match:
        raise DataError("companion", message=f"{beside.name}: holds no SHA-256 as sha256sum writes it")
    if match[1].lower() != digest or (match[2] and Path(match[2].replace("\\", "/")).name != path.name):
        raise DataError("checksum", message=f"{path.name}: is not the file for which {beside.name} was made")
    return digest


def _check_signature(name: str, digest: str, said: bytes, keys: Sequence[str]) -> None:
    signature = said if len(said) == 64 else b""
    if not signature:
        with suppress(binascii.Error, ValueError):
            signature = base64.b64decode(b"".join(said.split()), validate=True)
    if len(signature) != 64:
        raise DataError("companion", message=f"{name}.sig: is no Ed25519 signature (64 bytes, or those in base64)")
    for key in keys:
        try:
            public_key(key).verify(signature, signed_line(name, digest))
        except InvalidSignature:
            continue
        return
    raise DataError("signature", message=f"{name}: was not signed, under this name, with a key in the configuration")
