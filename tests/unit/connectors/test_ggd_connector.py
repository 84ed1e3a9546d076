"""The GGD connector against a FHIR server: exports of changes and of everything, jobs that break, and addresses that lead away."""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from ipaddress import ip_address
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from edge_tools import KEYS, NOON, Edge, opened, plain, rank, raw_bytes, spellings
from fhir_server import BSN, PEM, START, FhirServer, at, episode, patient, text_of
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop_connectors.ggd import resources
from samenloop_connectors.ggd.access import Addresses
from samenloop_connectors.ggd.connector import STREAM, GgdConnector
from samenloop_connectors.sdk.connector import Item, Reading
from samenloop_connectors.sdk.errors import ConfigurationError, DataError, TransientError
from samenloop_connectors.sdk.runner import Taken
from samenloop_schemas.codes import EndReason, Status
from samenloop_schemas.dates import micros
from samenloop_schemas.records import InvolvementStatement


@pytest.fixture
def server() -> Iterator[FhirServer]:
    running = FhirServer()
    yield running
    running.close()


class Site:
    """A connector at its server, with its own clock: a day passes with each night."""

    def __init__(self, server: FhirServer, directory: Path, **fields: Any) -> None:
        self.server, self.directory = server, directory
        self.now = server.clock
        self.waited: list[float] = []
        self.ticks = count()
        self.edge = Edge(directory, self.connector(**fields), self.said_at)

    def connector(self, **fields: Any) -> GgdConnector:
        return GgdConnector(self.server.config(self.directory, **fields), lambda: self.now, self._wait)

    def said_at(self) -> datetime:
        return self.now + timedelta(microseconds=next(self.ticks))

    def _wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return False

    def night(self, days: float = 1) -> Taken:
        self.now += timedelta(days=days)
        self.server.clock = max(self.server.clock, self.now)
        return self.edge.runner.round()

    def newest(self, organisation: str = "ggd-a2", number: str = "e1") -> InvolvementStatement:
        ref = KEYS.case_ref(organisation, "fhir", number)
        return max((each for each in self.edge.statements() if each.case_ref == ref), key=rank)

    def told(self, number: str = "e1", organisation: str = "ggd-a2") -> int:
        """How often something was said of a case."""
        ref = KEYS.case_ref(organisation, "fhir", number)
        return sum(each.case_ref == ref for each in self.edge.statements())

    def set_aside(self) -> list[tuple[str, str]]:
        return sorted(self.edge.store.connection.execute("SELECT code, field FROM quarantine"))

    def kicks(self) -> list[str]:
        return [path for method, path, _ in self.server.asked if "$export" in path]


@pytest.fixture
def site(server: FhirServer, tmp_path: Path) -> Iterator[Site]:
    made = Site(server, tmp_path)
    yield made
    made.edge.close()


def test_an_episode_in_the_hubs_words(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(team=[{"display": "Team Zuid"}]))
    assert site.night().stated == 1, "the person, and then the episode: one statement of both"
    said = site.edge.only()
    person = opened(said)
    assert person is not None
    assert (said.area, said.organisation, said.source_system) == ("a2", "ggd-a2", "fhir")
    assert (said.domain, said.service_group, said.legal_basis) == ("WPG", "youth_health_extra", "wpg_5")
    assert (said.status, said.starts_on, said.ends_on, said.contact.team) == (
        Status.ACTIVE,
        date(2026, 3, 4),
        None,
        "JGZ Team Zuid",
    )
    assert said.revision == micros(START) * 1000 + 2
    assert (person.surname_prefix, person.surname, person.given_names, person.bsn) == (
        "van der",
        "Berg",
        "Sanne Maria",
        "999990019",
    )


def test_universal_contact_moments_leave_no_trace(site: Site, server: FhirServer) -> None:
    other = patient("p9", bsn="999990020", name=[{"family": "Algemeen"}])
    server.put(patient(), other, episode(), episode("e9", kind="universal", patient={"reference": "Patient/p9"}))
    server.put(episode("e8", kind="universal", meta={"lastUpdated": "1960-01-01T00:00:00Z"}))
    for _ in range(3):
        site.night(4)
    assert len(site.edge.final()) == 1
    known = site.edge.state.cursor(STREAM)
    assert known is not None
    assert "e1" in json.dumps(known), "this search finds what is there"
    assert "e9" not in json.dumps(known)
    assert "p9" not in json.dumps(known)
    assert site.edge.state.case_count() == 1
    assert site.set_aside() == []


