"""From tables to what a page shows, in one order: who may see it, log it, only then open identities.

`Reader` gives out cases without names; `open_names` needs the proof that their cases were logged.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from samenloop_processors.agreement import AgreementBook
from samenloop_processors.keys import DESTROYED, DataKey, Destroyed, KeyKind, KeyStore
from samenloop_schemas import codec, envelope
from samenloop_schemas.records import (
    AcceptedStatement,
    ClientStatement,
    Decision,
    IdentityFacts,
    InvolvementFacts,
    NoticeSent,
    OverlapStatement,
    SealedPerson,
)
from samenloop_views.database import Agreements, Connection, ViewsDatabase, days, in_force
from samenloop_views.web import case_view
from samenloop_views.web.case_view import CaseView, KeyGone, Names, Opened
from samenloop_views.web.processing_log import Logged
from samenloop_views.web.viewers import Viewer

PAGE = 20


@dataclass(frozen=True, slots=True)
class Feed:
    """How fresh a partner's feed is. `organisations`: whose involvements it brings, by name."""

    partner: str
    organisations: tuple[str, ...]
    heard_at: datetime | None


@dataclass(frozen=True, slots=True)
class Found:
    """A case that the viewer may see, and what is needed to open the name of its person later."""

    view: CaseView
    client: ClientStatement | None
    identities: tuple[SealedIdentity, ...]
    purpose: str
    basis: str
    agreement_version: int


