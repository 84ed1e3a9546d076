"""What the parties were told, as the decisions say: told, ended and recalled, per pair of parties."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from samenloop_schemas.codes import NoticeChange
from samenloop_schemas.dates import dutch_day
from samenloop_schemas.records import Decision, NoticeBasis, NoticeSent

ItemKey = tuple[UUID, int]
_TELLS = frozenset((NoticeChange.NEW, NoticeChange.GROWN))


@dataclass(frozen=True, slots=True)
class Told:
    """One delivered notice told its recipient of one other party; `place` is its position in that notice."""

    notice_id: UUID
    place: int
    recipient: str
    basis: NoticeBasis
    case_id: str
    day: date

    @property
    def key(self) -> ItemKey:
        return self.notice_id, self.place


class Ledger:
    """Deliveries in the order of the decisions. The first record of a notice id counts, a repeat changes nothing.

    ENDED and RECALLED answer every earlier item of the same recipient and basis. What was ended may still be recalled;
    what was recalled is done with.
    """

    def __init__(self) -> None:
        self.items: dict[ItemKey, Told] = {}
        self.ended: set[ItemKey] = set()
        self.recalled: set[ItemKey] = set()
        self._seen: set[UUID] = set()
        self._by_basis: defaultdict[tuple[str, NoticeBasis], list[ItemKey]] = defaultdict(list)
        self._by_fact: defaultdict[str, list[ItemKey]] = defaultdict(list)
        self._notices: Counter[tuple[str, str]] = Counter()

    def deliver(self, decision: Decision) -> list[Told] | None:
        """The items whose standing may have changed; None when the delivery was known."""
        sent = decision.payload
        if not isinstance(sent, NoticeSent) or sent.notice_id in self._seen:
            return None
        self._seen.add(sent.notice_id)
        if sent.change in _TELLS:
            return self._tell(sent, dutch_day(decision.decided_at))
        answered = [key for basis in sent.about for key in self._by_basis.get((sent.recipient, basis), ())]
        if sent.change is NoticeChange.RECALLED:
            self.recalled.update(answered)
        elif sent.change is NoticeChange.ENDED:
            self.ended.update(answered)
        return [self.items[key] for key in answered]

    def _tell(self, sent: NoticeSent, day: date) -> list[Told]:
        items = [Told(sent.notice_id, i, sent.recipient, b, sent.case_id, day) for i, b in enumerate(sent.about)]
        for item in items:
            self.items[item.key] = item
            self._by_basis[item.recipient, item.basis].append(item.key)
            for fact in {*item.basis.own, *item.basis.other}:
                self._by_fact[fact].append(item.key)
        for fact in {fact for basis in sent.about for fact in basis.own}:
            self._notices[sent.recipient, fact] += 1
        return items

    @property
    def length(self) -> int:
        """Deliveries known, in whatever order of notices."""
        return len(self._seen)

    def about(self, fact: str) -> list[ItemKey]:
        """The items that rest on a fact, on either side."""
        return self._by_fact.get(fact, [])

    def notices_on(self, recipient: str, own: str) -> int:
        """How many notices told this party of others on the strength of this fact of its own."""
        return self._notices[recipient, own]
