"""Whatever becomes of notifications, rounds and processes: in the end the ZGW connector says what the case system says.

Two properties. Of items: any order, repeats and splits over readings end in the same statement. Of the whole: a case system
that people work in, notifications that are lost, doubled and late, rounds that break off, restarts and lost notes; once all
was listed, what is held is what one look at the system as it is now would say, and all else was taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edge_tools import NOON, Edge
from hypothesis import given, settings
from hypothesis import strategies as st
from zgw_rig import Rig
from zgw_source import JAN, PARENT, ZOE, Source, config_of, person, running, uuid_of

from samenloop_connectors.cjg.connector import CjgConnector
from samenloop_connectors.cjg.snapshot import ADDRESS, PERSON
from samenloop_connectors.sdk.connector import Item, Reading
from samenloop_schemas.dates import micros

_PASSING = ("revision", "statement_id", "confirmed_on", "identity_revision")


def content(statement: dict[str, Any]) -> dict[str, Any]:
    """What a statement says, without its versions."""
    kept = {name: value for name, value in statement.items() if name not in _PASSING}
    if kept["identity"]:
        kept["identity"] = {name: value for name, value in kept["identity"].items() if name != "statement_id"}
    kept["relations"] = [relation["person_ref"] for relation in kept["relations"]]
    return kept


def payload(state: str, team: str) -> dict[str, Any]:
    of_person, address = dict.fromkeys(PERSON, ""), dict.fromkeys(ADDRESS, "")
    left = {
        "zaaktype": "B0757",
        "as": {"service_group": "youth_team", "domain": "JW"},
        "startdatum": "2026-02-10",
        "key": "k" * 32,
    }
    if state == "destroyed":
        return {"withdrawn": state, **left}
    return left | {
        "einddatum": "2026-03-01" if state == "ended" else "",
        "einddatumGepland": "not a day" if state == "broken" else "",
        "vertrouwelijkheidaanduiding": "intern", "opgeschort": state == "paused", "status": None if state == "new" else "Bezig",
        "resultaat": [], "team": team, "regie": False, "tot": "", "relaties": [],
        "persoon": of_person | {"geslachtsnaam": "Jansen", "geboortedatum": "2014", "verblijfsadres": address},
    }  # fmt: skip


sightings = st.tuples(
    st.integers(0, 9),
    st.sampled_from(["new", "running", "paused", "ended", "destroyed", "broken"]),
    st.sampled_from("AB"),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(sightings, min_size=1, max_size=6, unique_by=lambda sighting: sighting[0]), st.data())
def test_any_order_repeats_and_splits_of_looks(looks: list[tuple[int, str, str]], data: st.DataObject) -> None:
    """A look that shows what the one before it showed has its version too, as the connector makes them."""
    items: dict[int, Item] = {}
    for at, state, team in sorted(looks):
        shown, last = payload(state, team), items[max(items)] if items else None
        same = last is not None and last.payload == {**shown, "version": last.version}
        version = last.version if last and same else micros(NOON) + at
        items[at] = Item("cjg-bevelanden", "Z1", version, {**shown, "version": version})

    def final(order: list[tuple[int, str, str]]) -> dict[str, Any]:
        with TemporaryDirectory() as folder:
            edge = Edge(Path(folder), CjgConnector(config_of("http://127.0.0.1:9", Path(folder))))
            for at, _, _ in order:
                edge.runner.take(Reading("cjg-bevelanden", micros(NOON) + at, False, [items[at]]))
            found = edge.final()
            edge.close()
            return found

    order = data.draw(st.permutations(looks)) + data.draw(st.lists(st.sampled_from(looks), max_size=4))
    assert final(order) == final(sorted(looks))


PEOPLE = (JAN, ZOE, PARENT)
Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from([
            "make", "start", "suspend", "resume", "end", "reopen", "wrong", "destroy", "person", "parent", "leave", "rename",
            "desk", "notify", "notify", "notify twice", "round", "round", "day", "break", "restart", "forget",
        ]),
        st.integers(1, 2),
        st.integers(0, 2),
    ),
    min_size=3,
    max_size=22,
)  # fmt: skip


def rename(source: Source, uuid: str, roles: list[dict[str, Any]], surname: str) -> None:
    """In place, without a word; but whoever changes what has ended must say so."""
    if roles:
        roles[0]["betrokkeneIdentificatie"]["geslachtsnaam"] = surname
    if source.zaken[uuid]["einddatum"]:
        source.touch(uuid)


def work(rig: Rig, step: Step) -> None:
    """One thing that people, the network or an operator do."""
    what, number, who = step
    source, uuid = rig.source, uuid_of(number)
    roles = [role for role in source.roles.values() if role["zaak"].endswith(uuid)]
    changes: dict[str, Callable[[], Any]] = {
        "start": lambda: source.set_status(uuid, "running"),
        "suspend": lambda: source.suspend(uuid),
        "resume": lambda: source.suspend(uuid, False),
        "end": lambda: source.end(uuid),
        "reopen": lambda: source.reopen(uuid),
        "wrong": lambda: source.end(uuid, "wrong"),
        "destroy": lambda: source.destroy(uuid),
        "person": lambda: source.role(uuid, person(PEOPLE[who])),
        "parent": lambda: source.role(uuid, person("", f"Ouder{who}"), "Ouder"),
        "leave": lambda: source.end_role(roles[who % len(roles)]["url"]) if roles else None,
        "rename": lambda: rename(source, uuid, roles, f"Name{who}"),
        "desk": lambda: source.change(uuid, zaaktype=source.zaken[uuid]["zaaktype"].replace("youth", "consult")),
    }
    if what == "make" and uuid not in source.zaken:
        source.role(source.zaak(number, status=None), person(PEOPLE[who]))
    elif what in changes and uuid in source.zaken:
        changes[what]()
    elif what.startswith("notify"):
        rig.notify(*[uuid] * (2 if "twice" in what else 1))
    elif what == "round":
        rig.round()
    elif what == "day":
        rig.clock.later(hours=25)
    elif what == "break":
        source.faults = [(500, {})] * 5
        rig.round()
        source.faults = []
    elif what == "restart":
        rig.restart()
    elif what == "forget":
        rig.edge.store.connection.execute("DELETE FROM tray")


def as_it_is(source: Source, rig: Rig) -> dict[str, Any]:
    """What an edge that never ran before makes of the system as it is now."""
    with TemporaryDirectory() as folder:
        fresh = Edge(
            Path(folder), CjgConnector(source.config(Path(folder)), rig.clock, lambda seconds: False), rig.clock
        )
        fresh.runner.round()
        found = {ref: content(statement) for ref, statement in fresh.final().items()}
        fresh.close()
        return found


@settings(max_examples=40, deadline=None)
@given(steps)
def test_in_the_end_it_says_what_the_case_system_says(doings: list[Step]) -> None:
    with TemporaryDirectory() as folder, running() as source:
        rig = Rig(source, Path(folder))
        ended: set[str] = set()
        for step in doings:
            work(rig, step)
        rig.whole()
        rig.whole()  # the last person of a running zaak is waited for, for a minute
        wanted = as_it_is(source, rig)
        held = {ref: content(statement) for ref, statement in rig.edge.final().items()}
        ended = {ref for ref, statement in held.items() if statement["status"] == "ENDED"}
        assert {ref: held.get(ref) for ref in wanted} == wanted
        for ref in held.keys() - wanted.keys() - ended:
            assert held[ref]["status"] == "RETRACTED"
            assert held[ref]["identity"] is None
        revisions: dict[str, list[int]] = {}
        for said in rig.said():
            revisions.setdefault(said.case_ref, []).append(said.revision)
        assert all(each == sorted(set(each)) for each in revisions.values())
        assert rig.waiting() == 0 or not source.zaken, "what waits is about zaken that were never there"
        rig.close()
