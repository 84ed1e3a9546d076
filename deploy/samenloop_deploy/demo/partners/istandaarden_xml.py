"""Messages of iWmo and iJw 3.2 as files: the elements, their order and their namespaces, UTF-8, CR and LF, no byte order mark.

Written bare, or in the StUF-GGK envelope through which the municipal gateway hands them on, with the message in base64.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, Literal
from xml.sax.saxutils import escape

from ..people import NameUsage, Person
from ..written import IstandaardPerson

Law = Literal["WMO", "JW"]

CODES: Final = {
    "WMO301": "414", "WMO302": "415", "WMO305": "418", "WMO306": "419", "WMO307": "420", "WMO308": "421",
    "JW301": "436", "JW302": "437", "JW305": "438", "JW306": "439", "JW307": "440", "JW308": "441",
}  # fmt: skip
RETURNS: Final = {"301": "302", "305": "306", "307": "308"}
FINE: Final = "0200"
_GROUPS: Final = {
    "301": ("ToegewezenProducten", "ToegewezenProduct"),
    "305": ("StartProducten", "StartProduct"),
    "307": ("StopProducten", "StopProduct"),
}


@dataclass(frozen=True, slots=True)
class Product:
    """What a class is about: an allocation and its product."""

    allocation: str
    category: str
    code: str
    since: date


@dataclass(frozen=True, slots=True)
class Allocated:
    product: Product
    given_at: datetime
    until: date | None
    change: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    product: Product
    begin: date
    status: str = "1"


@dataclass(frozen=True, slots=True)
class Stopped:
    product: Product
    begin: date
    end: date
    reason: str
    status: str = "1"


@dataclass(frozen=True, slots=True)
class Related:
    """Somebody named beside the client, by his number and kind (COD472). A `person` of None is an organisation."""

    number: str
    kind: str
    person: Person | None
    organisation: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One forward message. `identification` is unique for its sender and kind."""

    law: Law
    kind: Literal["301", "305", "307"]
    municipality: str
    agb: str
    identification: str
    day: date
    client: IstandaardPerson
    classes: Sequence[Allocated | Started | Stopped]
    relations: Sequence[Related] = ()

    @property
    def function(self) -> str:
        return f"{self.law}{self.kind}"


class _Writer:
    """Elements on lines of their own. `m` are the message's own names, `b` those of the composed types."""

    def __init__(self, law: Law, number: str) -> None:
        family = "ijw" if law == "JW" else "iwmo"
        self.own = f"{law.lower()}{number}"
        self.base = family
        self.space = f"http://www.istandaarden.nl/{family}/3_2/{self.own}/schema"
        self.base_space = f"http://www.istandaarden.nl/{family}/3_2/basisschema/schema"

    def m(self, name: str, *inner: str) -> str:
        return _element(f"{self.own}:{name}", inner)

    def b(self, name: str, *inner: str) -> str:
        return _element(f"{self.base}:{name}", inner)


def render(message: Message) -> bytes:
    """The forward message."""
    writer = _Writer(message.law, message.kind)
    body = writer.m("Header", *_header(writer, message, message.function)) + writer.m(
        "Client", *_client(writer, message, {})
    )
    return _document(writer, body)


def render_return(message: Message, code: str = "", *, header_only: bool = False) -> bytes:
    """The return of a message: without `code` all is well and only the header comes back; else its first class is rejected, or
    (`header_only`) the message as a whole."""
    number = RETURNS[message.kind]
    writer = _Writer(message.law, number)
    header = [
        *_header(writer, message, f"{message.law}{number}"),
        writer.m("IdentificatieRetour", f"r{message.identification[-11:]}"),
        writer.m("DagtekeningRetour", message.day.isoformat()),
        writer.m("XsdVersieRetour", *_versions(writer)),
    ]
    if not code:
        return _document(writer, writer.m("Header", *header))
    header.append(_codes(writer, code if header_only else FINE))
    if header_only:
        return _document(writer, writer.m("Header", *header))
    codes = {index: code if index == 0 else FINE for index in range(len(message.classes))}
    return _document(writer, writer.m("Header", *header) + writer.m("Client", *_client(writer, message, codes)))


