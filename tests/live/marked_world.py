"""Marked people in the demo's own partner systems: what their sources hold of them, in the sources' own formats."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import marked_family as family
import markers as m
from markers import Marker

from samenloop_deploy.demo.cases import Case, Client, Consent, Service, State
from samenloop_deploy.demo.partner_systems import PartnerSystems
from samenloop_deploy.demo.partners.seam import Request
from samenloop_deploy.demo.people import valid_test_bsns
from samenloop_deploy.demo.world import World
from samenloop_deploy.demo.written import GwsClient, RegasClient

ANNA_BORN, BERT_BORN, CORA_BORN = date(1951, 10, 23), date(1948, 2, 27), date(1956, 8, 29)


class MarkedWorld:
    """Anna: Wmo Goes and SMWO. Bert: Wmo Borsele (day first, Windows-1252) and SMWO, which takes him back. Cora: all trouble.
    Dora and others: see `marked_family`.

    `shown` is what a page may show, by the organisation that stated it; `hidden` is for nobody's eyes in the hub.
    """

    def __init__(self, systems: PartnerSystems) -> None:
        self.systems = systems
        world = systems.world
        taken = {person.bsn for person in world.persons.values()}
        self.bsns = [number for number in reversed(valid_test_bsns()) if number not in taken][:4]
        anna, bert, cora, dora = self.bsns
        with systems.lock:
            self._plant_anna(world, anna)
            self._plant_bert(world, bert)
            self._plant_cora(world, cora)
            family.plant(world, dora, anna, ANNA_BORN)
        self.shown: dict[str, list[Marker]] = {
            "Anna, Goes": [m.text("Anna's given name", "Qwiblentine")],
            "Anna, both": [m.text("Anna's surname", "Zzyxmarkel"), m.day("Anna's birth date", ANNA_BORN)],
            "Anna, SMWO": [m.text("Anna's call name", "Vrobnixa")],
            "Bert, Borsele": [
                m.text("Bert's given name", "Kobbexander"),
                m.text("Bert's partner's name", "Bjürndotta"),
            ],
            "Bert, both": [m.text("Bert's surname", "Kwöxlandé"), m.day("Bert's birth date", BERT_BORN)],
            "Bert, SMWO": [m.text("Bert's call name", "Kobbexje")],
            **family.SHOWN,
        }
        self.hidden: list[Marker] = [
            *(m.bsn(f"{who}'s BSN", number) for who, number in zip(_NUMBERED, self.bsns, strict=True)),
            m.text("Anna's street", "Wapdrilstraat"),
            m.text("Anna's new street", "Nieuwdrilkade"),
            m.text("Anna's town", "Krunxdorp"),
            m.postcode("Anna's postcode", "4469ZX"),
            m.postcode("Anna's new postcode", "4468QX"),
            m.phone("Anna's telephone", "0683917462"),
            m.text("Anna's e-mail", "vx.zzm@plomdax.example", "plomdax.example"),
            m.text("Bert's street", "Üxelpad"),
            m.postcode("Bert's postcode", "4441XQ"),
            m.phone("Bert's telephone", "0683917463"),
            m.text("Cora's surname", "Trubblezaxe"),
            m.day("Cora's birth date", CORA_BORN),
            m.text("a source's own name of a team", "Vlopperzaad"),
            *(m.text(f"the source's number {number}", number) for number in _NUMBERS),
            *family.HIDDEN,
        ]

    @property
    def all(self) -> list[Marker]:
        return [*self.hidden, *(marker for markers in self.shown.values() for marker in markers)]

    def may_be_shown_to(self, party: str) -> list[Marker]:
        """What the pages of a party may name: what its own organisation stated of its own client."""
        return [one for who in _SHOWN_TO.get(party, ()) for one in self.shown[who]]

    def life_goes_on(self) -> None:
        """Anna moves, SMWO takes Bert back, a file breaks off, and the next night's extracts fall."""
        world = self.systems.world
        with self.systems.lock:
            for organisation, number in (("gemeente-goes", "8642097531"), ("smwo", "C8642097532")):
                client = world.clients[organisation, number]
                written = client.written
                if isinstance(written, GwsClient):
                    moved: GwsClient | RegasClient = replace(written, straatnaam="Nieuwdrilkade", postcode="4468QX")
                else:
                    moved = replace(written, postcode="4468 qx")
                world.clients[organisation, number] = replace(client, written=moved)
            world.put(world.cases["gemeente-goes", "9753186420"])
            world.put(world.cases["smwo", "T9753186421"])
            world.put(replace(world.cases["smwo", "T9753186423"], state=State.WITHDRAWN))
            family.go_on(world)
        self.systems.answer(Request("POST", "/faults", "partner=gws&kind=cut_off&municipality=0664&module=PW"))
        self.systems.night()

    def _plant_anna(self, world: World, number: str) -> None:
        gws = _gws(number, "Q.", "Qwiblentine", "", "Zzyxmarkel", ANNA_BORN, "Wapdrilstraat", "8317", "4469ZX")
        regas = _regas("Vrobnixa", "Q.", "", "Zzyxmarkel", ANNA_BORN, "4469 zx", "8317", "06-83917462")
        _put(world, "gemeente-goes", "8642097531", gws, ("9753186420", Service.WMO))
        _put(world, "smwo", "C8642097532", replace(regas, email="vx.zzm@plomdax.example"), ("T9753186421", Service.AMW))

    def _plant_bert(self, world: World, number: str) -> None:
        gws = replace(
            _gws(number, "K.", "Kobbexander", "van der", "Kwöxlandé", BERT_BORN, "Üxelpad", "6", "4441XQ"),
            achternaam_echtgenoot="Bjürndotta",
            aanduiding_naamgebruik="4",
            geslacht="M",
        )
        regas = _regas("Kobbexje", "K", "van der", "Kwöxlandé", BERT_BORN, "4441XQ", "6", "0683917463")
        _put(world, "gemeente-borsele", "8642097533", gws, ("9753186422", Service.WMO))
        _put(world, "smwo", "C8642097534", replace(regas, geslacht="M"), ("T9753186423", Service.CO))

    def _plant_cora(self, world: World, number: str) -> None:
        """Rows that cannot be read, a number that is no BSN, and no consent."""
        gws = _gws(number, "T.", "Truda", "", "Trubblezaxe", CORA_BORN, "Wapdrilstraat", "1", "4469ZX")
        unreadable = replace(gws, geboortedatum=(1956, 31, 99))
        _put(world, "gemeente-kapelle", "8642097535", unreadable, ("9753186424", Service.WMO))
        _put(world, "gemeente-goes", "8642097536", replace(gws, bsn="Trubblezaxe"), ("9753186425", Service.WMO))
        regas = _regas("Truda", "T.", "", "Trubblezaxe", CORA_BORN, "4469ZX", "1", "0683917462")
        _put(world, "smwo", "C8642097537", regas, ("T9753186426", Service.AMW), consent=Consent.NO)
        before = world.today - timedelta(days=200)
        _put(world, "smwo", "C8642097538", regas, ("T9753186427", Service.CO), ends_on=before)