@dataclass(frozen=True, slots=True)
class SealedIdentity:
    """An identity that the viewer's own organisation stated, still under its person's key."""

    statement_id: UUID
    person_key_id: UUID
    related: bool
    rank: tuple[int, datetime, UUID]
    identity: bytes


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A case of which the viewer's party was told and that never was: nothing of it is shown but that."""

    case_id: str
    client_id: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The case goes on under another id."""

    case_id: str


class Reader:
    def __init__(self, database: ViewsDatabase, keys: KeyStore) -> None:
        self._database, self._keys, self._agreements = database, keys, Agreements()

    def book(self) -> tuple[AgreementBook, dict[str, date]]:
        """The agreements and the day per area. Raises NotThereYet."""
        with self._database.look() as connection:
            return self._agreements.book(connection), days(connection)

    def mine(self, viewer: Viewer, page: int = 1) -> tuple[list[Found], bool]:
        """What needs the viewer, the oldest clock first, and whether there is a next page."""
        with self._database.look() as connection:
            rows = connection.execute(
                """SELECT c.statement FROM overlap_case c
                   WHERE c.area = %(area)s AND c.on_show
                     AND EXISTS (SELECT FROM case_party p WHERE p.area = c.area AND p.case_id = c.case_id
                                 AND p.party = ANY(%(parties)s))
                     AND c.state <> ALL('{CLOSED,NO_COORDINATION_NEEDED}')
                     AND coalesce(c.episode_to > (SELECT day FROM clock_day WHERE area = %(area)s), true)
                   ORDER BY c.contact_by NULLS LAST, c.detected_at, c.case_id LIMIT %(limit)s OFFSET %(offset)s""",
                {
                    "area": viewer.area,
                    "parties": list(viewer.parties),
                    "limit": PAGE + 1,
                    "offset": (page - 1) * PAGE,
                },
            ).fetchall()
            cases = [codec.decode(row[0], OverlapStatement) for row in rows[:PAGE]]
            found = self._find(connection, viewer, cases, whole=False)
        return [one for one in found if not one.view.over], len(rows) > PAGE

    def case(self, viewer: Viewer, case_id: str) -> Found | Withdrawn | Moved | None:
        """One case; None when there is none that the viewer may see, whatever the reason."""
        with self._database.look() as connection:
            row = connection.execute(
                "SELECT statement FROM overlap_case WHERE area = %s AND case_id = %s", (viewer.area, case_id)
            ).fetchone()
            if row is None:
                return None
            case = codec.decode(row[0], OverlapStatement)
            if found := self._find(connection, viewer, [case], whole=True):
                return found[0]
            if moved := self._moved(connection, viewer, case):
                return Moved(moved)
            return Withdrawn(case_id, case.client_id) if _was_told(connection, viewer, case) else None

    def feeds(self, area: str) -> list[Feed]:
        """Every feed of the area, whoever is looking: the list says nothing about a person."""
        with self._database.look() as connection:
            agreement = in_force(self._agreements.book(connection), area, days(connection).get(area))
            heard = dict(connection.execute("SELECT partner, heard_at FROM feed WHERE area = %s", (area,)).fetchall())
        names: defaultdict[str, list[str]] = defaultdict(list)
        for organisation in agreement.organisations if agreement else ():
            names[organisation.partner].append(organisation.name)
        return [Feed(partner, tuple(sorted(names[partner])), heard.get(partner)) for partner in sorted(names)]

    def stand(self, viewer: Viewer, case_id: str | None = None) -> str:
        """A mark that changes when what the viewer may see changes. Says nothing by itself."""
        with self._database.look() as connection:
            row = connection.execute(
                """SELECT string_agg(concat_ws(' ', c.case_id, c.version, v.statement_id, l.version), ','
                       ORDER BY c.case_id, v.case_key_id),
                       (SELECT day FROM clock_day WHERE area = %(area)s)
                   FROM overlap_case c
                   LEFT JOIN case_fact f ON f.area = c.area AND f.case_id = c.case_id
                   LEFT JOIN involvement v ON v.area = f.area AND v.case_key_id = f.case_key_id
                   LEFT JOIN client l ON l.area = c.area AND l.client_id = c.client_id
                   WHERE c.area = %(area)s AND c.case_id = coalesce(%(case_id)s, c.case_id)
                     AND (%(case_id)s::text IS NOT NULL OR EXISTS (SELECT FROM case_party p
                          WHERE p.area = c.area AND p.case_id = c.case_id AND p.party = ANY(%(parties)s)))""",
                {"area": viewer.area, "case_id": case_id, "parties": list(viewer.parties)},
            ).fetchone()
        return hashlib.sha256(repr(row).encode()).hexdigest()[:24]

    def open_names(self, logged: Logged, found: Sequence[Found]) -> dict[str, IdentityFacts]:
        """Per case id the person as the viewer's own organisation stated him. Absent: unknown there, or erased.

        Raises PermissionError for a case that was not logged: no log, no data.
        """
        if {one.view.case.case_id for one in found} - logged.case_ids:
            raise PermissionError("identities are opened only after the processing log was written")
        wanted = {sealed.person_key_id for one in found for sealed in one.identities}
        keys = self._keys.get_many(KeyKind.PERSON, wanted) if wanted else {}
        names = {}
        for one in found:
            for sealed in sorted(one.identities, key=lambda s: s.rank, reverse=True):
                if (person := _open_identity(keys[sealed.person_key_id], sealed)) is not None:
                    names[one.view.case.case_id] = person
                    break
        return names

    def _find(
        self, connection: Connection, viewer: Viewer, cases: Sequence[OverlapStatement], *, whole: bool
    ) -> list[Found]:
        """`whole`: with the facts opened, for roles and contact routes."""
        cases = [case for case in cases if case_view.is_in(case, viewer)]
        if not cases:
            return []
        book, today = self._agreements.book(connection), days(connection).get(viewer.area)
        agreement = in_force(book, viewer.area, today)
        by_version = {entry.agreement.version: entry.agreement for entry in book.versions(viewer.area)}
        sent = _notices_to(connection, viewer, cases)
        opened = self._open_facts(connection, viewer.area, cases) if whole else None
        clients = _clients(connection, viewer.area, cases) if whole else {}
        found = []
        for case in cases:
            names = Names([agreement, by_version.get(case.agreement_version)])
            told = case_view.told_of(case, viewer, sent)
            view = case_view.view(case, viewer, names, told, opened, today)
            if view is None or agreement is None:
                continue
            found.append(
                Found(
                    view,
                    clients.get(case.client_id),
                    _identities(connection, viewer.area, [f.case_key_id for f in view.own_facts]),
                    agreement.purposes[0],
                    _basis(names, viewer, agreement.legal_bases),
                    agreement.version,
                )
            )
        return found

    def _open_facts(self, connection: Connection, area: str, cases: Iterable[OverlapStatement]) -> Opened:
        wanted = {fact.case_key_id: fact.involvement_id for case in cases for fact in case_view.visible(case.facts)}
        rows = connection.execute(
            "SELECT case_key_id, statement_id, facts FROM involvement WHERE area = %s AND case_key_id = ANY(%s)",
            (area, list(wanted)),
        ).fetchall()
        keys = self._keys.get_many(KeyKind.CASE, [row[0] for row in rows]) if rows else {}
        opened: dict[str, InvolvementFacts | KeyGone] = {}
        for case_key_id, statement_id, block in rows:
            key = keys[case_key_id]
            statement = AcceptedStatement(statement_id=statement_id, facts=bytes(block))
            opened[wanted[case_key_id]] = (
                envelope.open_facts(key.key, statement) if isinstance(key, DataKey) else KeyGone()
            )
        return opened

    def _moved(self, connection: Connection, viewer: Viewer, old: OverlapStatement) -> str | None:
        """The case that now holds the fact after which an emptied case was named, if the viewer may see that one."""
        rows = connection.execute(
            """SELECT c.statement FROM case_fact f JOIN overlap_case c ON c.area = f.area AND c.case_id = f.case_id
               WHERE f.area = %s AND f.involvement_id = %s AND c.case_id <> %s AND c.on_show ORDER BY c.case_id""",
            (viewer.area, old.anchor, old.case_id),
        ).fetchall()
        cases = [codec.decode(row[0], OverlapStatement) for row in rows]
        found = self._find(connection, viewer, [case for case in cases if case.kind is old.kind], whole=False)
        return found[0].view.case.case_id if found else None


def _open_identity(key: DataKey | Destroyed, sealed: SealedIdentity) -> IdentityFacts | None:
    if key is DESTROYED or not isinstance(key, DataKey):
        return None
    if sealed.related:
        block = SealedPerson(sealed.person_key_id, sealed.rank[0], sealed.identity)
        return envelope.open_related(key.key, sealed.statement_id, block)
    return envelope.open_identity(
        key.key, AcceptedStatement(statement_id=sealed.statement_id, identity=sealed.identity)
    )


def _identities(connection: Connection, area: str, own_cases: Sequence[UUID]) -> tuple[SealedIdentity, ...]:
    """What the statements of the viewer's own involvements, or others of the same source person, say of him."""
    rows = connection.execute(
        """SELECT DISTINCT i.statement_id, i.person_key_id, i.related, i.identity_revision, i.stated_at, i.identity
           FROM involvement v JOIN identity i ON i.area = v.area AND i.person_key_id = v.person_key_id
           WHERE v.area = %s AND v.case_key_id = ANY(%s)""",
        (area, list(own_cases)),
    ).fetchall()
    return tuple(
        SealedIdentity(statement, person, related, (revision, stated_at, statement), bytes(identity))
        for statement, person, related, revision, stated_at, identity in rows
    )