def enveloped(message: Message, content: bytes, at: datetime, *, returned: bool = False, text: bool = False) -> bytes:
    """The gateway's envelope around a message: its receiver is the other party, whoever that is."""
    root, code = ("envelopRetourbericht-ggk_Du01", "Du01") if returned else ("envelopHeenbericht-ggk_Di01", "Di01")
    function = f"{message.law}{RETURNS[message.kind]}" if returned else message.function
    sender, receiver = message.agb, message.municipality
    if (message.kind == "301") is not returned:
        sender, receiver = receiver, sender
    payload = base64.b64encode(content).decode()
    holder = f'<GGK:tekstBestand bestandsnaam="{function}.xml">' if text else "<GGK:xmlBestand>"
    own = uuid.UUID(bytes=uuid.uuid5(uuid.NAMESPACE_OID, f"{function}{message.identification}").bytes, version=4)
    return "\r\n".join((
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<GGK:{root} xmlns:StUF="http://www.egem.nl/StUF/StUF0301" xmlns:GGK="http://www.stufstandaarden.nl/koppelvlak/ggk0210">',
        "<GGK:stuurgegevens>",
        f"<StUF:berichtcode>{code}</StUF:berichtcode>",
        f"<StUF:zender><StUF:organisatie>{sender}</StUF:organisatie><StUF:applicatie>ECD</StUF:applicatie></StUF:zender>",
        f"<StUF:ontvanger><StUF:organisatie>{receiver}</StUF:organisatie><StUF:applicatie>GGk</StUF:applicatie></StUF:ontvanger>",
        f"<StUF:referentienummer>{own}</StUF:referentienummer>",
        f"<StUF:tijdstipBericht>{at:%Y%m%d%H%M%S}</StUF:tijdstipBericht>",
        *((f"<StUF:crossRefnummer>{own}</StUF:crossRefnummer>",) if returned else ()),
        f"<StUF:functie>{function}</StUF:functie>",
        "</GGK:stuurgegevens>",
        "<GGK:parameters>",
        "<GGK:applicatieVersie>0004</GGK:applicatieVersie><GGK:applicatieSubversie>0003</GGK:applicatieSubversie>",
        "<GGK:functieVersie>0003</GGK:functieVersie><GGK:functieSubversie>0002</GGK:functieSubversie>",
        f"<GGK:bericht>{holder}{payload}</GGK:{'tekstBestand' if text else 'xmlBestand'}></GGK:bericht>",
        "</GGK:parameters>",
        f"</GGK:{root}>",
        "",
    )).encode()  # fmt: skip


def _document(writer: _Writer, body: str) -> bytes:
    names = f'xmlns:{writer.base}="{writer.base_space}" xmlns:{writer.own}="{writer.space}"'
    root = f"<{writer.own}:Bericht {names}>\r\n{body}</{writer.own}:Bericht>\r\n"
    return ('<?xml version="1.0" encoding="UTF-8"?>\r\n' + root).encode()


def _header(writer: _Writer, message: Message, function: str) -> list[str]:
    parties = (message.agb, message.municipality)
    sender, receiver = parties[::-1] if message.kind == "301" else parties
    return [
        writer.m("BerichtCode", CODES[function]),
        writer.m("BerichtVersie", "3"),
        writer.m("BerichtSubversie", "2"),
        writer.m("Afzender", sender),
        writer.m("Ontvanger", receiver),
        writer.m(
            "BerichtIdentificatie",
            writer.b("Identificatie", message.identification),
            writer.b("Dagtekening", message.day.isoformat()),
        ),
        writer.m("XsdVersie", *_versions(writer)),
    ]


def _versions(writer: _Writer) -> tuple[str, str]:
    return writer.b("BasisschemaXsdVersie", "1.0.0"), writer.b("BerichtXsdVersie", "1.0.0")


def _codes(writer: _Writer, code: str) -> str:
    return writer.m("RetourCodes", writer.m("RetourCode", code)) if code else ""


def _client(writer: _Writer, message: Message, codes: dict[int, str]) -> list[str]:
    who, full = message.client, message.kind == "301"
    group, name = _GROUPS[message.kind]
    fields = [
        writer.m("Bsn", who.bsn),
        _born(writer, who.geboortedatum, who.datum_gebruik),
        writer.m("Geslacht", str(who.geslacht) if who.geslacht in (1, 2) else "0"),
        writer.m("Naam", *_name(writer, who, full)),
    ]
    if full:
        fields.append(writer.m("Communicatie", writer.b("Vorm", "1")))
        related = [_related(writer, each) for each in message.relations]
        fields += [writer.m("Relaties", *related)] if related else []
        fields.append(writer.m("Contactgegevens", writer.m("Contact", writer.m("Soort", "01"), _address(writer, who))))
    classes = [
        writer.m(name, *_class(writer, each), _codes(writer, codes.get(index, "")))
        for index, each in enumerate(message.classes)
    ]
    return [*fields, writer.m(group, *classes), _codes(writer, FINE if codes else "")]


