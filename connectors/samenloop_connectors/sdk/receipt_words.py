"""Every receipt code and kind in words: what it means, and what the partner can do. English and Dutch.

A code either refuses a statement or only remarks on one that was taken (`REMARKS`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from samenloop_schemas.codes import ReceiptCode, ReceiptKind

Language = Literal["en", "nl"]


@dataclass(frozen=True, slots=True)
class Words:
    meaning: str
    advice: str


@dataclass(frozen=True, slots=True)
class Reason:
    """A code with its words in one language."""

    code: str
    meaning: str
    advice: str


REMARKS = frozenset({ReceiptCode.BSN_STRIPPED, ReceiptCode.BSN_INVALID, ReceiptCode.REVISION_CONFLICT})

_ENGLISH_CODES: dict[ReceiptCode, Words] = {
    ReceiptCode.UNKNOWN: Words(
        "A reason that this version of the connector does not know.", "Install a newer version of the connector."
    ),
    ReceiptCode.NO_AGREEMENT: Words(
        "There was no agreement in force in this area on the day of stating.",
        "Ask the hub whether the area's agreement is published, and from which day it holds; then state the case again.",
    ),
    ReceiptCode.WRONG_SENDER: Words(
        "The agreement does not let this partner speak for this organisation.",
        "Compare `organisations` in the connector's configuration with the agreement.",
    ),
    ReceiptCode.UNKNOWN_ORGANISATION: Words(
        "The area's agreement does not name this organisation.",
        "Compare `id` and `area` under `organisations` with the agreement, or have the agreement extended.",
    ),
    ReceiptCode.NO_PARTY: Words(
        "The agreement has no party for this organisation with this law and service group.",
        "Check how the source's product or scheme is mapped to law and service group.",
    ),
    ReceiptCode.BASIS_NOT_AGREED: Words(
        "The legal basis is not one of those agreed.",
        "Compare the legal bases in the configuration with the agreement.",
    ),
    ReceiptCode.PURPOSE_NOT_AGREED: Words(
        "The purpose is not one of those agreed.", "Compare `purpose` in the configuration with the agreement."
    ),
    ReceiptCode.AGE_NOT_AGREED: Words(
        "The person's age is outside what is agreed for this law, or the year of birth is unknown.",
        "Check the date of birth at the source; otherwise this case is not to be shared.",
    ),
    ReceiptCode.CONSENT_MISSING: Words(
        "The organisation shares with consent only, and none is recorded.",
        "Record the consent at the source if it was given; otherwise nothing needs to be done.",
    ),
    ReceiptCode.CONSENT_REFUSED: Words(
        "Consent was refused or withdrawn.", "Nothing needs to be done: the case is not shared."
    ),
    ReceiptCode.SEAL_NOT_OPENED: Words(
        "The hub could not open the sealed identity.",
        "Compare SAMENLOOP_HUB_PUBLIC_KEY with the hub's own. If it is right the fault is at the hub: it retries the statement.",
    ),
    ReceiptCode.SEAL_MISMATCH: Words(
        "The sealed identity belongs to another statement or organisation.",
        "This is a fault of the software that made the statement: tell its maker.",
    ),
    ReceiptCode.IMPOSSIBLE_DATES: Words(
        "The dates cannot be: an end before the start, or a year before 1900 or too far ahead.",
        "Correct the dates at the source.",
    ),
    ReceiptCode.IDENTITY_MISSING: Words("There is neither a surname nor a BSN.", "Complete the person at the source."),
    ReceiptCode.INVALID_CODE: Words(
        "A field that holds a code, a reference or a contact route holds something else.",
        "Check service groups, legal bases and contact routes in the configuration: codes are lower case without spaces.",
    ),
    ReceiptCode.WRONG_KEY: Words(
        "The record's key is not the area of the statement.", "Send with the connector, or with the area as the key."
    ),
    ReceiptCode.BSN_STRIPPED: Words(
        "This organisation has no right to send a BSN; it was thrown away, the rest was taken.",
        "Leave the BSN out at the source, or have the right recorded in the agreement.",
    ),
    ReceiptCode.BSN_INVALID: Words(
        "A BSN failed the eleven-test and was thrown away; the rest was taken.", "Correct the BSN at the source."
    ),
    ReceiptCode.REVISION_CONFLICT: Words(
        "Two different statements carry the same revision; the later one counts.",
        "If this happens more than once, the source changes a case without changing its version: tell its supplier.",
    ),
    ReceiptCode.UNDECODABLE: Words(
        "The record cannot be read as a statement.", "Send with the connector, or check the schema that is written."
    ),
    ReceiptCode.TOO_MUCH_BAD_INPUT: Words(
        "More than the agreed share of what was sent could not be read.",
        "Find what sends it and stop it; the hub goes on by itself after a while, or when its operators say so.",
    ),
    ReceiptCode.ERASED: Words(
        "The case or the person was erased from the hub.", "Nothing needs to be done: it is not taken again."
    ),
}

_ENGLISH_KINDS: dict[ReceiptKind, Words] = {
    ReceiptKind.UNKNOWN: Words(
        "A message that this version of the connector does not know.", "Install a newer version."
    ),
    ReceiptKind.ACCEPTED: Words("Taken by the hub.", ""),
    ReceiptKind.REFUSED: Words("Not taken; nothing of it was kept.", "See the reasons."),
    ReceiptKind.QUARANTINED: Words(
        "Set apart unread, with its bytes as they came.", "The hub's operators look at it; see the reasons."
    ),
    ReceiptKind.WAITING: Words(
        "Kept, and judged as soon as an agreement of its area is published.",
        "Nothing needs to be done, unless it lasts: then ask the hub about the agreement.",
    ),
    ReceiptKind.RECONCILIATION: Words("What the hub held at the end of a day.", ""),
    ReceiptKind.PAUSED: Words(
        "The hub has stopped reading this partner's feed for a while.",
        "What you send meanwhile is kept and read afterwards; see the reason.",
    ),
    ReceiptKind.RESUMED: Words("The hub reads this partner's feed again.", ""),
}

_DUTCH_CODES: dict[ReceiptCode, Words] = {
    ReceiptCode.UNKNOWN: Words(
        "Een reden die deze versie van de connector niet kent.", "Installeer een nieuwere versie van de connector."
    ),
    ReceiptCode.NO_AGREEMENT: Words(
        "In dit gebied gold op de dag van opgave geen convenant.",
        "Vraag de hub of het convenant gepubliceerd is en vanaf welke dag het geldt; geef de zaak dan opnieuw op.",
    ),
    ReceiptCode.WRONG_SENDER: Words(
        "Deze partner mag volgens het convenant niet voor deze organisatie spreken.",
        "Vergelijk `organisations` in de configuratie met het convenant.",
    ),
    ReceiptCode.UNKNOWN_ORGANISATION: Words(
        "Het convenant van dit gebied noemt deze organisatie niet.",
        "Vergelijk `id` en `area` onder `organisations` met het convenant, of laat het convenant uitbreiden.",
    ),
    ReceiptCode.NO_PARTY: Words(
        "Het convenant kent geen partij voor deze organisatie met deze wet en dienstgroep.",
        "Kijk na hoe product of regeling van de bron naar wet en dienstgroep is vertaald.",
    ),
    ReceiptCode.BASIS_NOT_AGREED: Words(
        "De grondslag hoort niet bij de afgesproken grondslagen.",
        "Vergelijk de grondslagen in de configuratie met het convenant.",
    ),
    ReceiptCode.PURPOSE_NOT_AGREED: Words(
        "Het doel hoort niet bij de afgesproken doelen.", "Vergelijk `purpose` in de configuratie met het convenant."
    ),
    ReceiptCode.AGE_NOT_AGREED: Words(
        "De leeftijd valt buiten wat voor deze wet is afgesproken, of het geboortejaar is onbekend.",
        "Kijk de geboortedatum in de bron na; anders hoort deze zaak niet gedeeld te worden.",
    ),
    ReceiptCode.CONSENT_MISSING: Words(
        "De organisatie deelt alleen met toestemming, en die is niet vastgelegd.",
        "Leg de toestemming in de bron vast als zij gegeven is; anders is niets nodig.",
    ),
    ReceiptCode.CONSENT_REFUSED: Words(
        "Toestemming is geweigerd of ingetrokken.", "Er is niets nodig: de zaak wordt niet gedeeld."
    ),
    ReceiptCode.SEAL_NOT_OPENED: Words(
        "De hub kon de verzegelde identiteit niet openen.",
        "Vergelijk SAMENLOOP_HUB_PUBLIC_KEY met die van de hub. Klopt hij, dan ligt de fout bij de hub: die probeert het opnieuw.",
    ),
    ReceiptCode.SEAL_MISMATCH: Words(
        "De verzegelde identiteit hoort bij een andere opgave of organisatie.",
        "Dit is een fout in de programmatuur die de opgave maakte: meld het de maker.",
    ),
    ReceiptCode.IMPOSSIBLE_DATES: Words(
        "De datums kunnen niet: een eind voor het begin, of een jaar voor 1900 of te ver vooruit.",
        "Verbeter de datums in de bron.",
    ),
    ReceiptCode.IDENTITY_MISSING: Words("Er is geen achternaam en geen BSN.", "Vul de persoon in de bron aan."),
    ReceiptCode.INVALID_CODE: Words(
        "In een veld voor een code, verwijzing of contactroute staat iets anders.",
        "Kijk dienstgroepen, grondslagen en contactroutes in de configuratie na: codes zijn kleine letters zonder spaties.",
    ),
    ReceiptCode.WRONG_KEY: Words(
        "De sleutel van het bericht is niet het gebied van de opgave.",
        "Verzend met de connector, of met het gebied als sleutel.",
    ),
    ReceiptCode.BSN_STRIPPED: Words(
        "Deze organisatie mag geen BSN sturen; het is weggegooid, de rest is overgenomen.",
        "Laat het BSN in de bron weg, of laat het recht in het convenant vastleggen.",
    ),
    ReceiptCode.BSN_INVALID: Words(
        "Een BSN voldeed niet aan de elfproef en is weggegooid; de rest is overgenomen.", "Verbeter het BSN in de bron."
    ),
    ReceiptCode.REVISION_CONFLICT: Words(
        "Twee verschillende opgaven dragen dezelfde revisie; de laatste telt.",
        "Gebeurt dit vaker, dan wijzigt de bron een zaak zonder haar versie te wijzigen: meld het de leverancier.",
    ),
    ReceiptCode.UNDECODABLE: Words(
        "Het bericht is niet als opgave te lezen.", "Verzend met de connector, of kijk het gebruikte schema na."
    ),
    ReceiptCode.TOO_MUCH_BAD_INPUT: Words(
        "Meer dan het afgesproken deel van wat gestuurd werd, was niet te lezen.",
        "Zoek wat het stuurt en stop het; de hub gaat vanzelf verder, of als de beheerders dat zeggen.",
    ),
    ReceiptCode.ERASED: Words(
        "De zaak of de persoon is uit de hub gewist.", "Er is niets nodig: zij wordt niet opnieuw overgenomen."
    ),
}

_DUTCH_KINDS: dict[ReceiptKind, Words] = {
    ReceiptKind.UNKNOWN: Words(
        "Een bericht dat deze versie van de connector niet kent.", "Installeer een nieuwere versie."
    ),
    ReceiptKind.ACCEPTED: Words("Door de hub overgenomen.", ""),
    ReceiptKind.REFUSED: Words("Niet overgenomen; er is niets van bewaard.", "Zie de redenen."),
    ReceiptKind.QUARANTINED: Words(
        "Ongelezen apart gezet, zoals het binnenkwam.", "De beheerders van de hub kijken ernaar; zie de redenen."
    ),
    ReceiptKind.WAITING: Words(
        "Bewaard, en beoordeeld zodra er een convenant van het gebied gepubliceerd is.",
        "Er is niets nodig, tenzij het lang duurt: vraag de hub dan naar het convenant.",
    ),
    ReceiptKind.RECONCILIATION: Words("Wat de hub aan het eind van een dag had.", ""),
    ReceiptKind.PAUSED: Words(
        "De hub leest de aanvoer van deze partner een tijd niet.",
        "Wat u intussen stuurt, wordt bewaard en daarna gelezen; zie de reden.",
    ),
    ReceiptKind.RESUMED: Words("De hub leest de aanvoer van deze partner weer.", ""),
}

CODES: dict[Language, dict[ReceiptCode, Words]] = {"en": _ENGLISH_CODES, "nl": _DUTCH_CODES}
KINDS: dict[Language, dict[ReceiptKind, Words]] = {"en": _ENGLISH_KINDS, "nl": _DUTCH_KINDS}


def reason(code: str, language: Language = "en") -> Reason:
    """A code in words; one that this version does not know gets the words of UNKNOWN under its own name."""
    known = ReceiptCode(code) if code in ReceiptCode.__members__ else ReceiptCode.UNKNOWN
    words = CODES[language][known]
    return Reason(code, words.meaning, words.advice)


def of_kind(kind: str, language: Language = "en") -> Words:
    return KINDS[language][ReceiptKind(kind) if kind in ReceiptKind.__members__ else ReceiptKind.UNKNOWN]
