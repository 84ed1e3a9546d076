"""Marked people in the sources that tell of a whole family or ask for consent: youth team, youth health care, messages, MEE.

Dora is a child at three organisations, each of which writes another second name; her mother Elza is named in the messages and
is nobody's client. Anna has home care and, with consent, client support. Fenna gave MEE no consent: nothing of her may be kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import markers as m
from markers import Marker

from samenloop_deploy.demo.cases import SOURCES, Case, Client, Consent, Service, State
from samenloop_deploy.demo.names import Surname
from samenloop_deploy.demo.people import Person
from samenloop_deploy.demo.world import World
from samenloop_deploy.demo.written import FhirPerson, IstandaardPerson, MeePerson, Written, ZgwPerson

DORA_BORN, FENNA_BORN = date(2017, 8, 23), date(1969, 10, 27)
NUMBERS = (
    "K8642097551", "P8642097552", "I8642097553", "I8642097554", "M8642097555", "M8642097556",
    "ZAAK-9753186451", "E9753186452", "9753186453", "9753186454", "D9753186455", "D9753186456",
)  # fmt: skip
"""Of clients and cases, as the sources number them."""
SHOWN: dict[str, list[Marker]] = {
    "Dora, all": [
        m.text("Dora's surname", "Plaxvoorntje"),
        m.text("Dora's given name", "Dorabixel"),
        m.day("Dora's birth date", DORA_BORN),
    ],
    "Dora, youth team": [m.text("Dora's second name at the youth team", "Zwaantrude")],
    "Dora, youth health": [m.text("Dora's second name at youth health care", "Fhirolde")],
    "Dora, youth help": [m.text("Dora's second name at youth help", "Provixia")],
    "Anna, home care": [m.text("Anna's name at home care", "Qwiblenthuis")],
}
HIDDEN: list[Marker] = [
    m.text("Dora's street", "Ziggurmeent"),
    m.text("Dora's new street", "Ziggurkade"),
    m.postcode("Dora's postcode", "4469ZQ"),
    m.phone("Dora's mother's telephone", "0683917471"),
    m.text("Elza's given name", "Elzavrixje"),
    m.text("Elza's surname", "Mozzeltaark"),
    m.text("Fenna's surname", "Fennazaxema"),
    m.day("Fenna's birth date", FENNA_BORN),
    m.postcode("Fenna's postcode", "4469ZW"),
    *(m.text(f"the source's number {number}", number) for number in NUMBERS),
]
SHOWN_TO = {
    "Jeugdteam CJG de Bevelanden": ("Dora, youth team", "Dora, all"),
    "Jeugdgezondheidszorg GGD de Bevelanden": ("Dora, youth health", "Dora, all"),
    "Jeugdhulp Zeeland": ("Dora, youth help", "Dora, all"),
    "Thuiszorg Zeeland": ("Anna, home care", "Anna, both"),
    "Cliëntondersteuning MEE de Bevelanden": ("Anna, both",),
}
SEES = {
    "Jeugdteam CJG de Bevelanden": "Zwaantrude",
    "Jeugdgezondheidszorg GGD de Bevelanden": "Fhirolde",
    "Jeugdhulp Zeeland": "Provixia",
    "Thuiszorg Zeeland": "Qwiblenthuis",
    "Cliëntondersteuning MEE de Bevelanden": "Zzyxmarkel",
}
"""By which name each party knows its client."""


def plant(world: World, dora: str, anna: str, anna_born: date) -> None:
    """``dora`` and ``anna``: their BSNs."""
    _people(world, dora, anna, anna_born)
    child = _zgw(dora)
    _put(world, "cjg-bevelanden", NUMBERS[0], child, "marked-dora", NUMBERS[6], Service.JT)
    _put(world, "ggd-bevelanden", NUMBERS[1], _fhir(dora), "marked-dora", NUMBERS[7], Service.JGZ)
    _put(world, "jeugdhulp-zeeland", NUMBERS[2], _message(dora, "Dorabixel Provixia", "Plaxvoorntje", DORA_BORN), "marked-dora",
         NUMBERS[8], Service.IJW)  # fmt: skip
    home = _message(anna, "Qwiblenthuis", "Zzyxmarkel", anna_born)
    _put(world, "thuiszorg-zeeland", NUMBERS[3], replace(home, straat="Wapdrilstraat", huisnummer="8317",
         postcode="4469ZX"), "marked-anna", NUMBERS[9], Service.IWMO)  # fmt: skip
    _put(world, "mee-bevelanden", NUMBERS[4], _mee("Zzyxmarkel", anna_born, "4469 ZX"), "marked-anna", NUMBERS[10],
         Service.MEE, Consent.YES)  # fmt: skip
    _put(world, "mee-bevelanden", NUMBERS[5], _mee("Fennazaxema", FENNA_BORN, "4469 ZW"), "marked-fenna", NUMBERS[11],
         Service.MEE, Consent.NOT_ASKED)  # fmt: skip


def go_on(world: World) -> None:
    """Dora moves; the youth team hears of it."""
    client = world.clients["cjg-bevelanden", NUMBERS[0]]
    assert isinstance(client.written, ZgwPerson)
    moved = replace(client.written, straat="Ziggurkade")
    world.clients[client.organisation, client.number] = replace(client, written=moved)
    world.put(world.cases[client.organisation, NUMBERS[6]])


def held_at_the_sources() -> Iterator[str]:
    """What must lie in the sources' files, or nothing was tried."""
    yield from ("Provixia", "Qwiblenthuis", "Mozzeltaark", "Fennazaxema", NUMBERS[8], NUMBERS[10])


