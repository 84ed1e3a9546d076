"""What can be said of keys without a database: who may open what, what a key shows of itself, how long a cache remembers."""

from __future__ import annotations

from uuid import uuid4

import pytest

from samenloop_processors.keys import ACCESS, DataKey, KeyKind, KeyStore, _Lru
from samenloop_schemas import sealing


def test_no_stage_opens_both_facts_and_identities_but_those_that_show_them() -> None:
    both = {process for process, access in ACCESS.items() if set(access.read) == set(KeyKind)}
    assert both == {"intake", "views", "web", "operator"}
    assert {process for process, access in ACCESS.items() if access.create} == {"intake"}
    assert {process for process, access in ACCESS.items() if access.destroy} == {"operator"}


def test_a_key_never_shows_itself() -> None:
    key = DataKey(uuid4(), sealing.new_key(), sealing.new_key())
    for text in (repr(key), str(key), f"{key}"):
        assert repr(key.key) not in text
        assert repr(key.secret) not in text


def test_a_store_that_may_not_create_says_so_before_it_asks_anybody() -> None:
    with pytest.raises(PermissionError):
        KeyStore("host=nowhere", bytes(32)).create_many(KeyKind.CASE, [b"a"])
    with pytest.raises(ValueError, match="32 bytes"):
        KeyStore("host=nowhere", b"short")


def test_the_cache_drops_the_least_recently_used_and_the_old() -> None:
    lru: _Lru[str, int] = _Lru(2, max_age=1000.0)
    lru.put("a", 1)
    lru.put("b", 2)
    assert lru.get("a") == 1
    lru.put("c", 3)
    assert (lru.get("a"), lru.get("b"), lru.get("c")) == (1, None, 3)
    lru.drop(lambda value: value == 1)
    assert lru.get("a") is None
    old: _Lru[str, int] = _Lru(2, max_age=-1.0)
    old.put("a", 1)
    assert old.get("a") is None