def test_an_export_of_changes_begins_where_the_last_one_ended(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode())
    site.night()
    first = server.clock
    assert site.night().items == 0
    assert "_since" not in site.kicks()[0]
    assert "_type=EpisodeOfCare%2CPatient" in site.kicks()[0] or "_type=EpisodeOfCare,Patient" in site.kicks()[0]
    server.later(hours=3)
    server.put(episode(meta={"lastUpdated": text_of(server.clock)}, status="onhold"))
    assert site.night().stated == 1
    assert site.newest().status is Status.PAUSED
    assert opened(site.newest()) is not None, "the person was told before and did not change"
    asked = site.kicks()[1].split("_since=")[1]
    assert asked.replace("%3A", ":").startswith((first - timedelta(seconds=300)).isoformat()[:19])
    assert server.dropped == ["j0", "j1", "j2"]


def test_a_person_that_changes_alone_is_told_to_his_cases(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(), episode("e2", kind="coordination"))
    assert site.night().stated == 2
    server.later(hours=3)
    server.put(patient(meta={"lastUpdated": text_of(server.clock)}, name=[{"family": "Verhuisd"}]))
    assert site.night().stated == 2
    for number in ("e1", "e2"):
        person = opened(site.newest(number=number))
        assert person
        assert person.surname == "Verhuisd"


def test_a_person_and_his_episode_that_change_in_one_export_are_one_statement(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode())
    site.night()
    server.later(hours=3)
    now = {"meta": {"lastUpdated": text_of(server.clock)}}
    server.put(patient(**now, name=[{"family": "Verhuisd"}]), episode(**now, status="onhold"))
    assert site.night().stated == 1, "two halves would go out under one revision"
    person = opened(site.newest())
    assert person
    assert (person.surname, site.newest().status) == ("Verhuisd", Status.PAUSED)


def test_a_new_episode_of_somebody_who_did_not_change(site: Site, server: FhirServer) -> None:
    server.put(patient())
    site.night()
    server.later(hours=1)
    server.put(episode(meta={"lastUpdated": text_of(server.clock)}))
    assert site.night().stated == 1
    assert opened(site.newest()) is not None
    assert [path for _, path, _ in server.asked if "fhir/Patient/" in path] == ["/fhir/Patient/p1"]


def test_an_episode_without_its_patient_waits_aside(site: Site, server: FhirServer) -> None:
    server.put(episode())
    assert site.night().stated == 0
    assert site.set_aside() == [("missing", "patient")]
    server.put(patient())
    assert site.night(8).stated == 1
    assert site.set_aside() == []


@pytest.mark.parametrize("word", ["entered-in-error", "cancelled"])
def test_made_by_mistake_after_it_was_told(site: Site, server: FhirServer, word: str) -> None:
    server.put(patient(), episode())
    site.night()
    before = site.newest()
    server.later(hours=1)
    server.put(episode(status=word, meta={"lastUpdated": text_of(server.clock)}))
    site.night()
    after = site.newest()
    assert (after.status, after.identity, after.starts_on, after.end_reason) == (
        Status.RETRACTED, None, None, EndReason.WRONGLY_MADE,
    )  # fmt: skip
    assert after.revision > before.revision


def test_a_deleted_episode_is_taken_back_and_may_return(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(), patient("p2", bsn=None), episode("e2", patient={"reference": "Patient/p2"}))
    site.night()
    server.later(hours=1)
    server.delete("EpisodeOfCare", "e1")
    server.delete("EpisodeOfCare", "unknown")
    assert site.night().stated == 1
    assert site.newest().status is Status.RETRACTED
    assert site.newest(number="e2").status is Status.ACTIVE
    for _ in range(4):
        site.night(8)
    assert site.told() == 2, "that it is not in complete exports says nothing new"
    server.later(hours=1)
    server.put(episode(meta={"lastUpdated": text_of(server.clock)}))
    site.night()
    assert site.newest().status is Status.ACTIVE


