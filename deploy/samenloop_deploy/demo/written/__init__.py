"""How each source writes a person down, and writes the new address of somebody who moved. Pure: the random source decides."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Final, assert_never

from ..people import Address, Person
from .fhir import FhirPerson, move_fhir, write_fhir
from .gws import GwsClient, move_gws, write_gws
from .istandaarden import IstandaardPerson, move_istandaarden, write_istandaarden
from .mee import MeePerson, move_mee, write_mee
from .regas import RegasClient, move_regas, write_regas
from .zgw import ZgwPerson, move_zgw, write_zgw

__all__ = [
    "FhirPerson",
    "GwsClient",
    "IstandaardPerson",
    "MeePerson",
    "RegasClient",
    "Written",
    "ZgwPerson",
    "move",
    "move_regas",
    "source_of",
    "write",
    "write_fhir",
    "write_gws",
    "write_istandaarden",
    "write_mee",
    "write_regas",
    "write_zgw",
]

Written = RegasClient | GwsClient | ZgwPerson | MeePerson | FhirPerson | IstandaardPerson


_SOURCES: Final = {
    RegasClient: "regas",
    GwsClient: "gws",
    ZgwPerson: "zgw",
    MeePerson: "mee",
    FhirPerson: "fhir",
    IstandaardPerson: "istandaarden",
}


def source_of(written: Written) -> str:
    """The source that writes such records."""
    return _SOURCES[type(written)]


def write(source: str, rng: Random, person: Person, mother: Person | None, today: date) -> Written:
    """A first record of the person, or one made anew. ``mother`` as far as she is known in the world."""
    match source:
        case "regas":
            return write_regas(rng, person)
        case "gws":
            return write_gws(rng, person)
        case "zgw":
            return write_zgw(rng, person)
        case "mee":
            return write_mee(rng, person)
        case "fhir":
            return write_fhir(rng, person, mother, today)
        case "istandaarden":
            return write_istandaarden(rng, person)
    raise ValueError(source)


def move(rng: Random, written: Written, address: Address) -> Written:
    """The same record with another address."""
    match written:
        case RegasClient():
            return move_regas(rng, written, address)
        case GwsClient():
            return move_gws(rng, written, address)
        case ZgwPerson():
            return move_zgw(rng, written, address)
        case MeePerson():
            return move_mee(rng, written, address)
        case FhirPerson():
            return move_fhir(rng, written, address)
        case IstandaardPerson():
            return move_istandaarden(rng, written, address)
    assert_never(written)
