"""What one viewer may see of one overlap case. Pure: everything that is shown passes here, and nothing else does.

Entitlement: a party in the case sees the other parties in it that it was told of or is about to be told of (so not those
in their grace), their contact route, role and since when. Of a sensitive service it sees that "a service is involved",
within the days of the overlap. A protected involvement does not exist here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from samenloop_processors.agreement import Agreement, Organisation, Party
from samenloop_processors.views.domain import on_show
from samenloop_schemas.codes import CaseState, NoticeChange, Role, Sensitivity, Status
from samenloop_schemas.records import CaseFact, Contact, InvolvementFacts, NoticeBasis, NoticeSent, OverlapStatement
from samenloop_views.web.viewers import Viewer

GONE = (Status.RETRACTED, Status.WITHHELD)
NEEDS_CONTACT = (CaseState.DETECTED, CaseState.NOTIFIED, CaseState.ACKNOWLEDGED)

NO_CONTACT = Contact()


class KeyGone:
    """Stands in for facts whose key was destroyed: they count as never stated."""


Opened = Mapping[str, InvolvementFacts | KeyGone]
"""Per involvement id what was opened of it; absent while the involvement has not reached the views yet."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Days ``[start, end)`` of one involvement; None where it is not known or still lasts."""

    start: date | None
    end: date | None
    status: Status = Status.ACTIVE


@dataclass(frozen=True, slots=True)
class Lane:
    """One party in the picture and in the table. `hidden`: a sensitive service, of which nothing else is filled in."""

    party: str
    name: str
    organisation: str
    own: bool
    stretches: tuple[Stretch, ...]
    role: Role = Role.UNKNOWN
    contact: Contact = NO_CONTACT
    hidden: bool = False

    @property
    def since(self) -> date | None:
        starts = [stretch.start for stretch in self.stretches]
        return None if None in starts else min((start for start in starts if start), default=None)


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case as one viewer sees it: his own lane first, then the others by name."""

    case: OverlapStatement
    lanes: tuple[Lane, ...]
    own_facts: tuple[CaseFact, ...]
    other_facts: tuple[CaseFact, ...]
    today: date | None

    @property
    def overlap(self) -> Stretch:
        """The overlap as it is told. An end to come that no party named is only the day on which an unconfirmed involvement
        would stop counting: until then the overlap goes on."""
        end = self.case.episode_to
        named = any(fact.ends_on == end for fact in self.case.facts)
        expires = end is not None and self.today is not None and end > self.today and not named
        return Stretch(self.case.episode_from, None if expires else end)

    @property
    def others(self) -> tuple[Lane, ...]:
        return tuple(lane for lane in self.lanes if not lane.own)

    @property
    def over(self) -> bool:
        """The episode, or the viewer's own part in it, lies in the past: there is nothing for him to coordinate now."""
        if self.today is None:
            return False
        ends = [fact.ends_on for fact in self.own_facts]
        own_end = None if None in ends else max((end for end in ends if end), default=None)
        return any(end is not None and end <= self.today for end in (self.case.episode_to, own_end))

    def left(self, lane: Lane) -> bool:
        """A party whose involvement has ended: in the picture, but no longer someone to speak to."""
        today = self.today
        return today is not None and all(s.end is not None and s.end <= today for s in lane.stretches)

    @property
    def needs_contact(self) -> bool:
        return not self.over and self.case.state in NEEDS_CONTACT


class Names:
    """Parties and organisations by the agreement that holds, else by the one that the case was made under."""

    def __init__(self, agreements: Iterable[Agreement | None]) -> None:
        self._agreements = [agreement for agreement in agreements if agreement is not None]

    def party(self, party_id: str) -> Party | None:
        return next((found for a in self._agreements if (found := a.party(party_id))), None)

    def organisation(self, organisation_id: str) -> Organisation | None:
        return next((found for a in self._agreements if (found := a.organisation(organisation_id))), None)

    def sensitive(self, organisation_id: str) -> bool:
        """By any of them: what was sensitive once is not named now; an unknown organisation is not named either."""
        found = [organisation for a in self._agreements if (organisation := a.organisation(organisation_id))]
        return not found or any(organisation.sensitive for organisation in found)


def is_in(case: OverlapStatement, viewer: Viewer) -> bool:
    """Whether the viewer's own party, of his own organisation, takes part in a case that may be shown."""
    return on_show(case) and any(_is_own(fact, viewer) for fact in visible(case.facts))