def test_a_deletion_on_the_day_of_a_complete_export_is_not_missed(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode())
    site.night()
    server.later(days=7)
    server.delete("EpisodeOfCare", "e1")
    site.night(8)
    assert site.newest().status is Status.RETRACTED
    assert ["_since" in path for path in site.kicks()] == [False, True, False]


def test_an_episode_that_vanishes_is_ended_after_two_complete_exports(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(), episode("e2"), episode("e3", status="planned"), episode("e4", status="finished"))
    site.night()
    for number in ("e1", "e3", "e4"):
        del server.resources["EpisodeOfCare", number]
    site.night(8)
    first_without = server.clock.date()
    site.night(1)
    assert site.told() == 1, "an export of changes is silent about what did not change"
    site.night(8)
    assert (site.told(), site.told("e3"), site.told("e4")) == (2, 2, 1)
    gone = site.newest()
    assert (gone.status, gone.end_reason, gone.ends_on) == (Status.ENDED, EndReason.EXTERNAL, first_without)
    assert site.newest(number="e3").status is Status.RETRACTED, "what never began did not end"
    assert site.newest(number="e4").end_reason is EndReason.PLANNED
    server.put(episode())
    site.night(8)
    assert site.newest().status is Status.ACTIVE, "back, and unchanged"


def test_one_bad_line_proves_nobodys_absence(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(), episode("e2"))
    site.night()
    del server.resources["EpisodeOfCare", "e1"]
    server.change_file = lambda kind, content: (
        content.replace(b'"EpisodeOfCare"', b'"EpisodeOf') if kind == "EpisodeOfCare" else content
    )
    for _ in range(3):
        site.night(8)
    assert site.newest().status is Status.ACTIVE
    assert site.set_aside() == [("no_json", "")]
    server.change_file = lambda kind, content: content
    site.night(8)
    assert site.set_aside() == [], "the line was repaired"
    site.night(8)
    assert site.newest().status is Status.ENDED


def test_all_is_read_again_when_an_operator_asks_for_it(site: Site, server: FhirServer) -> None:
    zwolle = {"identifier": {"system": "http://fhir.nl/fhir/NamingSystem/ura", "value": "00000042"}}
    server.put(patient(), *(episode(f"e{number}") for number in range(1, 6)), episode("e6", kind="universal"))
    site.night()
    server.later(hours=1)
    now = {"meta": {"lastUpdated": text_of(server.clock)}}
    server.put(episode("e2", **now, managingOrganization=zwolle), episode("e3", **now, agb="49999999"))
    server.delete("EpisodeOfCare", "e4")
    site.night()
    before = site.edge.state.cursor(STREAM)
    assert before is not None
    del server.resources["EpisodeOfCare", "e5"]
    told = len(site.edge.statements())
    with site.edge.store.transaction() as db:
        db.execute("INSERT INTO reread VALUES (?, 0, 'j.doe')", (STREAM,))
    site.night(0.1)
    assert "_since" not in site.kicks()[-1]
    assert len(site.edge.statements()) == told, "nothing new is said"
    after = site.edge.state.cursor(STREAM)
    assert after is not None
    assert {number: (entry["l"], sorted(entry["o"])) for number, entry in after["known"].items()} == {
        number: (entry["l"], sorted(entry["o"])) for number, entry in before["known"].items()
    }, "and what was spoken of is known still, so that its end will be noticed"
    site.night(8)
    site.night(8)
    assert site.newest(number="e5").status is Status.ENDED


def test_a_kind_that_becomes_universal_is_taken_back(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode())
    site.night()
    server.later(hours=1)
    server.put(episode(kind="universal", meta={"lastUpdated": text_of(server.clock)}))
    assert site.night().stated == 1
    assert site.newest().status is Status.RETRACTED


def test_a_child_that_moves_to_another_region(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode())
    site.night()
    server.later(hours=1)
    moved_on = server.clock.date()
    zwolle = {"identifier": {"system": "http://fhir.nl/fhir/NamingSystem/ura", "value": "00000042"}}
    server.put(episode(meta={"lastUpdated": text_of(server.clock)}, managingOrganization=zwolle))
    site.night()
    old, new = site.newest(), site.newest("ggd-zwolle")
    assert (old.status, old.end_reason, old.ends_on) == (Status.ENDED, EndReason.MOVED, moved_on)
    assert (new.status, new.area) == (Status.ACTIVE, "zwolle")
    assert opened(new) is not None
    server.later(hours=1)
    server.put(patient(meta={"lastUpdated": text_of(server.clock)}, name=[{"family": "Later"}]))
    site.night()
    assert site.newest() == old, "who has left hears nothing new of the child"
    server.later(hours=1)
    server.put(episode(meta={"lastUpdated": text_of(server.clock)}, agb="49999999"))
    site.night()
    assert site.newest("ggd-zwolle").end_reason is EndReason.MOVED, "also to a region of which nothing is known here"