def _class(writer: _Writer, each: Allocated | Started | Stopped) -> list[str]:
    product = each.product
    kind = writer.m("Product", writer.b("Categorie", product.category), writer.b("Code", product.code))
    if isinstance(each, Allocated):
        return [
            writer.m("ToewijzingNummer", product.allocation),
            kind,
            writer.m("Toewijzingsdatum", f"{each.given_at:%Y-%m-%d}"),
            writer.m("Toewijzingstijd", f"{each.given_at:%H:%M:%S}"),
            writer.m("Ingangsdatum", product.since.isoformat()),
            writer.m("Einddatum", each.until.isoformat() if each.until else ""),
            writer.m("RedenWijziging", each.change),
            writer.m("Omvang", writer.b("Volume", "3"), writer.b("Eenheid", "04"), writer.b("Frequentie", "2")),
        ]
    fields = [
        writer.m("ToewijzingNummer", product.allocation),
        kind,
        writer.m("ToewijzingIngangsdatum", product.since.isoformat()),
        writer.m("Begindatum", each.begin.isoformat()),
    ]
    if isinstance(each, Stopped):
        fields += [writer.m("RedenBeeindiging", each.reason), writer.m("Einddatum", each.end.isoformat())]
    return [*fields, writer.m("StatusAanlevering", each.status)]


def _born(writer: _Writer, day: str, known: int) -> str:
    return writer.m(
        "Geboortedatum", writer.b("Datum", day), writer.b("DatumGebruik", str(known) if known in (1, 2, 3) else "")
    )


def _name(writer: _Writer, who: IstandaardPerson, full: bool) -> list[str]:
    partner = (writer.b("Achternaam", who.partnernaam), writer.b("Voorvoegsel", who.partner_voorvoegsel))
    return [
        writer.b("Geslachtsnaam", writer.b("Achternaam", who.achternaam), writer.b("Voorvoegsel", who.voorvoegsel)),
        writer.b("Partnernaam", *partner) if full and who.partnernaam else "",
        writer.b("Voornamen", who.voornamen),
        writer.b("Voorletters", who.voorletters),
        writer.b("NaamGebruik", str(who.naam_gebruik)) if full else "",
    ]


def _address(writer: _Writer, who: IstandaardPerson) -> str:
    return writer.m(
        "Adres",
        writer.b(
            "Huis",
            writer.b("Huisnummer", who.huisnummer),
            writer.b("Huisletter", who.huisletter),
            writer.b("HuisnummerToevoeging", who.toevoeging),
        ),
        writer.b("Postcode", who.postcode),
        writer.b("Straatnaam", who.straat),
        writer.b("Plaatsnaam", who.plaats),
        writer.b("LandCode", "NL"),
    )


def _related(writer: _Writer, related: Related) -> str:
    head = [writer.m("Nummer", related.number), writer.m("Soort", related.kind)]
    contact = writer.m("Contact", writer.m("Soort", "01"))
    person = related.person
    if person is None:
        name = writer.b("Geslachtsnaam", writer.b("Achternaam", related.organisation))
        return writer.m("Relatie", *head, writer.m("Naam", name, writer.b("NaamGebruik", "6")), contact)
    known = {"day": 0, "month": 1, "year": 2}[person.birth_known]
    born = (person.birth_date, person.birth_date.replace(day=1), person.birth_date.replace(month=1, day=1))[known]
    partner = person.partner_surname
    names = [
        writer.b("Geslachtsnaam", writer.b("Achternaam", person.surname.name), writer.b("Voorvoegsel", person.surname.prefix)),
        writer.b("Partnernaam", writer.b("Achternaam", partner.name), writer.b("Voorvoegsel", partner.prefix))
        if partner
        else "",
        writer.b("Voornamen", person.given_names),
        writer.b("Voorletters", person.initials.replace(".", "")[:6]),
        writer.b("NaamGebruik", str(int(person.name_usage or NameUsage.OWN))),
    ]  # fmt: skip
    address = person.address
    here = writer.m(
        "Adres",
        writer.b(
            "Huis",
            writer.b("Huisnummer", str(address.number)),
            writer.b("Huisletter", address.letter),
            writer.b("HuisnummerToevoeging", address.addition[:4]),
        ),
        writer.b("Postcode", address.postcode),
        writer.b("Straatnaam", address.street[:24]),
        writer.b("Plaatsnaam", address.city),
    )
    return writer.m(
        "Relatie",
        *head,
        _born(writer, born.isoformat(), known),
        writer.m("Geslacht", {"M": "1", "V": "2"}[person.sex]),
        writer.m("Naam", *names),
        writer.m("Contact", writer.m("Soort", "01"), here),
    )


def _element(name: str, inner: Sequence[str]) -> str:
    """An element with a text or with elements; nothing when all of it is empty."""
    content = [each for each in inner if each]
    if not content:
        return ""
    if content[0].startswith("<"):
        return f"<{name}>\r\n{''.join(content)}</{name}>\r\n"
    return f"<{name}>{escape(content[0])}</{name}>\r\n"
