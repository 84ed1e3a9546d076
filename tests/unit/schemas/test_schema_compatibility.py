"""The Avro files are the truth: records mirror them, released files never change, every version reads every other."""

import json
import types
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import permutations
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from samenloop_schemas import records, registry
from samenloop_schemas.dates import PartialDate

PRIMITIVES: dict[type, Any] = {
    str: "string",
    PartialDate: "string",
    bytes: "bytes",
    bool: "boolean",
    int: "long",
    float: "double",
    UUID: {"type": "string", "logicalType": "uuid"},
    datetime: {"type": "long", "logicalType": "timestamp-micros"},
    date: {"type": "int", "logicalType": "date"},
}


def mirrored(kind: Any) -> Any:
    """The Avro type that a Python annotation stands for."""
    if get_origin(kind) in (Union, types.UnionType):
        return ["null", *(mirrored(arm) for arm in get_args(kind) if arm is not type(None))]
    if get_origin(kind) is tuple:
        return {"type": "array", "items": mirrored(get_args(kind)[0])}
    if kind in PRIMITIVES:
        return PRIMITIVES[kind]
    if issubclass(kind, StrEnum):
        return {"enum": kind.__name__, "symbols": [m.value for m in kind], "default": next(iter(kind)).value}
    assert is_dataclass(kind)
    hints = get_type_hints(kind)
    return {"record": kind.__name__, "fields": {f.name: mirrored(hints[f.name]) for f in fields(kind)}}


def spelled_out(schema: Any, named: dict[str, Any]) -> Any:
    """An Avro schema in the same shape, with names resolved."""
    if isinstance(schema, str):
        return named.get(schema, schema)
    if isinstance(schema, list):
        return [spelled_out(arm, named) for arm in schema]
    if schema["type"] == "array":
        return {"type": "array", "items": spelled_out(schema["items"], named)}
    if schema["type"] == "enum":
        result = {"enum": schema["name"], "symbols": schema["symbols"], "default": schema.get("default")}
    elif schema["type"] == "record":
        result = {"record": schema["name"], "fields": {}}
        for f in schema["fields"]:
            assert "default" in f, f"{schema['name']}.{f['name']} has no default"
            result["fields"][f["name"]] = spelled_out(f["type"], named)
    else:
        return schema
    named[f"nl.samenloop.{schema['name']}"] = result
    return result


@pytest.mark.parametrize("kind", records.TOP_LEVEL, ids=lambda k: k.__name__)
def test_a_record_mirrors_its_schema(kind: type) -> None:
    schema = json.loads(registry.current(kind.__name__).text)
    assert spelled_out(schema, {}) == mirrored(kind)


def test_every_top_level_record_is_registered_and_nothing_else() -> None:
    assert {s.name for s in registry.by_id().values()} == {kind.__name__ for kind in records.TOP_LEVEL}


@pytest.mark.parametrize("schema", registry.by_id().values(), ids=lambda s: f"{s.name}.v{s.version}")
def test_a_released_schema_never_changes(schema: registry.RegisteredSchema) -> None:
    assert registry.fingerprint_of(schema.text) == schema.fingerprint


def same_name_pairs() -> list[tuple[registry.RegisteredSchema, registry.RegisteredSchema]]:
    schemas = list(registry.by_id().values())
    return [(a, b) for a, b in permutations(schemas, 2) if a.name == b.name] + [(s, s) for s in schemas]


@pytest.mark.parametrize(("reader", "writer"), same_name_pairs(), ids=lambda s: f"{s.name}.v{s.version}")
def test_full_transitive_compatibility(reader: registry.RegisteredSchema, writer: registry.RegisteredSchema) -> None:
    result = ReaderWriterCompatibilityChecker().get_compatibility(parse(reader.text), parse(writer.text))
    assert result.compatibility is SchemaCompatibilityType.compatible, result.messages


def test_the_checker_refuses_what_it_should() -> None:
    """A new field without a default must fail, or the test above proves nothing."""
    schema = json.loads(registry.current("ClockDay").text)
    changed = json.loads(json.dumps(schema))
    changed["fields"].append({"name": "extra", "type": "string"})
    result = ReaderWriterCompatibilityChecker().get_compatibility(parse(json.dumps(changed)), parse(json.dumps(schema)))
    assert result.compatibility is SchemaCompatibilityType.incompatible