def test_an_episode_of_an_organisation_elsewhere_is_not_ours(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(agb="49999999"))
    site.night()
    assert (site.edge.statements(), site.set_aside()) == ([], [])
    assert "e1" not in json.dumps(site.edge.state.cursor(STREAM))


def test_the_mothers_number_is_left_out_and_counted(site: Site, server: FhirServer) -> None:
    server.put(patient(birthDate="2026-10-30"), episode(), patient("m", birthDate="1995-01-02"))
    site.night()
    person = opened(site.newest())
    assert person
    assert (person.bsn, person.birth_date.year) == ("", 2026)
    assert site.set_aside() == [("bsn_left_out", "identifier")]
    server.later(hours=1)
    server.put(patient(birthDate="2026-10-30", meta={"lastUpdated": text_of(server.clock)}, gender="male"))
    site.night()  # an export of changes, in which the mother is not
    assert (person := opened(site.newest()))
    assert (person.bsn, person.sex) == ("", "MALE")
    server.later(hours=1)
    server.put(patient(birthDate="2026-10-30", meta={"lastUpdated": text_of(server.clock)}, bsn="999990020"))
    site.night()
    assert (person := opened(site.newest()))
    assert person.bsn == "999990020"
    assert site.set_aside() == []


def test_twins_under_one_number(site: Site, server: FhirServer) -> None:
    for place, given_name in ((1, "Bram"), (2, "Zoë")):
        server.put(
            patient(f"t{place}", multipleBirthInteger=place, name=[{"family": "Berg", "given": [given_name]}]),
            episode(f"e{place}", patient={"reference": f"Patient/t{place}"}),
        )
    site.night()
    said = [opened(site.newest(number=f"e{place}")) for place in (1, 2)]
    assert [(person.given_names, person.bsn) for person in said if person] == [("Bram", ""), ("Zoë", "")]
    assert site.newest().person_ref != site.newest(number="e2").person_ref


def test_a_parent_in_a_file_of_its_own(server: FhirServer, tmp_path: Path) -> None:
    site = Site(server, tmp_path, related_persons=True, scope="system/*.rs")
    mother = {
        "resourceType": "RelatedPerson", "id": "r1", "meta": {"lastUpdated": at(0)}, "patient": {"reference": "Patient/p1"},
        "relationship": [{"coding": [{"code": "MTH"}]}], "name": [{"family": "Moeder"}],
        "identifier": [{"system": BSN, "value": "999990019"}],
    }  # fmt: skip
    server.put(patient(), episode(), mother)
    site.night()
    assert len(site.newest().relations) == 1
    person = opened(site.newest())
    assert person
    assert person.bsn == "", "the number is the mother's"
    server.later(hours=1)
    server.delete("RelatedPerson", "r1")
    site.night()
    assert site.newest().relations == ()
    site.edge.close()


def test_a_nineteenth_birthday_says_nothing(site: Site, server: FhirServer) -> None:
    server.put(patient(birthDate=(server.clock - timedelta(days=19 * 365)).date().isoformat()), episode())
    site.night()
    assert sum(site.night(1).stated for _ in range(6)) == 0
    assert site.newest().status is Status.ACTIVE


def test_a_case_that_goes_on_is_confirmed_once_per_term(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(), episode("e2", status="finished"))
    for _ in range(30):
        site.night(8)
    said = [each for each in site.edge.statements() if each.case_ref == KEYS.case_ref("ggd-a2", "fhir", "e1")]
    assert len(said) in (3, 4)
    assert [each.revision for each in said] == sorted({each.revision for each in said})
    assert all(each.confirmed_on and each.confirmed_on <= each.stated_at.date() for each in said)
    assert len(site.edge.statements()) == len(said) + 1, "what has ended is confirmed no more"


# The exchange.


