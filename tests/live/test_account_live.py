"""A real connector against the real intake: what the hub holds is what was stated, and what differs is named by case number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from intake_rig import HUB_KEY, IntakeRig, intake_rig
from wire import Wire

from samenloop_connectors.app import Loaded, connector_status, load, run_connector
from samenloop_connectors.backoffice.extract import COLUMNS
from samenloop_connectors.sdk.status import ConnectorStatus, Reconciliation
from samenloop_deploy.local import LocalStack
from samenloop_schemas import sealing

pytestmark = pytest.mark.live

MONDAY = datetime(2026, 1, 12, 9, tzinfo=UTC)
YOUNG, GROWN = "20140517", "19680704"
ROW = {
    "bsn": "999900006", "voorletters": "J.", "voornamen": "Jozefien", "voorvoegsel": "van", "achternaam": "Zwartkruis",
    "aanduiding_naamgebruik": "1", "geslacht": "V", "geboortedatum": GROWN, "straatnaam": "Geheimelaan", "huisnummer": "17",
    "postcode": "5554XK", "woonplaats": "Valkenswaard", "regeling": "", "datum_aanvang": "20250310", "consulent_team": "Inkomen",
    "status": "lopend", "mutatiedatum": "20260105",
}  # fmt: skip


class Edge:
    """One connector of the partner `backoffice` on a state of its own; the days pass as the test says."""

    def __init__(self, root: Path, name: str, organisation: str, code: str) -> None:
        self.folder, self.code = root / f"drop-{name}", code
        self.folder.mkdir()
        self.file = root / f"{name}.json"
        content = {
            "connector": "backoffice", "partner": "backoffice", "state_dir": str(root / f"state-{name}"),
            "folder": str(self.folder), "organisations": [{"id": organisation, "code": code, "area": "a2"}],
        }  # fmt: skip
        self.file.write_text(json.dumps(content))
        self.loaded: Loaded = load(self.file)
        self.now = MONDAY

    def drop(self, module: str, **born: str) -> None:
        """An extract of today: per dossier when its client was born, or (after a comma) when the row was last changed."""
        lines = [";".join(COLUMNS)]
        for dossier, what in born.items():
            birth, _, changed = what.partition(",")
            row = ROW | {"geboortedatum": birth, "mutatiedatum": changed or ROW["mutatiedatum"]}
            row |= {"dossiernummer": dossier.removeprefix("d"), "clientnummer": f"8{dossier.removeprefix('d')}"}
            lines.append(";".join(row.get(name, "") for name in COLUMNS))
        text = "\r\n".join([*lines, f"TRAILER;{len(born)}", ""])
        (self.folder / f"GWS_{self.code}_{module}_{self.now:%Y%m%d}.csv").write_text(text, encoding="utf-8")

    def run(self) -> None:
        run_connector(self.loaded, once=True, now=lambda: self.now)

    def status(self) -> ConnectorStatus:
        return connector_status(self.loaded)

    def heard(self, rig: IntakeRig, condition: Callable[[ConnectorStatus], bool], what: str) -> ConnectorStatus:
        def there() -> bool:
            self.run()
            return condition(self.status())

        rig.wait(there, what)
        return self.status()

    def compared(self) -> Reconciliation:
        (one,) = self.status().reconciliation
        return one


@pytest.fixture
def rig(stack: LocalStack, make_plan: Callable[..., Any], wire: Wire, tmp_path: Path) -> Iterator[IntakeRig]:
    with intake_rig(stack, make_plan(timestamps_from_sender=True), wire, tmp_path) as made:
        yield made


@pytest.fixture
def edge(rig: IntakeRig, stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edge:
    environment = stack.kafka_access("backoffice").environment() | {
        "SAMENLOOP_HUB_PUBLIC_KEY": sealing.key_to_text(HUB_KEY[1]),
        "SAMENLOOP_EDGE_SECRET": sealing.key_to_text(bytes(range(32))),
        "SAMENLOOP_TOPIC_PREFIX": rig.topics.prefix,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Edge(tmp_path, "valkenswaard", "gemeente-valkenswaard", "0858")


def test_equal_after_a_normal_day_and_different_after_a_refusal_with_the_case_named(
    rig: IntakeRig, edge: Edge, tmp_path: Path
) -> None:
    rig.publish()
    rig.start()
    edge.drop("PW", d70001=GROWN, d70002=GROWN)
    edge.drop("JW", d70003=YOUNG)
    other = Edge(tmp_path, "cranendonck", "gemeente-cranendonck", "1706")
    other.drop("PW", d90001=GROWN)
    other.run()
    first = edge.heard(rig, lambda stand: not stand.unheard, "receipts of three cases")
    assert (first.outcomes, first.refusals, edge.compared().verdict) == ({"ACCEPTED": 3}, (), "not_counted_yet")

    # the next day brings the count of the first; a grown-up in youth care is refused
    edge.now = other.now = MONDAY + timedelta(days=1)
    edge.drop("PW", d70001=f"{GROWN},20260113", d70002=GROWN)
    edge.drop("JW", d70003=YOUNG, d70004=GROWN)
    edge.heard(rig, lambda stand: stand.outcomes == {"ACCEPTED": 3, "REFUSED": 1} and not stand.unheard, "a refusal")
    one = edge.compared()
    assert (one.day, one.verdict, one.hub_count, one.own_count) == ("2026-01-12", "equal", 3, 3)
    assert (one.later, one.differing) == (2, ())

    # and the day after that it shows; meanwhile a case that the hub held is spoilt
    edge.now += timedelta(days=1)
    edge.drop("JW", d70003=f"{GROWN},20260114", d70004=GROWN)
    edge.heard(rig, lambda stand: stand.outcomes == {"ACCEPTED": 2, "REFUSED": 2}, "a second refusal")
    one = edge.compared()
    assert (one.day, one.verdict, one.hub_count, one.own_count) == ("2026-01-13", "different", 3, 4)
    assert [(each.case_number, each.why, each.codes) for each in one.differing] == [
        ("JW/70004", "refused", ("AGE_NOT_AGREED",))
    ]
    assert one.explained
    edge.now += timedelta(days=1)
    edge.drop("PW", d70001=f"{GROWN},20260113", d70002=f"{GROWN},20260115")
    edge.heard(rig, lambda stand: stand.reconciliation[0].day == "2026-01-14", "the third count")
    assert [(each.case_number, each.why) for each in edge.compared().differing] == [
        ("JW/70003", "withheld"),
        ("JW/70004", "refused"),
    ]
    assert (edge.compared().hub_count, edge.compared().own_count, edge.compared().explained) == (2, 4, True)

    # the other connector of this partner hears it all and makes nothing of it
    other.now = edge.now
    theirs = other.heard(rig, lambda stand: stand.reconciliation[0].day is not None, "its own count")
    assert (theirs.outcomes, theirs.refusals, theirs.elsewhere["cases"]) == ({"ACCEPTED": 1}, (), 4)
    assert [(each.organisation, each.verdict, each.unknown) for each in theirs.reconciliation] == [
        ("gemeente-cranendonck", "equal", 0)
    ]

    told = rig.samenloop("connector", "status", "backoffice", "--config", str(edge.file), principal="backoffice")
    assert told.code == 0, told.err
    for words in ("JW/70004", "JW/70003", "AGE_NOT_AGREED", "birth", "different", "2026-01-14"):
        assert words in " ".join(told.err.split()), told.err
    dutch = rig.samenloop(
        "connector", "status", "backoffice", "--config", str(edge.file), "--language", "nl", "--json",
        principal="backoffice",
    )  # fmt: skip
    reasons = [reason["advice"] for refusal in dutch.json["refusals"] for reason in refusal["reasons"]]
    assert any("geboortedatum" in advice for advice in reasons)
    for answer in (told, dutch):
        assert "Zwartkruis" not in answer.out + answer.err
        assert "999900006" not in answer.out + answer.err


def test_a_row_that_is_set_aside_is_found_and_read_again_by_command(rig: IntakeRig, edge: Edge) -> None:
    rig.publish()
    rig.start()
    edge.drop("PW", d70001=GROWN, d70002="onbekend")
    edge.run()
    command = ("--config", str(edge.file))
    (row,) = rig.samenloop("quarantine", "list", *command, "--json", principal="backoffice").json["records"]
    assert (row["case_number"], row["code"], row["field"]) == ("PW/70002", "unreadable", "geboortedatum")
    dry = rig.samenloop("quarantine", "retry", row["id"], *command, "--dry-run", "--json", principal="backoffice")
    assert (dry.json["done"], edge.status().set_aside[0].reread) == (0, False)
    done = rig.samenloop(
        "quarantine", "retry", row["id"], *command, "--yes", "--actor", "j.doe", principal="backoffice"
    )
    assert done.code == 0, done.err
    assert "0858-PW" in done.err
    assert edge.status().set_aside[0].reread
    edge.run()
    assert (edge.status().set_aside[0].times, edge.status().set_aside[0].reread) == (2, False)
    gone = rig.samenloop(
        "quarantine", "discard", row["id"], *command, "--yes", "--actor", "j.doe", principal="backoffice"
    )
    assert gone.code == 0, gone.err
    assert (edge.status().set_aside, edge.status().set_aside_discarded) == ((), 1)
    shown = rig.samenloop("quarantine", "show", row["id"], *command, "--json", principal="backoffice")
    assert [(each["actor"], each["action"]) for each in shown.json["audit"]] == [
        ("j.doe", "retried"),
        ("j.doe", "discarded"),
    ]
    for answer in (dry, done, gone, shown):
        assert "onbekend" not in answer.out + answer.err
