"""A chain with what stands at both ends of it: a connector process per partner, and a page that somebody keeps looking at."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from browsing import Browser
from chain_rig import Chain, Chains
from chain_world import SYSTEMS, Said

from samenloop_producers.outbox import EdgeStore, Event
from samenloop_schemas.headers import cloud_event, source_urn
from samenloop_schemas.records import InvolvementStatement
from samenloop_schemas.topics import area_key

CONTACT = {"team": "", "phone": "", "email": ""}
LOOK_EVERY_S = 0.2
LONGEST_ANSWER_S = 15.0
"""A page that cannot answer says so within the time that its own waits take together."""


class Edge:
    """One partner's `samenloop connector run`, on a source that stays empty: what it has to send is put into its outbox."""

    def __init__(self, chain: Chain, partner: str, directory: Path) -> None:
        self._chain, self.partner = chain, partner
        self._state, source = directory / partner, directory / f"{partner}-source"
        source.mkdir(parents=True)
        config = directory / f"{partner}.json"
        config.write_text(
            json.dumps(
                {
                    "connector": "backoffice",
                    "partner": partner,
                    "state_dir": str(self._state),
                    "poll_seconds": 1,
                    "folder": str(source),
                    "organisations": [{"id": "nobody", "area": "a2", "contact": CONTACT, "code": "0001"}],
                }
            )
        )
        self._store = EdgeStore(self._state)
        self.child = chain.hub.start_connector(partner, config)
        chain.children.append(self.child)

    def put(self, said: Said) -> None:
        statement, at = said.statement, said.at
        headers = cloud_event(
            statement.statement_id, InvolvementStatement, source_urn("0" * 20, SYSTEMS[said.partner]), at
        )
        topic = self._chain.topics.inbox(said.partner)
        event = Event(
            statement.statement_id, topic, area_key(statement.area), said.data, headers, int(at.timestamp() * 1000)
        )
        with self._store.transaction() as db:
            self._store.put(db, [event])

    def pending(self) -> int:
        return self._store.outbox_state().pending

    def parked(self) -> dict[str, int]:
        return self._store.outbox_state().parked

    def heard(self) -> tuple[set[str], Counter[str]]:
        """Case refs with an outcome, and how often each notice was kept, as the connector wrote them down."""
        with sqlite3.connect(self._state / "edge.sqlite") as db:
            cases = {ref for (ref,) in db.execute("SELECT case_ref FROM outcome")}
            return cases, Counter(notice for (notice,) in db.execute("SELECT notice_id FROM notice"))

    def close(self) -> None:
        self._store.close()


@dataclass(slots=True)
class Looker:
    """Somebody who looks at his overlaps over and over. `seen`: how often each status came; `slowest` in seconds."""

    url: str
    seen: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    """No connection at all: the process was being started again."""
    slowest: float = 0.0
    last: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def log_in(self, name: str) -> bool:
        """As the professional of this party, who does not log in again. False while the pages do not know him yet."""
        browser = Browser(self.url)
        try:
            person = next((person for person in browser.people() if person.name == name), None)
        except httpx.TransportError:
            person = None
        if person is None:
            return False
        browser.log_in(person)
        self._thread = threading.Thread(target=self._look, args=(browser,))
        self._thread.start()
        return True

    def stop(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join()

    def _look(self, browser: Browser) -> None:
        with browser:
            while not self._stop.wait(LOOK_EVERY_S):
                began = time.monotonic()
                try:
                    self.last = browser.get("/overlappen").status
                    self.seen[self.last] += 1
                except httpx.TransportError:
                    self.last = 0
                    self.refused += 1
                self.slowest = max(self.slowest, time.monotonic() - began)
                browser.exchanges.clear()


@dataclass(slots=True)
class Ends:
    """Both ends of a running chain."""

    chain: Chain
    edges: dict[str, Edge]
    looker: Looker

    def say(self, said: Iterable[Said], pace: float = 0.0) -> None:
        """As the connectors have it to say; `pace` is statements per second."""
        began = time.monotonic()
        for number, one in enumerate(said):
            self.edges[one.partner].put(one)
            self.chain.sent[str(one.statement.statement_id)] += 1
            if pace and (ahead := (number + 1) / pace - (time.monotonic() - began)) > 0:
                time.sleep(ahead)

    def rest(self) -> None:
        """Nothing waits to be sent, and the hub has nothing left to do."""
        self.chain.wait(lambda: not any(edge.pending() for edge in self.edges.values()), "the connectors to send", 60)
        self.chain.rest(60)

    def in_views(self) -> int:
        """Statements that the views hold now."""
        return int(self.chain.query("views", "SELECT count(*) FROM involvement")[0][0])

    def restarts(self) -> dict[str, int]:
        counted = {child: self.chain.stack.supervisor.restarts(child) for child in self.chain.children}
        return {child: times for child, times in counted.items() if times}


@contextmanager
def with_both_ends(chains: Chains, name: str, directory: Path) -> Iterator[Ends]:
    with chains.running(name) as chain:
        edges = {partner: Edge(chain, partner, directory) for partner in SYSTEMS}
        chain.children.append(chain.hub.start_web())
        looker, name = Looker(chain.hub.url), _somebody(chain)
        chain.wait(lambda: looker.log_in(name), "the pages to let somebody in")
        try:
            yield Ends(chain, edges, looker)
        finally:
            looker.stop()
            chain.stop()
            for edge in edges.values():
                edge.close()


def _somebody(chain: Chain) -> str:
    """The name of a party of the area where most is said."""
    agreement = next(a for a in chain.hub.agreements if a.area == "a2")
    return next(party.name for party in agreement.parties if party.id == "lumens/social-work")