def test_patience_while_the_export_is_made(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode())
    server.polls = 2
    server.fail("kick", 429, Retry_After="7")
    server.fail(
        "poll", 429, Retry_After=(datetime.now(UTC) + timedelta(seconds=30)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    )
    server.fail("file", 503)
    server.fail("token", 502)
    assert site.night().stated == 1
    assert [round(seconds) for seconds in site.waited if seconds >= 2.9] == [7, pytest.approx(30, abs=2), 3, 3]


def test_a_token_that_ends_while_files_are_fetched(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode())
    server.fail("file", 401)
    server.fail("poll", 401)
    assert site.night().stated == 1
    assert len(server.tokens) == 3
    server.token_seconds = 0.01
    site.connector().check()


def test_an_export_that_is_not_ready_is_gone_on_with(server: FhirServer, tmp_path: Path) -> None:
    site = Site(server, tmp_path, job_minutes=0.01)
    server.put(patient(), episode())
    server.polls = 1
    (failed,) = site.night().failed
    assert isinstance(failed.error, TransientError)
    assert failed.error.retry_after == 3
    assert site.night().stated == 1
    assert len(site.kicks()) == 1, "also by a connector that was started anew"
    site.edge.close()


@pytest.mark.parametrize(("where", "status"), [("poll", 404), ("poll", 410), ("file", 404), ("poll", 500)])
def test_an_export_that_the_server_dropped_is_asked_for_anew(
    site: Site, server: FhirServer, where: str, status: int
) -> None:
    server.put(patient(), episode())
    server.fail(where, status, times=5 if status == 500 else 1)
    (failed,) = site.night().failed
    assert isinstance(failed.error, TransientError)
    assert site.edge.statements() == []
    assert site.night().stated == 1
    assert len(site.kicks()) == 2
    assert server.dropped == ["j0", "j1"]


@pytest.mark.parametrize("counted", [True, False])
def test_a_file_that_is_cut_off_counts_for_nothing(site: Site, server: FhirServer, counted: bool) -> None:
    server.counts = counted
    server.put(patient(), *(episode(f"e{number}") for number in range(4)))
    cut: dict[str, Callable[[bytes], bytes]] = {"EpisodeOfCare": lambda content: content[: len(content) - 40]}
    server.change_file = lambda kind, content: cut.get(kind, bytes)(content)
    for _ in range(3):
        (failed,) = site.night().failed
        assert isinstance(failed.error, TransientError)
    assert site.edge.statements() == []
    assert server.dropped == ["j0"], "fetched three times, then given up"
    cut.clear()
    assert site.night().stated == 4


def test_a_file_that_lacks_lines_counts_for_nothing(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(), episode("e2"))
    server.change_file = lambda kind, content: content.split(b"\n")[0] + b"\n" if kind == "EpisodeOfCare" else content
    (failed,) = site.night().failed
    assert isinstance(failed.error, TransientError)
    assert site.edge.statements() == []


def test_what_the_server_could_not_export_is_asked_for_again(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode(), episode("e2"))
    site.night()
    site.night()
    del server.resources["EpisodeOfCare", "e2"]
    server.later(hours=1)
    server.put(episode(meta={"lastUpdated": text_of(server.clock)}, status="onhold"))
    server.errors = [{"resourceType": "OperationOutcome", "issue": [
        {"severity": "error", "code": "processing", "diagnostics": "merkpunt"}, {"severity": "warning", "code": "x"}]}]  # fmt: skip
    for _ in range(3):
        taken = site.night(8)
        assert [str(failed.error) for failed in taken.failed] == [
            "the server could not export everything (processing 1 times): what it gave was read, and the rest is asked for again"
        ]
    assert site.newest().status is Status.PAUSED, "what it gave was read"
    assert site.newest(number="e2").status is Status.ACTIVE, "what it did not give may still be there"
    server.errors = [
        {"resourceType": "OperationOutcome", "issue": [{"severity": "information", "code": "informational"}]}
    ]
    assert site.night(1).failed == ()
    assert "_since" not in site.kicks()[-1], "a complete export was still due"


def test_a_complete_export_that_is_not_complete_proves_nobodys_absence(site: Site, server: FhirServer) -> None:
    server.put(patient(), episode())
    site.night()
    del server.resources["EpisodeOfCare", "e1"]
    server.errors_of_whole = [
        {"resourceType": "OperationOutcome", "issue": [{"severity": "fatal", "code": "exception"}]}
    ]
    for _ in range(3):
        assert len(site.night(8).failed) == 1
    assert site.newest().status is Status.ACTIVE


@pytest.mark.parametrize(
    "change",
    [
        {"transactionTime": "gisteren"}, {"transactionTime": "2026-11-01T02:00:00"}, {"requiresAccessToken": None},
        {"output": None}, {"output": "x"}, {"output": [1]}, {"link": [{"relation": "next", "url": "https://elsewhere.example"}]},
    ],
)  # fmt: skip
def test_a_manifest_that_is_none(site: Site, server: FhirServer, change: dict[str, Any]) -> None:
    server.put(patient(), episode())
    server.change_manifest = lambda manifest: manifest.update(change)
    (failed,) = site.night().failed
    assert isinstance(failed.error, DataError)
    assert server.dropped == ["j0"]
    server.change_manifest = lambda manifest: None
    assert site.night().stated == 1


@pytest.mark.parametrize(
    "limits",
    [{"line_bytes": 300}, {"file_bytes": 900}, {"answer_bytes": 100}, {"files": 1}],
    ids=lambda limits: next(iter(limits)),
)
def test_more_than_is_allowed(server: FhirServer, tmp_path: Path, limits: dict[str, int]) -> None:
    site = Site(server, tmp_path, limits=limits)
    server.put(patient(), episode())
    (failed,) = site.night().failed
    assert isinstance(failed.error, DataError)
    assert failed.error.code == "too_large"
    assert site.edge.statements() == []
    site.edge.close()


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9/fhir/files/x", "https://127.0.0.1/fhir/x", "//elsewhere.example/fhir/x", "file:///etc/passwd",
        "../admin", "files/../../admin", "files/%2e%2e/%2e%2e/admin", "files/%252e%252e/admin", "http://127.0.0.1@elsewhere.example/fhir/x",
        "/fhirx/files", "x\\..\\..", "", None, 7, "files/a b", "files/ä", "http://[::1/fhir/x",
    ],
)  # fmt: skip
def test_addresses_that_lead_away_are_not_asked(site: Site, server: FhirServer, address: Any) -> None:
    server.put(patient(), episode())
    server.change_manifest = lambda manifest: manifest["output"][0].update(url=address)
    (failed,) = site.night().failed
    assert isinstance(failed.error, ConfigurationError)
    assert all(path.startswith("/fhir/") and "files" not in path for _, path, _ in server.asked)
    assert site.edge.statements() == []


