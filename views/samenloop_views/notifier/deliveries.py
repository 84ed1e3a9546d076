"""The notifier's memory: per notice the very bytes that it sends, and how far it came.

A notice goes through the steps in order, each confirmed by the broker before the next is written here. A kill at any point
repeats at most the step it was in, with the same bytes under the same id, which every reader recognises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from samenloop_views.database import Connection

DDL = """
CREATE TABLE IF NOT EXISTS notifier.delivery(
    area text COLLATE "C", notice_id uuid, partner text NOT NULL, step int NOT NULL, intended bytea NOT NULL,
    notice bytea NOT NULL, delivered bytea, taken_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (area, notice_id));
CREATE INDEX IF NOT EXISTS delivery_open ON notifier.delivery(taken_at, notice_id) WHERE step < 3;
"""
LOCK = "samenloop notifier"


class Step(IntEnum):
    """What is done. TAKEN: the bytes are fixed, nothing was sent."""

    TAKEN = 0
    INTENDED = 1
    SENT = 2
    DONE = 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """One notice on its way. `delivered` is fixed once the notice is confirmed, for it says when that was."""

    area: str
    notice_id: UUID
    partner: str
    step: Step
    intended: bytes
    notice: bytes
    delivered: bytes | None = None


def prepare(connection: Connection) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('samenloop notifier tables', 0))")
        if connection.execute("SELECT FROM pg_namespace WHERE nspname = 'notifier'").fetchone() is None:
            connection.execute("CREATE SCHEMA notifier")
        connection.execute(DDL)


def be_the_only_one(connection: Connection) -> bool:
    """Whether this session now gets the right to deliver; it lasts as long as the session. Ask until it does."""
    row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (LOCK,)).fetchone()
    return bool(row and row[0])


def take(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Fix what will be sent, in one transaction."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO notifier.delivery(area, notice_id, partner, step, intended, notice) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [(d.area, d.notice_id, d.partner, int(d.step), d.intended, d.notice) for d in deliveries],
        )


def unfinished(connection: Connection, limit: int) -> list[Delivery]:
    rows = connection.execute(
        "SELECT area, notice_id, partner, step, intended, notice, delivered FROM notifier.delivery "
        "WHERE step < %s ORDER BY taken_at, notice_id LIMIT %s",
        (int(Step.DONE), limit),
    )
    return [
        Delivery(area, notice_id, partner, Step(step), bytes(intended), bytes(notice), done and bytes(done))
        for area, notice_id, partner, step, intended, notice, done in rows
    ]


def advance(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Write down that these came to their step."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE notifier.delivery SET step = %s, delivered = coalesce(delivered, %s) "
            "WHERE area = %s AND notice_id = %s AND step < %s",
            [(int(d.step), d.delivered, d.area, d.notice_id, int(d.step)) for d in deliveries],
        )
