"""Records to bytes and back: Confluent framing (0x00, 4-byte schema id, Avro) with ids pinned in this package."""

from __future__ import annotations

import io
import struct
import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import fastavro

from samenloop_schemas import records, registry
from samenloop_schemas.dates import PartialDate

R = TypeVar("R")
_HEADER = struct.Struct(">bI")
NAMESPACE = "nl.samenloop."

ToAvro = Callable[[Any], Any]
FromAvro = Callable[[Any], Any]


class Undecodable(ValueError):
    """These bytes are no record of ours. `reason` is a code; it never holds any of the bytes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encode(record: Any) -> bytes:
    """The framed Avro bytes of a record, by the newest schema of its type. Raises ValueError on a value outside the schema."""
    name = type(record).__name__
    schema = registry.current(name)
    out = io.BytesIO()
    out.write(_HEADER.pack(0, schema.schema_id))
    to_avro, _ = _converters(type(record))
    fastavro.schemaless_writer(out, schema.parsed, to_avro(record))
    return out.getvalue()


def decode(data: bytes | None, expected: type[R]) -> R:
    """The record in framed bytes, read by its writer's schema into today's type. Raises Undecodable."""
    if data is None or len(data) < _HEADER.size:
        raise Undecodable("too_short")
    magic, schema_id = _HEADER.unpack_from(data)
    if magic != 0:
        raise Undecodable("bad_magic")
    writer = registry.by_id().get(schema_id)
    if writer is None:
        raise Undecodable("unknown_schema_id")
    if writer.name != expected.__name__:
        raise Undecodable("unexpected_type")
    reader = registry.current(writer.name)
    stream = io.BytesIO(data)
    stream.seek(_HEADER.size)
    try:
        value = fastavro.schemaless_reader(
            stream, writer.parsed, reader.parsed if reader is not writer else None, return_record_name=True
        )
        if stream.read(1):
            raise Undecodable("trailing_bytes")
        return cast(R, _converters(expected)[1](value))
    except Undecodable:
        raise
    except Exception:  # fastavro raises many types on damaged input; none of its text may leave
        raise Undecodable("damaged_avro") from None


def type_of(data: bytes | None) -> type | None:
    """The record type that framed bytes claim to hold, or None."""
    if data is None or len(data) < _HEADER.size:
        return None
    magic, schema_id = _HEADER.unpack_from(data)
    schema = registry.by_id().get(schema_id) if magic == 0 else None
    return next((t for t in records.TOP_LEVEL if schema and t.__name__ == schema.name), None)


def to_plain(record: Any) -> Any:
    """Dicts, lists and strings only, for canonical JSON."""
    if is_dataclass(record) and not isinstance(record, (type, PartialDate)):
        return {f.name: to_plain(getattr(record, f.name)) for f in fields(record)}
    if isinstance(record, (tuple, list)):
        return [to_plain(item) for item in record]
    if isinstance(record, bytes):
        return record.hex()
    if record is None or isinstance(record, (bool, int, float)):
        return record
    return record.isoformat() if hasattr(record, "isoformat") else str(record)


def _same(value: Any) -> Any:
    return value


def _converters(kind: Any) -> tuple[ToAvro, FromAvro]:
    return _compile(kind)


@cache
def _compile(kind: Any) -> tuple[ToAvro, FromAvro]:
    """How one annotated type goes to and from what fastavro reads and writes."""
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _union(tuple(arg for arg in get_args(kind) if arg is not type(None)))
    if origin is tuple:
        to_item, from_item = _converters(get_args(kind)[0])
        if to_item is _same and from_item is _same:
            return list, tuple
        return (lambda values: [to_item(v) for v in values]), (lambda values: tuple(from_item(v) for v in values))
    if kind is PartialDate:
        return str, PartialDate.parse
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return str, kind
    if is_dataclass(kind) and isinstance(kind, type):
        return _record(kind)
    return _same, _same


def _record(kind: type) -> tuple[ToAvro, FromAvro]:
    hints = get_type_hints(kind)
    plan = [(f.name, *_converters(hints[f.name])) for f in fields(kind)]
    if any(f.default is MISSING for f in fields(kind)):
        raise TypeError(f"{kind.__name__}: every field needs a default")

    def to_avro(record: Any) -> dict[str, Any]:
        return {name: to(getattr(record, name)) for name, to, _ in plan}

    def from_avro(value: Any) -> Any:
        return kind(**{name: back(value[name]) for name, _, back in plan})

    return to_avro, from_avro


def _union(arms: tuple[Any, ...]) -> tuple[ToAvro, FromAvro]:
    if len(arms) == 1:
        to_arm, from_arm = _converters(arms[0])
        one = _unnamed if is_dataclass(arms[0]) else _same
        return (lambda v: None if v is None else to_arm(v)), (lambda v: None if v is None else from_arm(one(v)))
    by_name = {f"{NAMESPACE}{arm.__name__}": _converters(arm)[1] for arm in arms}

    def to_avro(value: Any) -> Any:
        return None if value is None else (f"{NAMESPACE}{type(value).__name__}", _converters(type(value))[0](value))

    def from_avro(value: Any) -> Any:
        if value is None:
            return None
        name, content = value
        return by_name[name](content)

    return to_avro, from_avro


def _unnamed(value: Any) -> Any:
    return value[1] if isinstance(value, tuple) else value
