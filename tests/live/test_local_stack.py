from __future__ import annotations

import psycopg
import pytest

from samenloop_deploy import topology_apply

pytestmark = pytest.mark.live


def test_a_record_goes_through_the_broker(wire, topics):
    wire.produce(topics.inbox("smwo"), b"a2", b"x", principal="smwo", headers=[("h", b"1")])
    (record,) = wire.await_records(topics.inbox("smwo"), 1, principal="hub-intake")
    assert (record.key, record.value, record.headers) == (b"a2", b"x", (("h", b"1"),))


def test_applying_the_topology_twice_changes_nothing(plan, admin):
    assert topology_apply.apply(plan, admin) == []


def test_each_role_makes_its_own_schema(databases):
    with psycopg.connect(databases.url("clients")) as connection:
        connection.execute("CREATE SCHEMA clients_v1")
    with psycopg.connect(databases.url("overlaps")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE clients_v1.t (x int)")