def _notices_to(connection: Connection, viewer: Viewer, cases: Sequence[OverlapStatement]) -> list[NoticeSent]:
    """What the viewer's parties were sent on the strength of their own facts in these cases, in order."""
    own = {f.involvement_id for case in cases for f in case.facts if f.party in viewer.parties}
    rows = connection.execute(
        "SELECT statement FROM notice_sent WHERE area = %s AND recipient = ANY(%s) AND own && %s "
        "ORDER BY decided_at, notice_id, kind DESC",
        (viewer.area, list(viewer.parties), sorted(own)),
    ).fetchall()
    payloads = [codec.decode(row[0], Decision).payload for row in rows]
    return [payload for payload in payloads if isinstance(payload, NoticeSent)]


def _was_told(connection: Connection, viewer: Viewer, case: OverlapStatement) -> bool:
    row = connection.execute(
        """SELECT EXISTS (SELECT FROM notice_sent WHERE area = %(area)s AND case_id = %(case)s AND recipient = ANY(%(to)s))
               OR EXISTS (SELECT FROM due_notice WHERE area = %(area)s AND case_id = %(case)s AND recipient = ANY(%(to)s)
                          AND change = 'RECALLED')""",
        {"area": viewer.area, "case": case.case_id, "to": list(viewer.parties)},
    ).fetchone()
    return bool(row and row[0])


def _clients(connection: Connection, area: str, cases: Iterable[OverlapStatement]) -> dict[str, ClientStatement]:
    rows = connection.execute(
        "SELECT client_id, statement FROM client WHERE area = %s AND client_id = ANY(%s)",
        (area, [case.client_id for case in cases]),
    ).fetchall()
    return {client_id: codec.decode(statement, ClientStatement) for client_id, statement in rows}


def _basis(names: Names, viewer: Viewer, bases: Sequence[str]) -> str:
    """The agreement's basis under the law of the viewer's party: codes begin with the law, such as `wmo_5_2`."""
    party = names.party(viewer.parties[0]) if viewer.parties else None
    law = party.domain.value.lower() + "_" if party else ""
    return next((basis for basis in bases if law and basis.startswith(law)), " ".join(bases))
