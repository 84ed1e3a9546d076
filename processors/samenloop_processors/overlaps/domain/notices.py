"""Which notices should stand, what became of those that were given, and what is therefore due.

A pair is a party R that is told and another party Q that it is told of. It is *desired* while both count on T in one case and
its grace is over. What R was told of Q *holds* on the days on which one of the named own facts counts as R and one of the
named other facts as Q, for one client. Told and holding on T covers the pair. Told and only held before T: it is ended. Told
and held on no day up to T: it was never true and is recalled.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from uuid import UUID

from samenloop_processors.overlaps.domain.case import Case
from samenloop_processors.overlaps.domain.ledger import Ledger, Told
from samenloop_processors.overlaps.domain.parties import Segment
from samenloop_schemas.codes import NoticeChange
from samenloop_schemas.dates import dutch_day
from samenloop_schemas.ids import derived_id
from samenloop_schemas.records import DueNotice, NoticeBasis

_DAY = timedelta(days=1)


class Truth(Enum):
    """What has become of something told."""

    STANDS = "stands"
    OVER = "over"
    FALSE = "false"


@dataclass(frozen=True, slots=True)
class Judged:
    """A told item beside F: what became of it, and the last day up to T on which it held."""

    truth: Truth
    client: str = ""
    last_day: date = date.min


FALSE = Judged(Truth.FALSE)


def judge(
    item: Told,
    today: date,
    client_of: Callable[[str], str | None],
    segments_of: Callable[[str], Iterable[Segment]],
) -> Judged:
    """Hold a told item against the counted days as they are now known."""
    own = _by_client(item.basis.own, item.recipient, client_of, segments_of)
    other = _by_client(item.basis.other, item.basis.party, client_of, segments_of)
    best = FALSE
    for client in own.keys() & other.keys():
        for a in own[client]:
            for b in other[client]:
                start, end = max(a.start, b.start), min(a.end, b.end)
                if start >= end or start > today:
                    continue
                truth = Truth.STANDS if today < end else Truth.OVER
                last_day = min(today, end - _DAY)
                if (last_day, client) > (best.last_day, best.client):
                    best = Judged(truth, client, last_day)
    return best


def _by_client(
    facts: Iterable[str],
    party: str,
    client_of: Callable[[str], str | None],
    segments_of: Callable[[str], Iterable[Segment]],
) -> dict[str, list[Segment]]:
    found: defaultdict[str, list[Segment]] = defaultdict(list)
    for fact in facts:
        if client := client_of(fact):
            found[client] += [s for s in segments_of(fact) if s.party == party]
    return found


def desired(case: Case, today: date) -> dict[str, list[NoticeBasis]]:
    """Per recipient, whom it should have been told of by T, and on which facts: those that count on T on either side."""
    if not case.start <= today < case.end:
        return {}
    counting: defaultdict[str, list[str]] = defaultdict(list)
    for segment in case.segments:
        if segment.start <= today < segment.end:
            counting[segment.party].append(segment.fact)
    facts = {party: tuple(sorted(ids)) for party, ids in counting.items()}
    return {
        r: [NoticeBasis(q, facts[r], facts[q]) for q in sorted(facts) if q != r and not in_grace(case, r, q, today)]
        for r in sorted(facts)
    }


def in_grace(case: Case, one: str, other: str, today: date) -> bool:
    """Whether the fact that brought these two together is too fresh. Calendar days; no grace means no waiting for the clock."""
    days = case.agreement.terms.grace_days
    return days > 0 and today < dutch_day(max(case.since[one], case.since[other])) + timedelta(days=days)


def due_news(
    case: Case, standing: Iterable[Told], ledger: Ledger, today: date, deadline: date | None
) -> Iterable[DueNotice]:
    """At most one notice per recipient: the parties it should know of in this case and was not told of.

    The id rests on the recipient, its least own fact and how many notices it had on that fact: while one is on its way,
    further growth or shrinkage of the case does not make a second. NEW and GROWN share one id for the same reason.
    """
    covered = {(item.recipient, item.basis.party) for item in standing}
    for recipient, bases in desired(case, today).items():
        missing = tuple(basis for basis in bases if (recipient, basis.party) not in covered)
        if not missing:
            continue
        own = min(missing[0].own, key=case.rank_of)
        known = any(party == recipient for party, _ in covered)
        yield DueNotice(
            derived_id("notice", "TOLD", recipient, own, ledger.notices_on(recipient, own)),
            NoticeChange.GROWN if known else NoticeChange.NEW,
            recipient,
            case.organisation_of(recipient),
            missing,
            deadline,
        )


def due_answers(
    items: Sequence[tuple[Told, Truth]], ledger: Ledger, organisation_of: Callable[[str], str]
) -> Iterable[DueNotice]:
    """ENDED and RECALLED notices, one per told notice, for what is placed in one case."""
    due: defaultdict[tuple[UUID, NoticeChange], list[Told]] = defaultdict(list)
    for item, truth in items:
        if item.key in ledger.recalled:
            continue
        if truth is Truth.FALSE:
            due[item.notice_id, NoticeChange.RECALLED].append(item)
        elif truth is Truth.OVER and item.key not in ledger.ended:
            due[item.notice_id, NoticeChange.ENDED].append(item)
    for (notice_id, change), told in due.items():
        told.sort(key=lambda item: item.place)
        recipient = told[0].recipient
        yield DueNotice(
            derived_id("notice", change, notice_id, told[0].place),
            change,
            recipient,
            organisation_of(recipient),
            tuple(item.basis for item in told),
        )
