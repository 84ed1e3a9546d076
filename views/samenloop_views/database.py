"""Reading what the views stage keeps: one consistent, read-only look per page or round, in whichever schema is live."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from samenloop_processors.agreement import Agreement, AgreementBook, Published
from samenloop_processors.engine.schema import live_schema
from samenloop_schemas import codec
from samenloop_schemas.records import Decision

Connection = psycopg.Connection[Any]


class NotThereYet(Exception):
    """The views stage has no tables yet: nothing has been started, or everything is being built for the first time."""


class ViewsDatabase:
    """Connections to the hub's database, shared by threads. Close it."""

    def __init__(self, url: str, *, name: str, size: int = 8) -> None:
        self.pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            min_size=1,
            max_size=size,
            timeout=5,
            kwargs={
                "autocommit": True,
                "application_name": f"samenloop {name}",
                "options": "-c timezone=UTC -c statement_timeout=10s -c client_min_messages=warning",
                "connect_timeout": 5,
                "tcp_user_timeout": 10_000,
            },
            open=True,
        )

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """A snapshot of the live tables. Raises NotThereYet."""
        with self.pool.connection() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                schema = live_schema(connection, "views")
            except LookupError:
                raise NotThereYet from None
            connection.execute("SELECT set_config('search_path', %s, true)", (schema,))
            yield connection

    def close(self) -> None:
        self.pool.close()


class Agreements:
    """The published agreements, parsed once per version; which one holds follows the clock of the log, not ours."""

    def __init__(self) -> None:
        self._read: dict[tuple[str, int], Published] = {}

    def book(self, connection: Connection) -> AgreementBook:
        """All that are published in this look."""
        keys = [
            (str(area), int(version)) for area, version in connection.execute("SELECT area, version FROM agreement")
        ]
        for area, version in keys:
            if (area, version) not in self._read:
                self._read[area, version] = _published(connection, area, version)
        return AgreementBook(self._read[key] for key in sorted(keys))


def _published(connection: Connection, area: str, version: int) -> Published:
    row = connection.execute(
        "SELECT statement FROM agreement WHERE area = %s AND version = %s", (area, version)
    ).fetchone()
    assert row is not None  # same snapshot
    return Published.of(codec.decode(row[0], Decision))


def days(connection: Connection) -> dict[str, date]:
    """The highest clock day per area: the only "today" that pages know."""
    return dict(connection.execute("SELECT area, day FROM clock_day").fetchall())


def in_force(book: AgreementBook, area: str, today: date | None) -> Agreement | None:
    """The agreement that holds today; before the first clock day, the newest that was published."""
    if today is not None and (holding := book.in_force(area, today)):
        return holding
    versions = book.versions(area)
    return versions[-1].agreement if versions and today is None else None