def test_addresses_that_are_allowed(server: FhirServer, tmp_path: Path) -> None:
    addresses = Addresses(server.config(tmp_path, also_allowed=["https://files.example/jgz"]))
    assert addresses.checked("jobs/1") == f"{server.base}/jobs/1"
    assert addresses.checked(f"{server.base}/files/1?signature=x") == f"{server.base}/files/1?signature=x"
    assert addresses.checked("https://files.example/jgz/1") == "https://files.example/jgz/1"
    with pytest.raises(ConfigurationError, match=r"at files\.example"):
        addresses.checked("https://files.example/other")


def test_a_server_that_sends_us_on_is_not_followed(site: Site, server: FhirServer) -> None:
    server.fail("kick", 302, Location=f"{server.base}/other")
    (failed,) = site.night().failed
    assert isinstance(failed.error, ConfigurationError)
    assert [path for _, path, _ in server.asked if "other" in path] == []


# Who we are.


def test_a_token_by_a_signed_assertion_and_by_discovery(site: Site, server: FhirServer) -> None:
    assert site.connector(token_url=None).check() == [f"{server.base} lets us in"]
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    server.public_key = key.public_key()  # type: ignore[assignment]
    site.connector(algorithm="RS384", private_key=pem).check()
    with pytest.raises(ConfigurationError, match="invalid_client") as caught:
        site.connector().check()
    assert "merkpunt" not in str(caught.value), "the server's own words stay out"


def test_a_key_that_cannot_be_used(site: Site) -> None:
    small = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for wrong in ({"private_key": "secret"}, {"algorithm": "RS384"}, {"private_key": small.decode()}):
        with pytest.raises(ConfigurationError, match="private_key") as caught:
            site.connector(**wrong)
        assert "secret" not in str(caught.value)


