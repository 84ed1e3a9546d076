"""The schemas in this package and their pinned ids: resolved at import from files, never over the network.

``ids.lock.json`` maps each id to a file in ``avsc/`` and its CRC-64-AVRO fingerprint. A released file never changes; a change
is a new file ``<name>.v<n+1>.avsc`` with a new id.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

FINGERPRINT_ALGORITHM = "CRC-64-AVRO"


@dataclass(frozen=True, slots=True)
class RegisteredSchema:
    """One released version of one record's schema."""

    schema_id: int
    name: str
    version: int
    text: str
    fingerprint: str

    @property
    def parsed(self) -> Any:
        return _parsed(self.text)


@cache
def _parsed(text: str) -> Any:
    return fastavro.parse_schema(json.loads(text), named_schemas={})


def fingerprint_of(text: str) -> str:
    return str(fingerprint(to_parsing_canonical_form(json.loads(text)), FINGERPRINT_ALGORITHM))


@cache
def by_id() -> dict[int, RegisteredSchema]:
    """Every schema ever released, by its pinned id."""
    package = files("samenloop_schemas")
    lock = json.loads((package / "ids.lock.json").read_text("utf-8"))
    return {
        int(schema_id): RegisteredSchema(
            int(schema_id),
            entry["name"],
            entry["version"],
            (package / "avsc" / entry["file"]).read_text("utf-8"),
            entry["fingerprint"],
        )
        for schema_id, entry in lock.items()
    }


@cache
def current(name: str) -> RegisteredSchema:
    """The newest released version of a record, by the record's name."""
    versions = [schema for schema in by_id().values() if schema.name == name]
    if not versions:
        raise LookupError(f"no schema is registered for {name}")
    return max(versions, key=lambda schema: schema.version)
