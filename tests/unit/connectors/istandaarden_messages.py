"""Synthetic iWmo and iJw messages for tests, by the element names and namespaces of release 3.2."""

from __future__ import annotations

import base64
from typing import Any
from xml.sax.saxutils import escape

CODES = {"WMO301": 414, "WMO302": 415, "WMO305": 418, "WMO306": 419, "WMO307": 420, "WMO308": 421,
         "JW301": 436, "JW302": 437, "JW305": 438, "JW306": 439, "JW307": 440, "JW308": 441}  # fmt: skip
_GROUPS = {"1": ("ToegewezenProducten", "ToegewezenProduct"), "5": ("StartProducten", "StartProduct"),
           "7": ("StopProducten", "StopProduct")}  # fmt: skip
CLIENT: dict[str, Any] = {
    "bsn": "999900006", "born": "2012-03-01", "known": "1", "sex": "2", "surname": "Zwartkruis", "prefix": "van",
    "partner": "", "partner_prefix": "", "given": "Quirinda Josefa", "initials": "QJ", "usage": "1",
    "contacts": [{"kind": "01", "number": "17", "letter": "b", "addition": "II", "postcode": "5554xk",
                  "street": "Geheimelaan", "city": "Valkenswaard", "country": "NL", "phone": "0612345678"}],
    "relations": [],
}  # fmt: skip
ALLOCATION = {"allocation": "300201", "category": "45", "code": "45A04", "begin": "2026-01-05"}
"""What a start, a stop and an allocation of the same product have in common."""


def start(begin: str = "2026-01-12", status: str = "1", **fields: str) -> dict[str, str]:
    return ALLOCATION | {"first_day": begin, "status": status} | fields


def stop(end: str, reason: str = "31", begin: str = "2026-01-12", status: str = "1", **fields: str) -> dict[str, str]:
    return ALLOCATION | {"first_day": begin, "end": end, "reason": reason, "status": status} | fields


def allocation(given: str = "2026-01-02", at: str = "10:00:00", **fields: str) -> dict[str, str]:
    return ALLOCATION | {"given": given, "at": at} | fields


def message(
    kind: str,
    *classes: dict[str, Any],
    day: str = "2026-01-14",
    number: str = "1",
    law: str = "JW",
    municipality: str = "0858",
    agb: str = "42420001",
    client: dict[str, Any] | None = None,
    header_codes: tuple[str, ...] = (),
    client_codes: tuple[str, ...] = ("0200",),
    header_only: bool = False,
    release: str = "3_2",
    subversion: str = "2",
) -> bytes:
    """A whole message. `kind` such as ``305``; of a return (302, 306, 308) each class may have `codes`."""
    returned = kind in ("302", "306", "308")
    family = "ijw" if law == "JW" else "iwmo"
    space = f"http://www.istandaarden.nl/{family}/{release}/{law.lower()}{kind}/schema"
    base = f"http://www.istandaarden.nl/{family}/{release}/basisschema/schema"
    sender, receiver = (municipality, agb) if kind in ("301", "302") else (agb, municipality)
    versions = el("b:BasisschemaXsdVersie", "1.0.0") + el("b:BerichtXsdVersie", "1.0.0")
    header = (
        el("m:BerichtCode", str(CODES[law + kind])) + el("m:BerichtVersie", "3") + el("m:BerichtSubversie", subversion)
        + el("m:Afzender", sender) + el("m:Ontvanger", receiver)
        + el("m:BerichtIdentificatie", el("b:Identificatie", number) + el("b:Dagtekening", day), raw=True)
        + el("m:XsdVersie", versions, raw=True)
    )  # fmt: skip
    if returned:
        header += el("m:IdentificatieRetour", "r" + number) + el("m:DagtekeningRetour", day)
        header += el("m:XsdVersieRetour", versions, raw=True) + codes(header_codes)
    body = el("m:Header", header, raw=True)
    if not header_only:
        body += el("m:Client", _client(kind, CLIENT | (client or {}), classes, returned, client_codes), raw=True)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\r\n<m:Bericht xmlns:m="{space}" xmlns:b="{base}">\r\n{body}</m:Bericht>\r\n'
    ).encode()


def _client(
    kind: str, who: dict[str, Any], classes: tuple[dict[str, Any], ...], returned: bool, client_codes: tuple[str, ...]
) -> str:
    full = kind in ("301", "302")
    group, name = _GROUPS[kind[-1] if not returned else str(int(kind[-1]) - 1)]
    text = el("m:Bsn", who["bsn"]) + _born(who) + el("m:Geslacht", who["sex"]) + _name(who, full)
    if full:
        text += el("m:Communicatie", el("b:Vorm", "1") + el("b:Taal", "Zweeds"), raw=True)
        text += el("m:JuridischeStatus", "04") + el("m:WettelijkeVertegenwoordiging", "09")
        text += el("m:Commentaar", "GEHEIM COMMENTAAR")
        relations = "".join(el("m:Relatie", _relation(each), raw=True) for each in who["relations"])
        text += el("m:Relaties", relations, raw=True) if relations else ""
        contacts = "".join(el("m:Contact", _contact(each), raw=True) for each in who["contacts"])
        text += el("m:Contactgegevens", contacts, raw=True)
    made = "".join(
        el(f"m:{name}", _class(kind, each) + (codes(each.get("codes", ("0200",))) if returned else ""), raw=True)
        for each in classes
    )
    return text + el(f"m:{group}", made, raw=True) + (codes(client_codes) if returned else "")