def _people(world: World, dora: str, anna: str, anna_born: date) -> None:
    at = next(p.address for p in world.persons.values() if p.address.municipality.name == "Goes")
    base: dict[str, Any] = {"sex": "V", "address": at, "call_name": "Dorabixel"}
    elza = Person("marked-elza", "marked", "marked", "Elzavrixje", surname=Surname("", "Mozzeltaark", 1),
                  birth_date=date(1988, 1, 2), **base | {"call_name": "Elzavrixje"})  # fmt: skip
    child = Person("marked-dora", "marked", "marked", "Dorabixel", surname=Surname("", "Plaxvoorntje", 1),
                   birth_date=DORA_BORN, bsn=dora, parents=("marked-elza",), **base)  # fmt: skip
    old = replace(elza, person="marked-anna", family="marked-2", birth_date=anna_born, bsn=anna)
    fenna = replace(elza, person="marked-fenna", family="marked-3", birth_date=FENNA_BORN)
    world.persons |= {each.person: each for each in (elza, child, old, fenna)}


def _put(
    world: World,
    organisation: str,
    number: str,
    written: Written,
    person: str,
    case: str,
    service: Service,
    consent: Consent = Consent.NOT_NEEDED,
) -> None:
    world.clients[organisation, number] = Client(organisation, number, person, written)
    began = world.today - timedelta(days=100)
    assert SOURCES[service] not in ("regas", "gws")
    world.put(
        Case(
            organisation=organisation,
            number=case,
            client=number,
            person=person,
            service=service,
            state=State.ACTIVE,
            registered_on=began,
            starts_on=began,
            ends_on=None,
            team="Team Vlopperzaad",
            consent=consent,
            consent_on=began if consent is Consent.YES else None,
            changed_at=world.now,
        )
    )


def _zgw(number: str) -> ZgwPerson:
    born = DORA_BORN.year, DORA_BORN.month, DORA_BORN.day
    return ZgwPerson(number, "Plaxvoorntje", "", "D.Z.", "Dorabixel Zwaantrude", born, "v", "Ziggurmeent", "8319", "", "", "4469ZQ",
                     "Krunxdorp")  # fmt: skip


def _fhir(number: str) -> FhirPerson:
    return FhirPerson(
        bsn=number,
        given=("Dorabixel", "Fhirolde"),
        call_name="",
        initials="D.F.",
        own_prefix="",
        own_name="Plaxvoorntje",
        partner_prefix="",
        partner_name="",
        name_usage="NL1",
        birth_date=DORA_BORN.isoformat(),
        gender="female",
        street="Ziggurmeent",
        house_number="8319",
        letter="",
        addition="",
        postcode="4469 ZQ",
        city="Krunxdorp",
        phone="0683917471",
        multiple_birth=None,
    )


def _message(number: str, given: str, surname: str, born: date) -> IstandaardPerson:
    initials = "".join(name[0] for name in given.split())
    return IstandaardPerson(number, born.isoformat(), 0, 2, surname, "", "", "", given, initials, 1, "Ziggurmeent", "8319",
                            "", "", "4469ZQ", "Krunxdorp")  # fmt: skip


def _mee(surname: str, born: date, postcode: str) -> MeePerson:
    return MeePerson("Q.", "", surname, "", f"{born:%d-%m-%Y}", postcode, "8317", "")