_NUMBERED = ("Anna", "Bert", "Cora", "Dora")
_SHOWN_TO = {
    **family.SHOWN_TO,
    "Wmo Goes": ("Anna, Goes", "Anna, both"),
    "Maatschappelijk werk SMWO": ("Anna, SMWO", "Anna, both"),
    "Wmo Borsele": ("Bert, Borsele", "Bert, both"),
    "Cliëntondersteuning SMWO": ("Bert, SMWO", "Bert, both"),
}
_NUMBERS = tuple(str(number) for number in (*range(8642097531, 8642097539), *range(9753186420, 9753186428)))


def _put(
    world: World,
    organisation: str,
    number: str,
    written: GwsClient | RegasClient,
    *cases: tuple[str, Service],
    consent: Consent | None = None,
    ends_on: date | None = None,
) -> None:
    """A registration and its running cases. The world's own people have nothing to do with it."""
    person = f"marked-{number}"
    world.clients[organisation, number] = Client(organisation, number, person, written)
    began = world.today - timedelta(days=100)
    asked = consent or (Consent.YES if isinstance(written, RegasClient) else Consent.NOT_NEEDED)
    for case, service in cases:
        world.put(
            Case(
                organisation=organisation,
                number=case,
                client=number,
                person=person,
                service=service,
                state=State.ENDED if ends_on else State.ACTIVE,
                registered_on=began,
                starts_on=began,
                ends_on=ends_on,
                team="Team Vlopperzaad",
                consent=asked,
                consent_on=began if asked is Consent.YES else None,
                changed_at=world.now,
            )
        )


def _gws(
    number: str,
    initials: str,
    given: str,
    prefix: str,
    surname: str,
    born: date,
    street: str,
    house: str,
    postcode: str,
) -> GwsClient:
    return GwsClient(
        bsn=number,
        voorletters=initials,
        voornamen=given,
        voorvoegsel=prefix,
        achternaam=surname,
        voorvoegsel_echtgenoot="",
        achternaam_echtgenoot="",
        aanduiding_naamgebruik="1",
        geslacht="V",
        geboortedatum=(born.year, born.month, born.day),
        straatnaam=street,
        huisnummer=house,
        huisletter="",
        huisnr_toevoeging="",
        postcode=postcode,
        woonplaats="Krunxdorp",
    )


def _regas(
    call_name: str, initials: str, prefix: str, surname: str, born: date, postcode: str, house: str, phone: str
) -> RegasClient:
    return RegasClient(
        roepnaam=call_name,
        voorletters=initials,
        tussenvoegsel=prefix or None,
        achternaam=surname,
        geboortedatum=born.isoformat(),
        geslacht="V",
        postcode=postcode,
        huisnummer_volledig=house,
        telefoon=phone,
        email=None,
    )
