"""The gateway between municipalities and providers of youth help and home care: every night its messages fall into one folder.

Allocations (301) go one way, starts (305) and stops (307) the other, and each may be answered by a return. What the folder holds
is what such folders hold: files in no order, some bare and some in an envelope, some twice, corrections (delete and new, in one
message or in two), and now and then a message that the other side rejects, with the better one beside it. Each night tells
all that changed, so that whoever reads all files knows what is so; some of it is told a night late, where that makes no difference.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Final

from ..cases import Case, Service, State
from ..places import AREAS, area_of
from ..world import AMSTERDAM, World
from ..written import IstandaardPerson
from .istandaarden_xml import (
    Allocated,
    Law,
    Message,
    Product,
    Related,
    Started,
    Stopped,
    enveloped,
    render,
    render_return,
)
from .seam import PartnerSystem, Surroundings

PROVIDERS: Final = tuple(dict.fromkeys(each for area in AREAS for each in (area.youth_help, *area.home_care)))
AGB: Final = {provider: f"{73730101 + 1111 * position}" for position, provider in enumerate(PROVIDERS)}
_LAWS: Final[Mapping[Service, Law]] = {Service.IJW: "JW", Service.IWMO: "WMO"}
_PRODUCTS: Final = {"JW": ("45A04", "45A12", "50A01", "54A05", "43A11"), "WMO": ("01A01", "02A03", "03A02", "07A12")}
_REASONS: Final = {
    "JW": ("31", "31", "31", "32", "33", "34", "35", "38"),
    "WMO": ("19", "19", "19", "21", "22", "23", "31", "38"),
}
_DAY: Final = timedelta(days=1)
_A_YEAR: Final = timedelta(days=360)
"""An allocation is given anew about once a year: another rate, a longer term."""


class Fault(StrEnum):
    """What can be wrong with a file. The right one follows a night later."""

    BYTE_ORDER_MARK = "byte_order_mark"
    LINE_ENDS = "line_ends"
    CUT_OFF = "cut_off"
    DOCUMENT_TYPE = "document_type"
    UNKNOWN_PROVIDER = "unknown_provider"


@dataclass(slots=True)
class _Episode:
    """One start with its stops, as far as they were told and not deleted."""

    begin: date
    pause: date | None = None
    stop: Stopped | None = None


@dataclass(slots=True)
class _Line:
    """What was told of a case."""

    municipality: str
    law: Law
    product: Product
    client: IstandaardPerson
    until: date | None
    episodes: list[_Episode] = field(default_factory=list)
    withdrawn: bool = False
    allocated_on: date = date.min
    """The day of the newest 301."""


class Istandaarden(PartnerSystem):
    """All providers' messages with all municipalities."""

    name = "istandaarden"

    def __init__(self, surroundings: Surroundings) -> None:
        self._world: World = surroundings.world
        self._folder = surroundings.folder_of(self.name)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._keep = surroundings.keep_runs
        self._rng = Random(f"istandaarden:{self._world.seed}")
        self._seen: dict[str, int] = {}
        self._lines: dict[tuple[str, str], _Line] = {}
        self._sent = 0
        self._files = 0
        self._late: list[bytes] = []
        self._faults: list[Fault] = []
        self._written: list[list[Path]] = []

    def number_of(self, case: Case) -> str:
        """``municipality/law/allocation/bsn``; nothing for a case that was never told."""
        line = self._lines.get(case.key)
        return f"{line.municipality}/{line.law}/{case.number}/{line.client.bsn}" if line else ""

    def night(self) -> Sequence[Path]:
        late, self._late = self._late, []
        contents = late + [content for message in self._messages() for content in self._posted(message)]
        self._rng.shuffle(contents)
        written = [self._put(content) for content in contents]
        self._written.append(written)
        while len(self._written) > self._keep:
            for path in self._written.pop(0):
                path.unlink(missing_ok=True)
        return written

    def plan_fault(self, asked: Mapping[str, str], times: int) -> None:
        """``kind=byte_order_mark`` (or another ``Fault``): so many of the coming files are spoiled."""
        self._faults += [Fault(asked["kind"])] * times

    def description(self) -> dict[str, Any]:
        return {"folder": str(self._folder.resolve()), "agb": AGB}

    # What is to be told

    def _messages(self) -> Iterator[Message]:
        for provider in PROVIDERS:
            log = self._world.log[self.name, provider]
            changed = dict.fromkeys(number for _, number in log[self._seen.get(provider, 0) :])
            self._seen[provider] = len(log)
            for number in changed:
                yield from self._told(self._world.cases[provider, number])
        for key, line in self._lines.items():
            if not line.withdrawn and self._world.cases[key].open:
                yield from self._renewed(self._world.cases[key], line)

    def _told(self, case: Case) -> Iterator[Message]:
        """Everything about one case that is not known yet."""
        client = self._world.clients[case.organisation, case.client].written
        assert isinstance(client, IstandaardPerson)
        line = self._lines.get(case.key)
        if line is None:
            if case.state is State.WITHDRAWN:
                return
            line = self._lines[case.key] = self._opened(case, client)
            yield self._allocation(case, line, min(self._today, case.registered_on))
        elif line.withdrawn:
            return
        elif case.state is State.WITHDRAWN:
            yield from self._withdrawn(case, line)
            return
        else:
            line.client = client
            if line.until and case.open and line.until <= self._today:
                line.until = date(self._today.year + 1, 12, 31)
            yield self._allocation(case, line, self._today)
        if case.starts_on is not None and case.state is not State.ANNOUNCED:
            yield from self._delivered(case, line)
        yield from self._renewed(case, line)

    def _renewed(self, case: Case, line: _Line) -> Iterator[Message]:
        """The allocations of later years, up to now or to the end: without them nobody would know that it still stands."""
        last = min(self._today, case.ends_on or self._today)
        while line.allocated_on + _A_YEAR <= last:
            day = line.allocated_on + _A_YEAR
            if line.until is not None:
                line.until = max(line.until, date(day.year + 1, 12, 31))
            yield self._allocation(case, line, day)

    def _opened(self, case: Case, client: IstandaardPerson) -> _Line:
        law = _LAWS[case.service]
        area = area_of(case.organisation)
        lives_in = self._world.persons[case.person].address.municipality
        here = lives_in if lives_in in area.municipalities else area.municipalities[0]
        mark = zlib.crc32(f"{case.organisation}{case.number}".encode())
        code = _PRODUCTS[law][mark % len(_PRODUCTS[law])]
        since = min(case.registered_on, case.starts_on or case.registered_on)
        last = max(case.ends_on or self._today, self._today)
        until = None if mark % 5 == 0 else date(last.year + 1, 12, 31)
        return _Line(here.code, law, Product(case.number, code[:2], code, since), client, until)

    def _delivered(self, case: Case, line: _Line) -> Iterator[Message]:
        """Starts and stops, so that what was told becomes what is so."""
        assert case.starts_on is not None
        first = not line.episodes
        if first:
            yield from self._started(case, line, case.starts_on)
        yield from self._taken_back(case, line)
        now = line.episodes[-1]
        if case.state is State.ENDED:
            assert case.ends_on is not None
            if now.stop is None:
                reason = self._rng.choice(_REASONS[line.law])
                now.stop = Stopped(line.product, now.begin, case.ends_on, reason)
                yield from self._stopped(case, line, now.stop, self._soon_after(case.ends_on) if first else self._today)
        elif case.state is State.PAUSED and now.pause is None:
            changed_on = case.changed_at.astimezone(AMSTERDAM).date()
            now.pause = max(now.begin, min(changed_on, self._today))
            yield self._message(case, line, self._today, [Stopped(line.product, now.begin, now.pause, "20")])
        elif case.state is State.ACTIVE and now.pause is not None:
            if self._today > now.begin:
                line.episodes.append(_Episode(self._today))
                yield self._message(case, line, self._today, [Started(line.product, self._today)])
            else:
                yield self._message(case, line, self._today, [self._pause_deleted(line, now)])

    def _taken_back(self, case: Case, line: _Line) -> Iterator[Message]:
        """Deletes what turned out not to be so: an end that was none, or starts and pauses after the true end."""
        end = case.ends_on if case.state is State.ENDED else None
        while len(line.episodes) > 1 and end is not None and line.episodes[-1].begin > end:
            yield from self._episode_deleted(case, line, line.episodes.pop())
        now = line.episodes[-1]
        if now.stop is not None and now.stop.end != end:
            yield self._message(case, line, self._today, [replace(now.stop, status="3")])
            now.stop = None
        if now.pause is not None and end is not None and now.pause > end:
            yield self._message(case, line, self._today, [self._pause_deleted(line, now)])

    def _withdrawn(self, case: Case, line: _Line) -> Iterator[Message]:
        """Made by mistake: the allocation was never sent; what the provider told is deleted as well, or not."""
        line.withdrawn = True
        if self._rng.random() < 0.5:
            for episode in reversed(line.episodes):
                yield from self._episode_deleted(case, line, episode)
        line.until = line.product.since
        yield self._allocation(case, line, self._today, change="13")

    def _episode_deleted(self, case: Case, line: _Line, episode: _Episode) -> Iterator[Message]:
        if episode.stop is not None:
            yield self._message(case, line, self._today, [replace(episode.stop, status="3")])
        if episode.pause is not None:
            yield self._message(case, line, self._today, [self._pause_deleted(line, episode)])
        yield self._message(case, line, self._today, [Started(line.product, episode.begin, "3")])

    def _pause_deleted(self, line: _Line, episode: _Episode) -> Stopped:
        assert episode.pause is not None
        end, episode.pause = episode.pause, None
        return Stopped(line.product, episode.begin, end, "20", "3")

    def _started(self, case: Case, line: _Line, begin: date) -> Iterator[Message]:
        """The first start: most often right at once; else corrected, or rejected and told again."""
        line.episodes.append(_Episode(begin))
        day = self._soon_after(begin)
        luck = self._rng.random()
        wrong = begin - self._rng.choice((1, 2, 7)) * _DAY
        if luck > 0.12:
            yield self._message(case, line, day, [Started(line.product, begin)])
            return
        first = self._message(case, line, day, [Started(line.product, wrong)])
        yield first
        if luck < 0.04:
            self._late_or_now(render_return(first, "9019", header_only=self._rng.random() < 0.5))
            yield self._message(case, line, day, [Started(line.product, begin)])
        elif luck < 0.08:
            both = [Started(line.product, wrong, "3"), Started(line.product, begin)]
            yield self._message(case, line, day, both)
        else:
            yield self._message(case, line, day, [Started(line.product, wrong, "3")])
            yield self._message(case, line, day, [Started(line.product, begin)])

    def _stopped(self, case: Case, line: _Line, stop: Stopped, day: date) -> Iterator[Message]:
        """A final stop; one in twelve first with another reason."""
        if self._rng.random() < 0.08:
            wrong = replace(stop, reason="37")
            yield self._message(case, line, day, [wrong])
            yield self._message(case, line, day, [replace(wrong, status="3"), stop])
        else:
            yield self._message(case, line, day, [stop])

    def _allocation(self, case: Case, line: _Line, day: date, change: str = "") -> Message:
        """A 301: a snapshot of what the client has at that provider, this allocation first."""
        line.allocated_on = max(line.allocated_on, day)
        given_at = datetime.combine(day, time(8)) + timedelta(seconds=self._sent % 36_000)
        told = [Allocated(line.product, given_at, line.until, change)]
        for key in self._world.cases_of[case.person]:
            other = self._lines.get(key)
            running = other is not None and not other.withdrawn and (other.until is None or other.until >= day)
            if other is not None and running and key != case.key and self._same_parties(case, line, key, other):
                told.append(Allocated(other.product, given_at, other.until))
        return replace(self._message(case, line, day, told), relations=self._relations(case))

    def _same_parties(self, case: Case, line: _Line, key: tuple[str, str], other: _Line) -> bool:
        return key[0] == case.organisation and (other.law, other.municipality) == (line.law, line.municipality)

    def _relations(self, case: Case) -> list[Related]:
        """Parents of those under age and a helper, of some also a guardian organisation."""
        person = self._world.persons[case.person]
        if person.age(self._today) >= 18:
            return []
        parents = [self._world.persons[each] for each in person.parents]
        related = [Related(str(number), "10", parent) for number, parent in enumerate(parents, 1)]
        if zlib.crc32(case.person.encode()) % 10 == 0:
            related.append(Related("8", "11", None, "Stichting Jeugdbescherming"))
        return related

    def _message(self, case: Case, line: _Line, day: date, classes: Sequence[Allocated | Started | Stopped]) -> Message:
        self._sent += 1
        first = classes[0]
        return Message(
            line.law,
            "301" if isinstance(first, Allocated) else "305" if isinstance(first, Started) else "307",
            line.municipality,
            AGB[case.organisation],
            f"{self._sent:012d}",
            day,
            line.client,
            classes,
        )

    def _soon_after(self, day: date) -> date:
        """Within five working days (OP271), and never tomorrow."""
        return min(self._today, day + self._rng.randrange(6) * _DAY)

    @property
    def _today(self) -> date:
        return self._world.today

    # How it is told

    def _posted(self, message: Message) -> list[bytes]:
        """The file or files of a message: some twice, some with the return that says that all is well."""
        content = render(message)
        files = [self._wrapped(message, content)]
        if self._rng.random() < 0.04:
            self._late_or_now(content)
        if self._rng.random() < 0.05:
            files.append(self._wrapped(message, render_return(message), returned=True))
        if self._faults:
            self._late.append(files[0])
            files[0] = _spoiled(content, message, self._faults.pop(0))
        return files

    def _wrapped(self, message: Message, content: bytes, returned: bool = False) -> bytes:
        if self._rng.random() < 0.6:
            return content
        return enveloped(message, content, self._world.now, returned=returned, text=self._rng.random() < 0.2)

    def _late_or_now(self, content: bytes) -> None:
        """Into the coming files of this night; a night falls for all at once, so that only whole nights can be late."""
        self._late.append(content)

    def _put(self, content: bytes) -> Path:
        self._files += 1
        mark = zlib.crc32(content + str(self._files).encode())
        target = self._folder / f"{mark:08x}-{self._files:06d}.xml"
        part = target.with_name(target.name + ".part")
        part.write_bytes(content)
        part.replace(target)
        return target


def _spoiled(content: bytes, message: Message, fault: Fault) -> bytes:
    match fault:
        case Fault.BYTE_ORDER_MARK:
            return b"\xef\xbb\xbf" + content
        case Fault.LINE_ENDS:
            return content.replace(b"\r\n", b"\n")
        case Fault.CUT_OFF:
            return content[: len(content) * 2 // 3]
        case Fault.DOCUMENT_TYPE:
            return content.replace(b"\r\n", b'\r\n<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>\r\n', 1)
        case Fault.UNKNOWN_PROVIDER:
            return content.replace(message.agb.encode(), b"99999999")
