"""A statement larger than the socket's buffer goes through the pipeline, too."""

from __future__ import annotations

import psycopg
import pytest

from samenloop_deploy.local import Databases
from samenloop_processors.engine.tx import SyncedCursor

pytestmark = [pytest.mark.live, pytest.mark.timeout(30)]


def test_eight_megabytes_in_one_statement(databases: Databases) -> None:
    blocks = [bytes([n % 251]) * 4096 for n in range(2000)]
    with psycopg.connect(databases.url("intake")) as connection:
        connection.execute("CREATE TEMPORARY TABLE large(block bytea)")
        with connection.pipeline() as pipeline, connection.transaction():
            for _ in range(3):
                SyncedCursor(connection, pipeline).execute(
                    "INSERT INTO large SELECT * FROM unnest(%s::bytea[])", [blocks]
                )
            counted = SyncedCursor(connection, pipeline).execute("SELECT count(*), sum(length(block)) FROM large")
            assert counted.fetchone() == (6000, 3 * 2000 * 4096)