def test_less_than_was_asked_for_is_told(site: Site, server: FhirServer) -> None:
    server.scope = "system/Patient.rs"
    with pytest.raises(ConfigurationError, match="no right to read EpisodeOfCare"):
        site.connector().check()


def certificate(name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None) -> tuple[Any, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.BasicConstraints(issuer is None, None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is None:
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        made = made.add_extension(usage, critical=True)
    else:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer[1].public_key())
        made = made.add_extension(authority, critical=False)
    return made.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def written(directory: Path, name: str, made: tuple[Any, Any]) -> tuple[Path, Path]:
    paths = directory / f"{name}.pem", directory / f"{name}.key"
    paths[0].write_bytes(made[0].public_bytes(Encoding.PEM))
    paths[1].write_bytes(made[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


def test_a_client_certificate(tmp_path: Path) -> None:
    authority = certificate("authority", None)
    ca, _ = written(tmp_path, "ca", authority)
    ours, our_key = written(tmp_path, "client", certificate("client", authority))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.load_cert_chain(*written(tmp_path, "server", certificate("server", authority)))
    context.verify_mode = ssl.CERT_REQUIRED
    server = FhirServer(context)
    try:
        own = {"ca_file": ca, "client_certificate": ours, "client_key": our_key}
        never = lambda seconds: True  # noqa: E731
        GgdConnector(server.config(tmp_path, **own), wait=never).check()
        for missing in ("client_certificate", "ca_file"):
            fewer = {name: path for name, path in own.items() if not name.startswith(missing.partition("_")[0])}
            with pytest.raises(TransientError):
                GgdConnector(server.config(tmp_path, **fewer), wait=never).check()
        with pytest.raises(ConfigurationError, match="client_certificate"):
            GgdConnector(server.config(tmp_path, **(own | {"client_key": ca})))
    finally:
        server.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "http://fhir.example/r4"}, {"base_url": "https://user@fhir.example"}, {"token_url": "http://fhir.example/token"},
        {"also_allowed": ["ftp://files.example"]}, {"export": "../$export"}, {"episode_types": {}}, {"client_key": "k"},
        {"organisations": [{"id": "a", "area": "a"}]}, {"algorithm": "HS256"},
        {"organisations": [{"id": "a", "area": "a", "agb": "41000001"}, {"id": "b", "area": "a", "agb": "41000001"}]},
    ],
)  # fmt: skip
def test_configurations_that_cannot_be(server: FhirServer, tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        server.config(tmp_path, **wrong)


def test_nothing_of_a_person_or_a_secret_is_written_or_asked_in_clear(
    site: Site, server: FhirServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.put(
        patient(birthDate="2026-10-30"), episode(), patient("m", birthDate="1995-01-02"), episode("e2", status="zoek")
    )
    site.night()
    server.errors = [{"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "Sanne 999990019"}]}]
    server.fail("poll", 500, times=5)
    site.night()
    site.night()
    site.edge.store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = raw_bytes(site.directory)
    metrics = site.edge.metrics.text() if hasattr(site.edge.metrics, "text") else ""
    assert b"edge_case" in files, "this search finds what is there"
    assert "set aside" in caplog.text
    secrets = [
        "999990019",
        "Sanne",
        "Berg",
        "Dorpsstraat",
        "5554",
        "2026-10-30",
        "1995-01-02",
        "merkpunt",
        *server.tokens,
        PEM[60:100],
    ]
    asked = " ".join(path for _, path, _ in server.asked)
    for secret in secrets:
        assert secret not in caplog.text.replace(str(server.server.server_port), ""), secret
        if len(secret) > 4:
            assert not any(spelling in files for spelling in spellings(secret)), secret
            assert secret not in asked + metrics, secret


# One outcome, whatever the order.


versions = st.lists(
    st.tuples(
        st.sampled_from(["episode", "Patient/p1", "moved", "withdrawn", "absent", "seen", "number"]),
        st.integers(0, 3),
        st.sampled_from(["1", "2", "11"]),
        st.sampled_from(["active", "planned", "finished", "entered-in-error", "zoek"]),
    ),
    min_size=1,
    max_size=7,
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(versions, st.data())
def test_any_order_repeats_and_splits_give_the_same_final_statement(
    told: list[tuple[str, int, str, str]], data: st.DataObject
) -> None:
    """Versions of resources, with version numbers that run back and moments that are equal, each in an export of its own."""
    port_of_nobody = FhirServer()
    port_of_nobody.close()
    config = port_of_nobody.config(Path("/nowhere"))

    def item(part: str, minutes: int, version: str, word: str) -> Item:
        own = {"meta": {"versionId": version, "lastUpdated": at(minutes)}}
        if part == "episode":
            found = resources.episode(config, episode(status=word) | own, "youth_health_extra")
            return Item("ggd-a2", "e1", found.rank[0], found.payload, part)
        person = patient(name=[{"family": word}]) | own
        rank_there = resources.rank_of(person)
        body = {
            "at": rank_there[0],
            "on": rank_there[0],
            "person": "Patient/p1",
            "bsn": "999990019",
            "undone": word == "planned",
        }
        return Item("ggd-a2", "e1", rank_there[0], resources.person(person, rank_there) if "/" in part else body, part)

    def final(order: list[tuple[str, int, str, str]]) -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            ticks = count()
            edge = Edge(Path(folder), GgdConnector(config), lambda: NOON + timedelta(microseconds=next(ticks)))
            for place, each in enumerate(order):
                edge.runner.take(Reading(STREAM, micros(NOON) + place, False, [item(*each)]))
            found = edge.final()
            edge.close()
            return found

    order = data.draw(st.permutations(told)) + data.draw(st.lists(st.sampled_from(told), max_size=3))
    assert final(order) == final(told)


changes = st.lists(
    st.one_of(
        st.tuples(st.just("episode"), st.sampled_from(["active", "onhold", "planned"]), st.sampled_from(["41000001", "49999999"])),
        st.tuples(st.just("kind"), st.sampled_from(["extra", "universal"])),
        st.tuples(st.just("patient"), st.sampled_from(["Berg", "Dal"])),
        st.tuples(st.just("delete")),
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(changes, st.data())
def test_however_often_the_source_is_asked_the_end_is_the_same(
    told: list[tuple[str, ...]], data: st.DataObject
) -> None:
    """Asked after each change or only at the end, for changes or for everything: what stands at the hub is the same."""

    def stands(asked: list[bool], whole_days: int) -> list[dict[str, Any]]:
        server = FhirServer()
        with TemporaryDirectory() as folder:
            site = Site(server, Path(folder), whole_days=whole_days)
            server.put(patient(), episode())
            for change, ask in zip(told, [*asked[1:], True], strict=True):
                server.clock = site.now = server.clock + timedelta(hours=1)
                now = {"meta": {"versionId": "1", "lastUpdated": text_of(server.clock - timedelta(minutes=1))}}
                if change[0] == "episode":
                    server.put(episode(status=change[1], agb=change[2]) | now)
                elif change[0] == "kind":
                    server.put(episode(kind=change[1]) | now)
                elif change[0] == "patient":
                    server.put(patient(name=[{"family": change[1]}]) | now)
                else:
                    server.delete("EpisodeOfCare", "e1")
                if ask:
                    site.edge.runner.round()
            said = [(each.case_ref, each.revision) for each in site.edge.statements()]
            assert len(set(said)) == len(said), "two contents under one revision"
            final = [each for each in site.edge.final().values() if each["status"] not in ("RETRACTED", "ENDED")]
            site.edge.close()
            server.close()
        own = ("revision", "statement_id", "identity_revision")
        for each in final:
            each["identity"] = {name: value for name, value in each["identity"].items() if name not in own}
        return [{name: value for name, value in each.items() if name not in own} for each in final]

    asked = data.draw(st.lists(st.booleans(), min_size=len(told), max_size=len(told)))
    assert stands(asked, data.draw(st.sampled_from([1, 7]))) == stands([True] * len(told), 7)


def test_the_newest_moment_counts_and_then_the_number_of_the_version(site: Site, server: FhirServer) -> None:
    for minutes, version, word in ((5, "7", "active"), (6, "3", "onhold"), (6, "2", "planned"), (6, "12", "finished")):
        server.put(patient(), episode(minutes=minutes, version=version, status=word))
        site.night(8)
    assert site.newest().status is Status.ENDED
    assert plain(site.newest())["revision"] > micros(START) * 1000
