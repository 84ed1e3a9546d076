"""Messages 301, 305 and 307 and their returns 302, 306 and 308, of Wmo and Jw in release 3.2: from elements to plain payloads.

Only what the hub may use is taken along: no comments, volumes, budgets, languages, legal status (*JuridischeStatus*), legal
representation or provider's references, and of relations only those who make a family. So nothing else is ever kept.

A message tells of one client at one provider, in classes: allocated, started or stopped products. A class belongs to a case, and
names it by what `Told.case` says. What is wrong in one class leaves the others as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Any, Final, Literal, NoReturn

from lxml import etree

from samenloop_connectors.istandaarden import hardened
from samenloop_connectors.istandaarden.codes import END_REASONS
from samenloop_connectors.istandaarden.config import Law
from samenloop_connectors.sdk.errors import DataError
from samenloop_schemas.bsn import normalise_bsn

Kind = Literal["301", "305", "307"]

_NAMESPACE = re.compile(r"^http://www\.istandaarden\.nl/(iwmo|ijw)/(\d+_\d+)/(wmo|jw)(\d{3})/schema$")
_RELEASE = "3_2"
_LAWS: Final[Mapping[str, Law]] = {"wmo": "WMO", "jw": "JW"}
_KINDS: Final[Mapping[str, Kind]] = {"301": "301", "302": "301", "305": "305", "306": "305", "307": "307", "308": "307"}
_CODES: Final = {
    ("WMO", "301"): "414", ("WMO", "302"): "415", ("WMO", "305"): "418", ("WMO", "306"): "419", ("WMO", "307"): "420",
    ("WMO", "308"): "421", ("JW", "301"): "436", ("JW", "302"): "437", ("JW", "305"): "438", ("JW", "306"): "439",
    ("JW", "307"): "440", ("JW", "308"): "441",
}  # fmt: skip
_CLASSES: Final[Mapping[Kind, tuple[str, str]]] = {
    "301": ("ToegewezenProducten", "ToegewezenProduct"),
    "305": ("StartProducten", "StartProduct"),
    "307": ("StopProducten", "StopProduct"),
}
_FAMILY: Final = frozenset({"06", "10", "11", "12", "13", "16", "18"})
"""Who is kept of *SoortRelatie*: household, parent, guardian, partner, foster parent, child, member of the family."""
_NO_PERSON: Final = "6"
"""*NaamGebruik* of an organisation (IV045)."""
_FINE: Final = frozenset({"0200", "0233"})
"""Return codes of a class without remarks, and of one that was not judged."""
_MUNICIPALITY = re.compile(r"^\d{4}$")
_AGB = re.compile(r"^\d{8}$")
_TIME = re.compile(r"^\d{2}:\d{2}:\d{2}(\.\d+)?$")

Class = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Header:
    """Whose message it is. `identification` is unique per sender and kind (TR056); a return repeats that of its message."""

    law: Law
    kind: Kind
    municipality: str
    agb: str
    identification: str
    day: date
    returned: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One class: which case it belongs to, by allocation number or else by product, and its content."""

    allocation: str
    content: Class


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A class that cannot be read."""

    code: str
    field: str


@dataclass(frozen=True, slots=True)
class Message:
    """`client` is empty in a return. `rejects_all`: a return that rejects its whole message without saying which classes."""

    header: Header
    client: Mapping[str, Any]
    bsn: str
    classes: tuple[Told | Spoiled, ...]
    rejects_all: bool = False


def read(root: etree._Element, function: str = "") -> Message | None:
    """What a message says; None for a message of another kind (requests, declarations). Raises DataError."""
    namespace, name = hardened.local(root)
    found = _NAMESPACE.match(namespace)
    if not found or name != "Bericht":
        raise DataError("no_message")
    if function and function != f"{found[3]}{found[4]}".upper():
        raise DataError("envelope", "functie")
    if found[4] not in _KINDS:
        return None
    if found[2] != _RELEASE:
        raise DataError("release")
    base = f"http://www.istandaarden.nl/{found[1]}/{_RELEASE}/basisschema/schema"
    return _Reader(root, namespace, base, _LAWS[found[3]], found[4]).message()


class _Reader:
    """One message with its two namespaces: its own, and that of the composed types."""

    def __init__(self, root: etree._Element, own: str, base: str, law: Law, number: str) -> None:
        self._root = root
        self._own = own
        self._base = base
        self._law = law
        self._number = number
        self._kind: Kind = _KINDS[number]
        self._returned = number != self._kind

    def message(self) -> Message:
        header = self._header()
        client = self._root.find(f"{{{self._own}}}Client")
        all_wrong = self._returned and self._wrong(self._root.find(f"{{{self._own}}}Header"))
        if client is None:
            if not self._returned:
                _bad("missing", "Client")
            return Message(header, {}, "", (), all_wrong)
        bsn = normalise_bsn(self._need(client, "Bsn"))
        if bsn is None:
            _bad("unreadable", "Bsn")
        if self._returned:
            wrong = all_wrong or self._wrong(client)
            return Message(header, {}, bsn, tuple(self._classes(client, wrong)))
        return Message(header, self._person(client) | {"bsn": bsn}, bsn, tuple(self._classes(client, False)))

    def _header(self) -> Header:
        header = self._root.find(f"{{{self._own}}}Header")
        if header is None:
            _bad("missing", "Header")
        if self._need(header, "BerichtCode") != _CODES[self._law, self._number]:
            _bad("unknown_code", "BerichtCode")
        if (self._need(header, "BerichtVersie"), self._need(header, "BerichtSubversie")) != ("3", "2"):
            _bad("release")
        sender, receiver = self._need(header, "Afzender"), self._need(header, "Ontvanger")
        municipality, agb = (sender, receiver) if self._kind == "301" else (receiver, sender)
        if not _MUNICIPALITY.match(municipality):
            _bad("unreadable", "Afzender" if self._kind == "301" else "Ontvanger")
        if not _AGB.match(agb):
            _bad("unreadable", "Ontvanger" if self._kind == "301" else "Afzender")
        identity = header.find(f"{{{self._own}}}BerichtIdentificatie")
        if identity is None:
            _bad("missing", "BerichtIdentificatie")
        return Header(
            self._law,
            self._kind,
            municipality,
            agb,
            self._need(identity, "Identificatie", self._base),
            _day(self._need(identity, "Dagtekening", self._base), "Dagtekening"),
            self._returned,
        )

    # Classes

    def _classes(self, client: etree._Element, wrong: bool) -> Iterator[Told | Spoiled]:
        group, name = _CLASSES[self._kind]
        for element in client.iterfind(f"{{{self._own}}}{group}/{{{self._own}}}{name}"):
            if self._returned and not (wrong or self._wrong(element)):
                continue
            try:
                number = self._text(element, "ToewijzingNummer")
                allocation = str(int(number)) if number.isascii() and number.isdigit() else ""
                if (number and not allocation) or (self._kind == "301" and not number):
                    _bad("unreadable" if number else "missing", "ToewijzingNummer")
                yield Told(allocation, self._class(element))
            except DataError as error:
                yield Spoiled(error.code, error.field)

    def _class(self, element: etree._Element) -> Class:
        product = element.find(f"{{{self._own}}}Product")
        content: Class = {
            "category": self._need(product, "Categorie", self._base) if product is not None else "",
            "product": self._text(product, "Code", self._base) if product is not None else "",
        }
        if self._kind == "301":
            return content | self._allocated(element)
        content["begin"] = self._day(element, "Begindatum")
        content["status"] = self._need(element, "StatusAanlevering")
        if content["status"] not in ("1", "3"):
            _bad("unknown_code", "StatusAanlevering")
        if self._kind == "307":
            content["reason"] = self._need(element, "RedenBeeindiging")
            if content["reason"] not in END_REASONS[self._law]:
                _bad("unknown_code", "RedenBeeindiging")
            content["end"] = self._day(element, "Einddatum")
            if content["status"] == "1" and content["end"] < content["begin"]:
                _bad("ends_before_start", "Einddatum")
        return content

    def _allocated(self, element: etree._Element) -> Class:
        at = self._need(element, "Toewijzingstijd")
        if not _TIME.match(at):
            _bad("unreadable", "Toewijzingstijd")
        try:
            time.fromisoformat(at[:8])
        except ValueError:
            _bad("unreadable", "Toewijzingstijd")
        begin = self._day(element, "Ingangsdatum")
        end = self._day(element, "Einddatum") if self._text(element, "Einddatum") else ""
        if end and end < begin:
            _bad("ends_before_start", "Einddatum")
        given_at = f"{self._day(element, 'Toewijzingsdatum')}T{at}"
        return {"given_at": given_at, "begin": begin, "end": end, "change": self._text(element, "RedenWijziging")}

    def _wrong(self, element: etree._Element | None) -> bool:
        """Whether the return codes of header, client or class hold one that rejects."""
        if element is None:
            return False
        codes = element.iterfind(f"{{{self._own}}}RetourCodes/{{{self._own}}}RetourCode")
        return any((code.text or "").strip() not in _FINE for code in codes)

    # Persons

    def _person(self, element: etree._Element) -> dict[str, Any]:
        name = element.find(f"{{{self._own}}}Naam")
        if name is None:
            _bad("missing", "Naam")
        if self._text(name, "NaamGebruik", self._base) == _NO_PERSON:
            _bad("no_person", "NaamGebruik")
        return self._who(element, name) | {
            "contacts": [
                self._contact(each)
                for each in element.iterfind(f"{{{self._own}}}Contactgegevens/{{{self._own}}}Contact")
            ],
            "relations": sorted(self._relations(element), key=lambda relation: str(relation["number"])),
        }

    def _who(self, element: etree._Element, name: etree._Element) -> dict[str, Any]:
        born = element.find(f"{{{self._own}}}Geboortedatum")
        own = name.find(f"{{{self._base}}}Geslachtsnaam")
        partner = name.find(f"{{{self._base}}}Partnernaam")
        return {
            "born": self._text(born, "Datum", self._base),
            "born_known": self._text(born, "DatumGebruik", self._base),
            "sex": self._text(element, "Geslacht"),
            "surname": self._text(own, "Achternaam", self._base),
            "prefix": self._text(own, "Voorvoegsel", self._base),
            "partner": self._text(partner, "Achternaam", self._base),
            "partner_prefix": self._text(partner, "Voorvoegsel", self._base),
            "given": self._text(name, "Voornamen", self._base),
            "initials": self._text(name, "Voorletters", self._base),
            "usage": self._text(name, "NaamGebruik", self._base),
        }

    def _contact(self, element: etree._Element) -> dict[str, Any]:
        address = element.find(f"{{{self._own}}}Adres")
        house = address.find(f"{{{self._base}}}Huis") if address is not None else None
        period = element.find(f"{{{self._own}}}Periode")
        phone = element.find(f"{{{self._own}}}Telefoon/{{{self._base}}}Telefoon01")
        return {
            "kind": self._text(element, "Soort"),
            "number": self._text(house, "Huisnummer", self._base),
            "letter": self._text(house, "Huisletter", self._base),
            "addition": self._text(house, "HuisnummerToevoeging", self._base),
            "designation": self._text(house, "AanduidingWoonadres", self._base),
            "postcode": self._text(address, "Postcode", self._base),
            "street": self._text(address, "Straatnaam", self._base),
            "city": self._text(address, "Plaatsnaam", self._base),
            "country": self._text(address, "LandCode", self._base),
            "phone": self._text(phone, "Telefoonnummer", self._base),
            "country_number": self._text(phone, "Landnummer", self._base),
            "email": self._text(element, "Emailadres"),
            "from": self._text(period, "Begindatum", self._base),
            "to": self._text(period, "Einddatum", self._base),
        }

    def _relations(self, client: etree._Element) -> Iterator[dict[str, Any]]:
        for element in client.iterfind(f"{{{self._own}}}Relaties/{{{self._own}}}Relatie"):
            kind, number = self._text(element, "Soort"), self._text(element, "Nummer")
            name = element.find(f"{{{self._own}}}Naam")
            if kind not in _FAMILY or not number or name is None:
                continue
            who = self._who(element, name)
            if who["usage"] == _NO_PERSON:
                continue
            contact = element.find(f"{{{self._own}}}Contact")
            yield (
                {"kind": kind, "number": number}
                | who
                | {"contacts": [self._contact(contact)] if contact is not None else []}
            )

    # Texts

    def _text(self, element: etree._Element | None, name: str, namespace: str = "") -> str:
        if element is None:
            return ""
        return " ".join((element.findtext(f"{{{namespace or self._own}}}{name}") or "").split())

    def _need(self, element: etree._Element | None, name: str, namespace: str = "") -> str:
        text = self._text(element, name, namespace)
        if not text:
            _bad("missing", name)
        return text

    def _day(self, element: etree._Element, name: str) -> str:
        return _day(self._need(element, name), name).isoformat()


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text[:10]) if re.match(r"^\d{4}-\d{2}-\d{2}$", text) else _bad("unreadable", field)
    except ValueError:
        _bad("unreadable", field)


def _bad(code: str, field: str = "") -> NoReturn:
    raise DataError(code, field)