def _class(kind: str, each: dict[str, Any]) -> str:
    product = el("b:Categorie", each["category"]) + el("b:Code", each.get("code", ""))
    text = el("m:ToewijzingNummer", each.get("allocation", ""))
    text += el("m:Product", product, raw=True) if each["category"] else ""
    if kind in ("301", "302"):
        text += el("m:Toewijzingsdatum", each["given"]) + el("m:Toewijzingstijd", each["at"])
        text += el("m:Ingangsdatum", each["begin"]) + el("m:Einddatum", each.get("end", ""))
        text += el("m:RedenWijziging", each.get("change", "")) + el("m:Commentaar", "GEHEIM COMMENTAAR")
        return text
    text += el("m:ToewijzingIngangsdatum", each["begin"]) + el("m:Begindatum", each["first_day"])
    if kind in ("307", "308"):
        text += el("m:RedenBeeindiging", each["reason"]) + el("m:Einddatum", each["end"])
    return text + el("m:StatusAanlevering", each["status"])


def _born(who: dict[str, Any]) -> str:
    inner = el("b:Datum", who["born"]) + el("b:DatumGebruik", who.get("known", ""))
    return el("m:Geboortedatum", inner, raw=True)


def _name(who: dict[str, Any], full: bool) -> str:
    own = el("b:Achternaam", who["surname"]) + el("b:Voorvoegsel", who.get("prefix", ""))
    text = el("b:Geslachtsnaam", own, raw=True)
    if full and who.get("partner"):
        partner = el("b:Achternaam", who["partner"]) + el("b:Voorvoegsel", who.get("partner_prefix", ""))
        text += el("b:Partnernaam", partner, raw=True)
    text += el("b:Voornamen", who.get("given", "")) + el("b:Voorletters", who.get("initials", ""))
    text += el("b:NaamGebruik", who.get("usage", "1")) if full else ""
    return el("m:Naam", text, raw=True)


def _contact(each: dict[str, Any]) -> str:
    house = el("b:Huisnummer", each.get("number", "")) + el("b:Huisletter", each.get("letter", ""))
    house += el("b:HuisnummerToevoeging", each.get("addition", "")) + el("b:AanduidingWoonadres", each.get("to", ""))
    address = el("b:Huis", house, raw=True) + el("b:Postcode", each.get("postcode", ""))
    address += el("b:Straatnaam", each.get("street", "")) + el("b:Plaatsnaam", each.get("city", ""))
    address += el("b:LandCode", each.get("country", ""))
    text = el("m:Soort", each["kind"]) + el("m:Adres", address, raw=True)
    if each.get("phone"):
        phone = el("b:Telefoonnummer", each["phone"]) + el("b:Landnummer", each.get("country_number", "0031"))
        text += el("m:Telefoon", el("b:Telefoon01", phone, raw=True), raw=True)
    text += el("m:Emailadres", each.get("email", ""))
    period = el("b:Begindatum", each.get("from", "")) + el("b:Einddatum", each.get("until", ""))
    return text + (el("m:Periode", period, raw=True) if period else "")


def _relation(each: dict[str, Any]) -> str:
    text = el("m:Nummer", each["number"]) + el("m:Soort", each["kind"])
    text += _born(each) if each.get("born") else ""
    text += el("m:Geslacht", each.get("sex", "")) + _name(each, True)
    return text + el("m:Contact", _contact(each.get("contact", {"kind": "01"})), raw=True)


def codes(given: tuple[str, ...]) -> str:
    return el("m:RetourCodes", "".join(el("m:RetourCode", each) for each in given), raw=True) if given else ""


def el(name: str, text: str, raw: bool = False) -> str:
    """An element on lines of its own; nothing for an empty text."""
    if not text:
        return ""
    return f"<{name}>\r\n{text}</{name}>\r\n" if raw else f"<{name}>{escape(text)}</{name}>\r\n"


def envelope(content: bytes, function: str = "JW305", holder: str = "xmlBestand", code: str = "Di01") -> bytes:
    """A StUF-GGK envelope around a message; line ends are bare, as gateways write them."""
    root = "envelopHeenbericht-ggk_Di01" if code == "Di01" else "envelopRetourbericht-ggk_Du01"
    payload = base64.encodebytes(content).decode()
    name = ' bestandsnaam="bericht.xml"' if holder == "tekstBestand" else ""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<GGK:{root} xmlns:StUF="http://www.egem.nl/StUF/StUF0301" xmlns:GGK="http://www.stufstandaarden.nl/koppelvlak/ggk0210">
  <GGK:stuurgegevens>
    <StUF:berichtcode>{code}</StUF:berichtcode>
    <StUF:zender><StUF:organisatie>42420001</StUF:organisatie><StUF:applicatie>ECD</StUF:applicatie></StUF:zender>
    <StUF:ontvanger><StUF:organisatie>0858</StUF:organisatie><StUF:applicatie>GGk</StUF:applicatie></StUF:ontvanger>
    <StUF:referentienummer>9c0f7b90-5c69-41e5-a837-0800200c9a66</StUF:referentienummer>
    <StUF:tijdstipBericht>20260114132514</StUF:tijdstipBericht>
    <StUF:functie>{function}</StUF:functie>
  </GGK:stuurgegevens>
  <GGK:parameters>
    <GGK:applicatieVersie>0004</GGK:applicatieVersie>
    <GGK:bericht><GGK:{holder}{name}>{payload}</GGK:{holder}></GGK:bericht>
  </GGK:parameters>
</GGK:{root}>
""".encode()
