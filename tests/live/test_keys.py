"""The keys database on a real server: one key per subject, gone when destroyed, and each role sees its own table only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest

from samenloop_deploy.local import Databases
from samenloop_processors import keys
from samenloop_processors.keys import DESTROYED, DataKey, KeyKind, KeyMissing, KeyStore
from samenloop_schemas import sealing

pytestmark = pytest.mark.live
KEK = bytes(range(32))
Open = Callable[..., KeyStore]


@pytest.fixture
def open_store(databases: Databases) -> Iterator[Open]:
    keys.prepare(databases.admin_keys_url())
    keys.grant(databases.admin_keys_url(), {login.name: role for role, login in databases.logins.items()})
    stores: list[KeyStore] = []

    def make(role: str, **options: object) -> KeyStore:
        stores.append(KeyStore(databases.keys_url(role), KEK, **options))  # type: ignore[arg-type]
        return stores[-1]

    yield make
    for store in stores:
        store.close()


def live(key: object) -> DataKey:
    assert isinstance(key, DataKey)
    return key


def test_a_subject_keeps_its_key_and_another_process_opens_it(open_store: Open) -> None:
    intake, again = open_store("intake", may_create=True), open_store("intake", may_create=True)
    made = intake.create_many(KeyKind.PERSON, [b"a", b"b", b"a"])
    assert set(made) == {b"a", b"b"}
    read = again.create_many(KeyKind.PERSON, [b"b", b"c"])
    a, b = live(made[b"a"]), live(made[b"b"])
    assert live(read[b"b"]) == b
    assert a.key != b.key
    assert a.secret != a.key
    assert a.derive_id("person") == a.derive_id("person") != b.derive_id("person")
    elsewhere = live(open_store("clients").get(KeyKind.PERSON, a.key_id))
    assert elsewhere.decrypt(a.encrypt(b"hello", b"here"), b"here") == b"hello"
    with pytest.raises(sealing.NotOpened):
        elsewhere.decrypt(a.encrypt(b"hello", b"here"), b"there")


def test_two_processes_that_create_at_once_get_the_same_keys(open_store: Open) -> None:
    subjects = [f"{n}".encode() for n in range(300)]
    stores = [open_store("intake", may_create=True) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(
            pool.map(
                lambda p: p[1].create_many(KeyKind.CASE, subjects[:: p[0]]), zip((1, -1, 1, -1), stores, strict=True)
            )
        )
    assert all(result == results[0] for result in results)


def test_a_destroyed_key_is_gone_for_all_and_its_subject_gets_no_other(open_store: Open) -> None:
    intake, clients = open_store("intake", may_create=True), open_store("clients", cache_seconds=0.0)
    key = live(intake.create_many(KeyKind.PERSON, [b"a"])[b"a"])
    assert clients.get(KeyKind.PERSON, key.key_id) == key
    operator = open_store("operator")
    assert operator.destroy(KeyKind.PERSON, key.key_id, "erasure_request")
    assert not operator.destroy(KeyKind.PERSON, key.key_id, "erasure_request")
    assert clients.get(KeyKind.PERSON, key.key_id) is DESTROYED
    intake.forget(KeyKind.PERSON, key.key_id)
    assert intake.create_many(KeyKind.PERSON, [b"a"]) == {b"a": DESTROYED}
    assert intake.get(KeyKind.PERSON, key.key_id) is DESTROYED


def test_a_missing_key_is_an_alarm_not_an_answer(open_store: Open) -> None:
    intake = open_store("intake", may_create=True)
    key = live(intake.create_many(KeyKind.CASE, [b"a"])[b"a"])
    unknown = uuid4()
    with pytest.raises(KeyMissing) as caught:
        intake.get_many(KeyKind.CASE, [key.key_id, unknown])
    assert caught.value.key_ids == (unknown,)
    with pytest.raises(KeyMissing):
        intake.get(KeyKind.PERSON, key.key_id)


def test_another_key_encryption_key_opens_nothing(open_store: Open, databases: Databases) -> None:
    key = live(open_store("intake", may_create=True).create_many(KeyKind.CASE, [b"a"])[b"a"])
    store = KeyStore(databases.keys_url("overlaps"), bytes(32))
    with pytest.raises(sealing.NotOpened):
        store.get(KeyKind.CASE, key.key_id)
    store.close()


def test_each_role_reads_its_own_table_and_only_intake_adds(open_store: Open, databases: Databases) -> None:
    intake = open_store("intake", may_create=True)
    ids = {kind: live(intake.create_many(kind, [b"a"])[b"a"]).key_id for kind in KeyKind}
    for process, access in keys.ACCESS.items():
        store = open_store(process)
        for kind in KeyKind:
            if kind in access.read:
                assert store.get(kind, ids[kind]).key_id == ids[kind]  # type: ignore[union-attr]
            else:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    store.get(kind, ids[kind])
            if not access.destroy:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    store.destroy(kind, ids[kind], "no_right")
        with psycopg.connect(databases.keys_url(process), autocommit=True) as connection:
            if not access.create:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute("SELECT subject FROM case_key")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM person_key")
    assert open_store("intake", may_create=True).create_many(KeyKind.CASE, [b"a"])[b"a"] is not DESTROYED
    with pytest.raises(PermissionError):
        open_store("clients").create_many(KeyKind.PERSON, [b"b"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        open_store("clients", may_create=True).create_many(KeyKind.PERSON, [b"b"])


def test_a_lost_connection_is_made_anew(open_store: Open, databases: Databases) -> None:
    intake = open_store("intake", may_create=True, cache_seconds=0.0)
    key = live(intake.create_many(KeyKind.CASE, [b"a"])[b"a"])
    with psycopg.connect(databases.admin_keys_url(), autocommit=True) as admin:
        ended = admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'samenloop-keys'"
        ).fetchall()
    assert ended == [(True,)]
    assert intake.get(KeyKind.CASE, key.key_id) == key


def test_the_cache_is_bounded(open_store: Open) -> None:
    intake = open_store("intake", may_create=True, cache_size=10)
    made = intake.create_many(KeyKind.CASE, [f"{n}".encode() for n in range(40)])
    assert len(intake._by_id[KeyKind.CASE]._entries) == 10
    assert intake.get_many(KeyKind.CASE, [live(k).key_id for k in made.values()])
