"""Statements that come before their area's agreement: they wait, are judged when it comes, and it is as if it had come first."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from gate_rig import BSN, KEK, SOCIAL_WORK, T0, Rig, ref, stated

from samenloop_processors.intake.domain.ledger import CaseId
from samenloop_processors.keys import KeyKind, KeyStore
from samenloop_schemas.codes import ReceiptCode, ReceiptKind, RelationKind, Status
from samenloop_schemas.ids import canonical_json
from samenloop_schemas.records import (
    InvolvementStatement,
    Relation,
)

pytestmark = pytest.mark.live
pytest_plugins = ("gate_fixtures",)

WAITS = (ReceiptKind.WAITING, (ReceiptCode.NO_AGREEMENT,))
REFUSED = (ReceiptKind.REFUSED, (ReceiptCode.NO_AGREEMENT,))


def world() -> list[InvolvementStatement]:
    """Accepted, refused, withheld, ended; of several cases and stated over and over."""
    faults: list[dict[str, Any]] = [{}, {"purpose": "none"}, {"status": Status.ENDED, "ends_on": date(2026, 1, 2)}]
    every = [stated(case, revision=n, **fault) for case in "abcd" for n in (1, 2, 3) for fault in faults]
    return random.Random(7).sample(every, 20)


def settled(rig: Rig, *statements: InvolvementStatement) -> dict[UUID, tuple[ReceiptKind, tuple[ReceiptCode, ...]]]:
    """The verdicts once none of these waits any more."""
    deadline = time.monotonic() + 40
    while WAITS in [(found := rig.verdicts(*statements))[statement.statement_id] for statement in statements]:
        assert time.monotonic() < deadline, "some still wait"
        time.sleep(0.05)
    return found


def test_before_or_after_its_agreement_is_all_the_same(make_rig: Callable[[], Rig]) -> None:
    said, exports = world(), []
    for early in (True, False):
        rig = make_rig()
        if early:
            rig.start()
            for statement in [*said, *said[:7]]:
                rig.say(statement)
            assert set(rig.verdicts(*said).values()) == {WAITS}
            assert not rig.accepted()
            rig.restart()
            rig.publish()
        else:
            rig.ready()
            rig.say(stated("probe", status=Status.RETRACTED, revision=9))
            for statement in said:
                rig.say(statement)
        told = settled(rig, *said)
        stated_ids = set(rig.accepted()) & {statement.statement_id for statement in said}
        rows = [row for row in rig.export() if row["case_ref"] != ref("case probe")]
        exports.append((canonical_json(rows), {sid: told[sid][0] for sid in sorted(told, key=str)}, stated_ids))
        rig.stop()
    assert exports[0][0] == exports[1][0]
    assert exports[0][2] == exports[1][2]
    assert exports[0][0].count(b"WITHHELD") > 0
    assert ReceiptKind.ACCEPTED in exports[0][1].values()


def test_it_is_kept_unreadable_and_judged_with_the_time_of_its_first_coming(rig: Rig) -> None:
    first = rig.now
    rig.start()
    mine = rig.say(stated(relations=(Relation(RelationKind.PARENT, ref("mother"), b"", 3),)))
    theirs = rig.say(stated("2", **SOCIAL_WORK), "smwo")
    early = rig.say(stated("3", stated_at=T0 - timedelta(days=400)))
    gone = rig.say(stated("4"))
    assert set(rig.verdicts(mine, early, gone).values()) == {WAITS}
    assert rig.receipts(theirs, partner="smwo")[theirs.statement_id].kind is ReceiptKind.WAITING
    with psycopg.connect(rig.databases.admin_url()) as connection:
        rows = connection.execute("SELECT * FROM intake_v1.waiting").fetchall()
    assert len(rows) == 4
    kept = b"".join(bytes(value) for row in rows for value in row if isinstance(value, bytes))
    for readable in (b"youth_help", b"early_coordination", b"gemeente-valkenswaard", b"Jansen", BSN.encode()):
        assert readable not in kept
    erase(rig, gone)
    rig.restart()  # its cache would know the key for minutes yet
    rig.now += timedelta(hours=2)
    rig.say(mine)
    rig.publish()
    told = settled(rig, mine, gone)
    assert told[mine.statement_id] == (ReceiptKind.ACCEPTED, ())
    assert told[gone.statement_id] == (ReceiptKind.REFUSED, (ReceiptCode.ERASED, ReceiptCode.NO_AGREEMENT))
    assert told[early.statement_id] == WAITS
    accepted = rig.accepted()
    assert set(accepted) == {mine.statement_id, theirs.statement_id}
    assert {statement.recorded_at for statement in accepted.values()} == {first}
    assert [row["waiting"] for row in rig.export() if "waiting" in row] == [str(early.statement_id)]


def test_nothing_waits_longer_than_its_topic_is_kept(rig: Rig) -> None:
    rig.start()
    waits = rig.say(stated())
    assert rig.verdicts(waits)[waits.statement_id] == WAITS
    for days in (13, 2):
        rig.now += timedelta(days=days)
        other = rig.say(stated(f"after {days}"))
        assert rig.verdicts(other)[other.statement_id] == WAITS
        assert rig.verdicts(waits)[waits.statement_id] == (WAITS if days == 13 else REFUSED)
    rig.publish()
    assert settled(rig, other)[other.statement_id][0] is ReceiptKind.ACCEPTED
    assert waits.statement_id not in rig.accepted()


def erase(rig: Rig, statement: InvolvementStatement) -> None:
    """As the privacy desk does; its case has a key already."""
    case = CaseId("a2", "backoffice", statement.organisation, statement.source_system, statement.case_ref)
    with psycopg.connect(rig.databases.admin_keys_url()) as connection:
        row = connection.execute("SELECT key_id FROM case_key WHERE subject = %s", [case.subject()]).fetchone()
    assert row is not None
    desk = KeyStore(rig.databases.admin_keys_url(), KEK)
    assert desk.destroy(KeyKind.CASE, row[0], "erasure_request")
    desk.close()
