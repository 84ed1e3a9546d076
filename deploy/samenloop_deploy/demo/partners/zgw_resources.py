"""The world's youth-team cases as the Zaken and Catalogi API show them. Pure: the same world gives the same resources."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any, Final
from uuid import UUID, uuid5

from ..cases import Case, State
from ..places import AREAS
from ..world import World
from ..written import ZgwPerson
from ..written.zgw import write_zgw
from .seam import instant_text

ORGANISATIONS: Final = tuple(area.youth_team for area in AREAS)
_NAMES: Final = UUID("8c7f3f5e-6c3e-4f2a-9d0e-2f6f6c5b1a10")
CASE_TYPES: Final = {
    "JEUGD-HULP": "Jeugdhulp door het jeugdteam",
    "JEUGD-GEZIN": "Begeleiding gezin",
    "JEUGD-VRAAG": "Vraag aan het jeugdteam",
}
"""The last is a question at the desk: there are such zaken, with nobody in them, and they are not for others."""
SHARED: Final = ("JEUGD-HULP", "JEUGD-GEZIN")
STATUS_TYPES: Final = {
    "aangemeld": {"omschrijving": "Aangemeld", "volgnummer": 1, "isEindstatus": False},
    "bezig": {"omschrijving": "In behandeling", "volgnummer": 2, "isEindstatus": False},
    "klaar": {"omschrijving": "Afgesloten", "volgnummer": 3, "isEindstatus": True},
}
RESULTS: Final = {
    "doel-bereikt": {"omschrijving": "Doel bereikt", "omschrijvingGeneriek": "Afgehandeld"},
    "verwezen": {"omschrijving": "Doorverwezen", "omschrijvingGeneriek": "Afgehandeld"},
    "afgebroken": {"omschrijving": "Geen contact", "omschrijvingGeneriek": "Afgebroken"},
    "verhuisd": {"omschrijving": "Verhuisd", "omschrijvingGeneriek": "Afgebroken"},
}
_TYPES: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {"statustypen": STATUS_TYPES, "resultaattypen": RESULTS}
QUESTIONS: Final = 4
_LEVELS: Final = ("zaakvertrouwelijk", "zaakvertrouwelijk", "vertrouwelijk")


def uuid_of(*parts: str) -> str:
    return str(uuid5(_NAMES, "|".join(parts)))


class Resources:
    """One organisation's resources, by kind and uuid. `root` is where its APIs are."""

    def __init__(self, world: World, organisation: str, root: str) -> None:
        self._world = world
        self._organisation = organisation
        self._zaken = f"{root}/zaken/api/v1"
        self._catalogue = f"{root}/catalogi/api/v1"
        area = next(each for each in AREAS if each.youth_team == organisation)
        self._rsin = f"51743{area.municipalities[0].code}"

    def uuid(self, number: str) -> str:
        return uuid_of(self._organisation, number)

    def url(self, kind: str, key: str) -> str:
        base = self._catalogue if kind.endswith("typen") else self._zaken
        return f"{base}/{kind}/{key}"

    def cases(self) -> dict[str, Case]:
        """By uuid, those that are there: what was made by mistake was destroyed."""
        numbers = {number for _, number in self._world.log["zgw", self._organisation]}
        found = [self._world.cases[self._organisation, number] for number in sorted(numbers)]
        return {self.uuid(case.number): case for case in found if case.state is not State.WITHDRAWN}

    def zaken(self) -> list[dict[str, Any]]:
        """All, by identificatie; questions at the desk come last."""
        return [self.zaak(case) for case in self.cases().values()] + self.questions()

    def zaak(self, case: Case) -> dict[str, Any]:
        ended, begun = case.state is State.ENDED, case.state is not State.ANNOUNCED
        kept = Random(f"zgw:{self._organisation}:{case.number}")
        status = "klaar" if ended else "bezig" if begun else kept.choice(("aangemeld", ""))
        result, level = kept.choice(tuple(RESULTS)), kept.choice(_LEVELS)
        made = self._zaak(case.number, kept.choice(SHARED), str(case.registered_on))
        return made | {
            "startdatum": str(case.starts_on or case.registered_on),
            "einddatum": str(case.ends_on) if ended and case.ends_on else None,
            "laatstGemuteerd": instant_text(case.changed_at),
            "vertrouwelijkheidaanduiding": level,
            "opschorting": {
                "indicatie": case.state is State.PAUSED, "eerdereOpschorting": case.state is State.PAUSED,
                "reden": "Wacht op gezin" if case.state is State.PAUSED else "",
            },
            "rollen": [role["url"] for role in self.roles(case)],
            "status": self.url("statussen", self._sub(case, f"status-{status}")) if status else None,
            "resultaat": self.url("resultaten", self._sub(case, f"resultaat-{result}")) if ended else None,
        }  # fmt: skip

    def questions(self) -> list[dict[str, Any]]:
        """Zaken about nobody: the connector has to leave them alone."""
        return [
            self._zaak(f"ZAAK-900{number:03d}", "JEUGD-VRAAG", f"2026-0{1 + number}-15") for number in range(QUESTIONS)
        ]

    def roles(self, case: Case) -> list[dict[str, Any]]:
        """The child, its parents, the team, and the worker, whose name is nobody's business."""
        client = self._world.clients[case.organisation, case.client]
        assert isinstance(client.written, ZgwPerson)
        zaak = self.url("zaken", self.uuid(case.number))
        found = [self._person_role(zaak, case, "Jeugdige", "belanghebbende", client.written, case.client)]
        for number, parent in enumerate(self._world.persons[case.person].parents):
            written = write_zgw(
                Random(f"zgw:{self._world.seed}:{self._organisation}:{parent}"), self._world.persons[parent]
            )
            generic = "initiator" if number == 0 else "belanghebbende"
            found.append(self._person_role(zaak, case, "Ouder", generic, written, f"O{parent[1:]}"))
        team = {"identificatie": case.team.replace(" ", "-").lower()[:24], "naam": case.team, "isGehuisvestIn": ""}
        worker = {
            "identificatie": "m" + case.number[-4:],
            "achternaam": "Medewerker",
            "voorletters": "M.",
            "voorvoegselAchternaam": "",
        }
        found.append(self._role(zaak, case, "organisatorische_eenheid", "Behandelend team", "behandelaar", team))
        found.append(self._role(zaak, case, "medewerker", "Behandelaar", "behandelaar", worker))
        return found

    def one(self, kind: str, key: str) -> dict[str, Any] | None:
        """A resource by its key; None when there is none."""
        if kind == "zaaktypen":
            name = next((name for name in CASE_TYPES if uuid_of(self._organisation, name) == key), None)
            return self.case_type(name) if name else None
        if kind in _TYPES:
            for name, shown in _TYPES[kind].items():
                if uuid_of(self._organisation, kind, name) == key:
                    return {"url": self.url(kind, key), **shown}
            return None
        if kind == "zaken":
            case = self.cases().get(key)
            return self.zaak(case) if case else next((zaak for zaak in self.questions() if zaak["uuid"] == key), None)
        return self._of_a_zaak(kind, key)

    def case_type(self, name: str) -> dict[str, Any]:
        url = self.url("zaaktypen", uuid_of(self._organisation, name))
        return {"url": url, "identificatie": name, "omschrijving": CASE_TYPES[name], "concept": False}

    def _of_a_zaak(self, kind: str, key: str) -> dict[str, Any] | None:
        word = {"statussen": "status", "resultaten": "resultaat"}.get(kind)
        for case in self.cases().values():
            for name in (STATUS_TYPES if kind == "statussen" else RESULTS) if word else ():
                if self._sub(case, f"{word}-{name}") == key:
                    types = "statustypen" if kind == "statussen" else "resultaattypen"
                    type_url = self.url(types, uuid_of(self._organisation, types, name))
                    zaak = self.url("zaken", self.uuid(case.number))
                    return {"url": self.url(kind, key), "uuid": key, "zaak": zaak, types[:-1]: type_url}
            if kind == "rollen":
                for role in self.roles(case):
                    if role["uuid"] == key:
                        return role
        return None

    def _sub(self, case: Case, name: str) -> str:
        return uuid_of(self._organisation, case.number, name)

    def _zaak(self, number: str, case_type: str, registered_on: str) -> dict[str, Any]:
        uuid = self.uuid(number)
        return {
            "url": self.url("zaken", uuid), "uuid": uuid, "identificatie": number, "bronorganisatie": self._rsin,
            "omschrijving": "Gesprek met het gezin", "toelichting": "Zie dossier",
            "zaaktype": self.url("zaaktypen", uuid_of(self._organisation, case_type)), "registratiedatum": registered_on,
            "verantwoordelijkeOrganisatie": self._rsin, "startdatum": registered_on, "einddatum": None, "einddatumGepland": None,
            "uiterlijkeEinddatumAfdoening": None, "publicatiedatum": None, "vertrouwelijkheidaanduiding": "zaakvertrouwelijk",
            "verlenging": None, "opschorting": None, "hoofdzaak": None, "deelzaken": [], "eigenschappen": [], "rollen": [],
            "status": None, "resultaat": None, "kenmerken": [], "archiefnominatie": None, "archiefstatus": "nog_te_archiveren",
        }  # fmt: skip

    def _person_role(
        self, zaak: str, case: Case, word: str, generic: str, person: ZgwPerson, number: str
    ) -> dict[str, Any]:
        year, month, day = person.geboortedatum
        return self._role(zaak, case, "natuurlijk_persoon", word, generic, {
            "inpBsn": person.inp_bsn, "anpIdentificatie": number, "inpA_nummer": "", "geslachtsnaam": person.geslachtsnaam,
            "voorvoegselGeslachtsnaam": person.voorvoegsel_geslachtsnaam, "voorletters": person.voorletters,
            "voornamen": person.voornamen, "geslachtsaanduiding": person.geslachtsaanduiding,
            "geboortedatum": f"{year:04d}-{month:02d}-{day:02d}" if year else "",
            "verblijfsadres": {
                "aoaIdentificatie": f"{person.postcode}{person.huisnummer}", "wplWoonplaatsNaam": person.woonplaats,
                "gorOpenbareRuimteNaam": person.straat, "aoaPostcode": person.postcode,
                "aoaHuisnummer": int(person.huisnummer) if person.huisnummer.isdigit() else 0,
                "aoaHuisletter": person.huisletter, "aoaHuisnummertoevoeging": person.toevoeging, "inpLocatiebeschrijving": "",
            },
            "subVerblijfBuitenland": None,
        })  # fmt: skip

    def _role(
        self, zaak: str, case: Case, kind: str, word: str, generic: str, who: Mapping[str, Any]
    ) -> dict[str, Any]:
        """A role cannot be changed, only made anew: what it says is in its uuid."""
        uuid = uuid_of(self._organisation, case.number, kind, word, repr(sorted(who.items(), key=lambda pair: pair[0])))
        return {
            "url": self.url("rollen", uuid), "uuid": uuid, "zaak": zaak, "betrokkene": "", "betrokkeneType": kind,
            "afwijkendeNaamBetrokkene": "", "roltype": self.url("roltypen", uuid_of(self._organisation, word)),
            "omschrijving": word, "omschrijvingGeneriek": generic, "roltoelichting": word, "indicatieMachtiging": "",
            "registratiedatum": f"{case.registered_on}T09:00:00Z", "statussen": [], "betrokkeneIdentificatie": dict(who),
        }  # fmt: skip