def told_of(case: OverlapStatement, viewer: Viewer, sent: Iterable[NoticeSent]) -> frozenset[str]:
    """The parties of which the viewer's own party may know in this case: by a notice that is due, or one that was sent and
    not recalled, on at least one own and one other fact that are still in it. `sent` in the order of the decisions."""
    due = {b.party for d in case.due if d.recipient in viewer.parties and d.change in _TELLS for b in d.about}
    standing: dict[tuple[str, NoticeBasis], bool] = {}
    for notice in sent:
        for basis in notice.about:
            if notice.change in _TELLS:
                standing[notice.recipient, basis] = True
            elif notice.change is NoticeChange.RECALLED:
                standing[notice.recipient, basis] = False
    facts = {fact.involvement_id for fact in case.facts}
    told = {
        basis.party
        for (recipient, basis), stands in standing.items()
        if stands and recipient in viewer.parties and facts & set(basis.own) and facts & set(basis.other)
    }
    return frozenset(due | told)


_TELLS = (NoticeChange.NEW, NoticeChange.GROWN)


def visible(facts: Iterable[CaseFact]) -> list[CaseFact]:
    return [f for f in facts if f.sensitivity is not Sensitivity.PROTECTED and f.status not in GONE]


def _is_own(fact: CaseFact, viewer: Viewer) -> bool:
    return fact.party in viewer.parties and fact.organisation == viewer.organisation


def view(
    case: OverlapStatement,
    viewer: Viewer,
    names: Names,
    told: frozenset[str],
    opened: Opened | None,
    today: date | None,
    collate: Callable[[str], object] = str.casefold,
) -> CaseView | None:
    """None when the viewer has no right to it, or when no one else is left in it. `opened` None: by the list, unopened."""
    facts = [f for f in visible(case.facts) if opened is None or _stands(opened.get(f.involvement_id))]
    own = [f for f in facts if _is_own(f, viewer)]
    others = [f for f in facts if not _is_own(f, viewer) and f.party in told]
    if not (on_show(case) and own and others):
        return None
    lanes: dict[str, list[CaseFact]] = {}
    for fact in (*own, *others):
        hidden = not _is_own(fact, viewer) and _is_hidden(fact, viewer, names)
        lanes.setdefault("" if hidden else fact.party, []).append(fact)
    drawn = [
        _lane(party, members, viewer, names, opened or {}) if party else _hidden_lane(case)
        for party, members in lanes.items()
    ]
    drawn.sort(key=lambda lane: (not lane.own, lane.hidden, collate(lane.name)))
    return CaseView(case, tuple(drawn), tuple(own), tuple(others), today)


def _stands(opened: InvolvementFacts | KeyGone | None) -> bool:
    if isinstance(opened, KeyGone):
        return False
    return opened is None or (opened.status not in GONE and opened.sensitivity is not Sensitivity.PROTECTED)


def _is_hidden(fact: CaseFact, viewer: Viewer, names: Names) -> bool:
    if fact.organisation == viewer.organisation:
        return False
    return fact.sensitivity is not Sensitivity.NORMAL or names.sensitive(fact.organisation)


def _lane(party: str, facts: list[CaseFact], viewer: Viewer, names: Names, opened: Opened) -> Lane:
    known = names.party(party)
    organisation = names.organisation(facts[0].organisation)
    stated = [found for f in facts if isinstance(found := opened.get(f.involvement_id), InvolvementFacts)]
    route = next((s.contact for s in stated if s.contact != NO_CONTACT), None)
    if route is None:
        route = organisation.contact.record() if organisation else NO_CONTACT
    stretches = {Stretch(f.starts_on, f.ends_on, f.status) for f in facts}
    return Lane(
        party=party,
        name=known.name if known else party,
        organisation=organisation.name if organisation else facts[0].organisation,
        own=_is_own(facts[0], viewer),
        stretches=tuple(sorted(stretches, key=lambda s: (s.start or date.min, s.end or date.max, s.status))),
        role=max((s.role for s in stated), key=_ROLE_ORDER.index, default=Role.UNKNOWN),
        contact=route,
    )


_ROLE_ORDER = [Role.UNKNOWN, Role.SIGNALLING, Role.HELP, Role.CASE_DIRECTOR]


def _hidden_lane(case: OverlapStatement) -> Lane:
    """All sensitive services in one lane, over the overlap itself: not even their number or own dates show."""
    return Lane("", "", "", False, (Stretch(case.episode_from, case.episode_to),), hidden=True)
