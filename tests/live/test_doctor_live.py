"""The doctor beside a real broker and a real database: what it finds in order, and the mistakes people make."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

import pytest
from pydantic import SecretStr
from wire import Wire

from samenloop_deploy.doctor import Finding, examine
from samenloop_deploy.local import Databases, LocalStack
from samenloop_processors import keys
from samenloop_processors.keys import KeyKind, KeyStore
from samenloop_schemas.topics import Topics

pytestmark = pytest.mark.live

KEK, OTHER = bytes(32), bytes(31) + b"1"
Told = Callable[..., dict[str, Finding]]


@pytest.fixture
def told(stack: LocalStack, databases: Databases, topics: Topics, monkeypatch: pytest.MonkeyPatch) -> Told:
    """`told("hub-intake", password="guess")`: what the doctor tells somebody with the settings of intake."""

    def look(
        principal: str = "hub-intake", *, password: str = "", kek: bytes = KEK, url: str = ""
    ) -> dict[str, Finding]:
        access = stack.kafka_access(principal)
        if password:
            access = access.model_copy(update={"password": SecretStr(password)})
        environment = access.environment() | {
            "SAMENLOOP_TOPIC_PREFIX": topics.prefix,
            "DATABASE_URL": url or databases.url("intake"),
            "SAMENLOOP_KEYS_URL": databases.keys_url("intake"),
            "SAMENLOOP_KEK": b64encode(kek).decode(),
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return {finding.check: finding for finding in examine()}

    return look


def test_everything_in_order(told: Told, wire: Wire, topics: Topics) -> None:
    found = told("admin")
    assert found["agreements"].verdict == "failed"
    assert "agreement publish" in found["agreements"].todo
    wire.produce(topics.decisions, b"a2", b"x")
    found = told("admin")
    assert [finding for finding in found.values() if finding.verdict != "ok"] == []
    assert "4 partitions each" in found["topics"].found


def test_a_wrong_password_at_the_broker_is_told_apart_and_at_once(told: Told) -> None:
    found = told(password="guess")
    assert found["broker"].verdict == "ok"
    assert found["broker log-in"].verdict == "failed"
    assert "hub-intake" in found["broker log-in"].found
    assert "SAMENLOOP_KAFKA_PASSWORD" in found["broker log-in"].todo
    assert {found[name].verdict for name in ("topics", "agreements")} == {"skipped"}


def test_a_user_with_few_rights_is_told_what_he_cannot_see(told: Told) -> None:
    found = told("smwo")
    assert found["broker log-in"].verdict == "ok"
    assert found["topics"].verdict == "warning"
    assert found["agreements"].verdict == "skipped"


def test_a_wrong_password_at_the_database(told: Told, databases: Databases) -> None:
    found = told(url=databases.url("intake").replace(databases.logins["intake"].password, "guess"))
    assert found["database"].verdict == "failed"
    assert "password" in found["database"].found
    assert found["keys database"].verdict == "ok"


def test_a_key_under_which_the_stored_keys_do_not_open(told: Told, databases: Databases) -> None:
    assert told(kek=OTHER)["key-encryption key"].verdict == "ok"
    keys.prepare(databases.admin_keys_url())
    store = KeyStore(databases.keys_url("intake"), KEK, may_create=True)
    store.create_many(KeyKind.CASE, [b"case"])
    store.close()
    assert told()["key-encryption key"].found == "opens the keys in the keys database"
    wrong = told(kek=OTHER)["key-encryption key"]
    assert wrong.verdict == "failed"
    assert "SAMENLOOP_KEK" in wrong.todo
