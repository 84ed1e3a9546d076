"""Data keys of cases and persons, in a database of their own: to destroy a key is to erase what lies under it, in every log.

Each row holds a data key and a secret for ids, wrapped together by the key-encryption key (KEK). A destroyed key leaves its
row behind: the subject stays recognised and gets no new key, so that a replayed or restated record does not undo an erasure.
A key that is *missing* is an alarm (`KeyMissing`): the database was restored to too old a state, or is another one.

The `keys` database has short backups of its own: a restore must not bring back what was destroyed.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, Generic, LiteralString, TypeVar
from uuid import UUID, uuid4

import psycopg
from psycopg import sql

from samenloop_schemas import sealing
from samenloop_schemas.ids import is_code, keyed_hash

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class KeyKind(StrEnum):
    """Which table: retention runs per case, erasure per person."""

    CASE = "case"
    PERSON = "person"


class Destroyed(Enum):
    DESTROYED = "destroyed"


DESTROYED: Final = Destroyed.DESTROYED
"""Stands in for a key that was destroyed: what lies under it counts as never stated."""


class KeyMissing(LookupError):
    """A record names a key that this database has never held. Not a reason to go on: stop and find out."""

    def __init__(self, kind: KeyKind, key_ids: Sequence[UUID]) -> None:
        super().__init__(f"{len(key_ids)} {kind} key(s) are missing from the keys database, such as {key_ids[0]}")
        self.kind = kind
        self.key_ids = tuple(key_ids)


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """The key of one case or one person, and the secret from which ids are derived that die with it."""

    key_id: UUID
    key: bytes
    secret: bytes

    def encrypt(self, plaintext: bytes, aad: bytes) -> bytes:
        return sealing.encrypt(self.key, plaintext, aad)

    def decrypt(self, ciphertext: bytes, aad: bytes) -> bytes:
        """Raises `sealing.NotOpened`."""
        return sealing.decrypt(self.key, ciphertext, aad)

    def derive_id(self, label: str) -> str:
        """A pseudonymous id, such as of an involvement: 128 bits in hexadecimal."""
        return keyed_hash(self.secret, label)

    def __repr__(self) -> str:
        return f"DataKey({self.key_id})"


class _Lru(Generic[K, V]):
    """The most recently used entries, each for at most `max_age` seconds, so that a destruction elsewhere arrives here too."""

    def __init__(self, size: int, max_age: float) -> None:
        self._entries: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._size, self._max_age = size, max_age

    def get(self, key: K) -> V | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if time.monotonic() - entry[0] > self._max_age:
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: K, value: V) -> None:
        self._entries[key] = (time.monotonic(), value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def drop(self, where: Callable[[V], bool]) -> None:
        for key in [key for key, (_, value) in self._entries.items() if where(value)]:
            del self._entries[key]


_TABLES: Final[Mapping[KeyKind, LiteralString]] = {KeyKind.CASE: "case_key", KeyKind.PERSON: "person_key"}
_RECONNECT_FOR_S = 5.0
"""Longer outages are for the caller to wait out: a stage must not sit in an open transaction."""


class KeyStore:
    """One process's way to the keys: a connection of its own, autocommit, and a bounded cache. Safe to share by threads.

    Raises `psycopg.OperationalError` when the database stays away for more than about five seconds: a transient fault.
    """

    def __init__(
        self, url: str, kek: bytes, may_create: bool = False, cache_size: int = 50_000, cache_seconds: float = 300.0
    ) -> None:
        if len(kek) != sealing.KEY_BYTES:
            raise ValueError("the key-encryption key is 32 bytes")
        self._url, self._kek, self._may_create = url, kek, may_create
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.RLock()
        self._by_id: dict[KeyKind, _Lru[UUID, DataKey]] = {k: _Lru(cache_size, cache_seconds) for k in KeyKind}
        self._by_subject: dict[KeyKind, _Lru[bytes, DataKey]] = {k: _Lru(cache_size, cache_seconds) for k in KeyKind}

    def create_many(self, kind: KeyKind, subjects: Iterable[bytes]) -> dict[bytes, DataKey | Destroyed]:
        """The key of each subject, made when there is none. Committed on return: an orphan key does no harm.

        Two processes that create the same subject's key at once get the same key. Raises PermissionError in a store that
        may not create.
        """
        if not self._may_create:
            raise PermissionError("this process may not create keys")
        with self._lock:
            found: dict[bytes, DataKey | Destroyed] = {}
            absent: list[bytes] = []
            for subject in dict.fromkeys(subjects):
                key = self._by_subject[kind].get(subject)
                if key is None:
                    absent.append(subject)
                else:
                    found[subject] = key
            if absent:
                found |= self._read_subjects(kind, absent)
                if new := sorted(subject for subject in absent if subject not in found):
                    found |= self._insert(kind, new)
                if outrun := [subject for subject in new if subject not in found]:
                    found |= self._read_subjects(kind, outrun)
            return found

    def get_many(self, kind: KeyKind, key_ids: Iterable[UUID]) -> dict[UUID, DataKey | Destroyed]:
        """The keys of these ids, or `DESTROYED`. Raises `KeyMissing` naming every id that was never there."""
        with self._lock:
            found: dict[UUID, DataKey | Destroyed] = {}
            absent: list[UUID] = []
            for key_id in dict.fromkeys(key_ids):
                key = self._by_id[kind].get(key_id)
                if key is None:
                    absent.append(key_id)
                else:
                    found[key_id] = key
            if absent:
                query = sql.SQL("SELECT key_id, wrapped FROM {} WHERE key_id = ANY(%b)").format(_table(kind))
                rows = self._run(lambda c: c.execute(query, [absent], binary=True).fetchall())
                for key_id, wrapped in rows:
                    found[key_id] = self._unwrapped(kind, key_id, wrapped)
                missing = [key_id for key_id in absent if key_id not in found]
                if missing:
                    raise KeyMissing(kind, missing)
            return found

    def get(self, kind: KeyKind, key_id: UUID) -> DataKey | Destroyed:
        return self.get_many(kind, [key_id])[key_id]

    def destroy(self, kind: KeyKind, key_id: UUID, reason: str) -> bool:
        """Destroy a key for good; False when it already was. `reason` is a code. Raises `KeyMissing`.

        Other processes forget a cached key within their `cache_seconds`.
        """
        if not is_code(reason):
            raise ValueError("the reason is a code, not a text")
        query = sql.SQL(
            "UPDATE {} SET wrapped = NULL, destroyed_at = now(), reason = %s WHERE key_id = %s AND wrapped IS NOT NULL"
        ).format(_table(kind))
        with self._lock:
            gone = self._run(lambda c: c.execute(query, [reason, key_id]).rowcount) == 1
            self.forget(kind, key_id)
            self.get_many(kind, [key_id])
            return gone

    def forget(self, kind: KeyKind, key_id: UUID) -> None:
        """Drop a key from the cache, because it is known to have been destroyed elsewhere."""
        with self._lock:
            self._by_id[kind].drop(lambda key: key.key_id == key_id)
            self._by_subject[kind].drop(lambda key: key.key_id == key_id)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _read_subjects(self, kind: KeyKind, subjects: list[bytes]) -> dict[bytes, DataKey | Destroyed]:
        query = sql.SQL("SELECT subject, key_id, wrapped FROM {} WHERE subject = ANY(%b)").format(_table(kind))
        rows = self._run(lambda c: c.execute(query, [subjects], binary=True).fetchall())
        found: dict[bytes, DataKey | Destroyed] = {}
        for subject, key_id, wrapped in rows:
            found[subject] = key = self._unwrapped(kind, key_id, wrapped)
            if isinstance(key, DataKey):
                self._by_subject[kind].put(subject, key)
        return found

    def _insert(self, kind: KeyKind, subjects: list[bytes]) -> dict[bytes, DataKey | Destroyed]:
        """The keys that were made, without those that another process made first.

        In the order of the subjects, so that two processes cannot wait for each other in a circle.
        """
        made = [(subject, DataKey(uuid4(), sealing.new_key(), sealing.new_key())) for subject in subjects]
        ids = [key.key_id for _, key in made]
        wrapped = [sealing.encrypt(self._kek, key.key + key.secret, _place(kind, key.key_id)) for _, key in made]
        query = sql.SQL(
            "INSERT INTO {} (key_id, subject, wrapped) SELECT * FROM unnest(%b::uuid[], %b::bytea[], %b::bytea[])"
            " ON CONFLICT (subject) DO NOTHING RETURNING key_id"
        ).format(_table(kind))
        rows = self._run(lambda c: c.execute(query, [ids, subjects, wrapped], binary=True).fetchall())
        ours = {key_id for (key_id,) in rows}
        found: dict[bytes, DataKey | Destroyed] = {}
        for subject, key in made:
            if key.key_id in ours:
                found[subject] = key
                self._by_subject[kind].put(subject, key)
                self._by_id[kind].put(key.key_id, key)
        return found

    def _unwrapped(self, kind: KeyKind, key_id: UUID, wrapped: bytes | None) -> DataKey | Destroyed:
        if wrapped is None:
            return DESTROYED
        plain = sealing.decrypt(self._kek, wrapped, _place(kind, key_id))
        key = DataKey(key_id, plain[: sealing.KEY_BYTES], plain[sealing.KEY_BYTES :])
        self._by_id[kind].put(key_id, key)
        return key

    def _run(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Each of our statements is a transaction that may be repeated, so a lost connection is simply made anew."""
        deadline, pause = time.monotonic() + _RECONNECT_FOR_S, 0.05
        while True:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = psycopg.connect(
                        self._url,
                        autocommit=True,
                        connect_timeout=5,
                        application_name="samenloop-keys",
                        options="-c statement_timeout=10s",
                        tcp_user_timeout=10_000,
                    )
                return work(self._connection)
            except psycopg.errors.InsufficientPrivilege:
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if self._connection is not None:
                    self._connection.close()
                if time.monotonic() + pause > deadline:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 1.0)


def _table(kind: KeyKind) -> sql.Identifier:
    return sql.Identifier(_TABLES[kind])


def _place(kind: KeyKind, key_id: UUID) -> bytes:
    return f"{kind}|{key_id}".encode()


@dataclass(frozen=True, slots=True)
class KeyAccess:
    """What a process may do with keys. The database's own grants enforce it."""

    read: tuple[KeyKind, ...] = ()
    create: bool = False
    destroy: bool = False


_BOTH = (KeyKind.CASE, KeyKind.PERSON)
ACCESS: Final[Mapping[str, KeyAccess]] = {
    "intake": KeyAccess(_BOTH, create=True),
    "clients": KeyAccess((KeyKind.PERSON,)),
    "overlaps": KeyAccess((KeyKind.CASE,)),
    "views": KeyAccess(_BOTH),
    "web": KeyAccess(_BOTH),
    "notifier": KeyAccess((KeyKind.CASE,)),
    "operator": KeyAccess(_BOTH, destroy=True),
}
"""The access rule, by process."""


def prepare(url: str) -> None:
    """Create the tables in the keys database, as its owner. May be repeated."""
    with psycopg.connect(url, autocommit=True) as connection:
        for kind in KeyKind:
            connection.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {table} ("
                    " key_id uuid PRIMARY KEY,"
                    " subject bytea NOT NULL UNIQUE,"
                    " wrapped bytea,"
                    " created_at timestamptz NOT NULL DEFAULT now(),"
                    " destroyed_at timestamptz,"
                    " reason text,"
                    " CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)))"
                ).format(table=_table(kind))
            )


def grant(url: str, roles: Mapping[str, str]) -> None:
    """Give each database role the access of its process: `roles` maps a role to a name in `ACCESS`. May be repeated.

    What a role had before is taken away first. Readers see neither subjects nor each other's table.
    """
    with psycopg.connect(url) as connection:
        for role, process in sorted(roles.items()):
            access, who = ACCESS[process], sql.Identifier(role)
            for kind in KeyKind:
                names = {"table": _table(kind), "role": who}
                connection.execute(sql.SQL("REVOKE ALL ON {table} FROM {role}").format(**names))
                if kind not in access.read:
                    continue
                columns = "SELECT (key_id, wrapped, destroyed_at)"
                if access.create:
                    columns = "SELECT (key_id, subject, wrapped, destroyed_at), INSERT (key_id, subject, wrapped)"
                if access.destroy:
                    columns += ", UPDATE (wrapped, destroyed_at, reason)"
                connection.execute(sql.SQL("GRANT " + columns + " ON {table} TO {role}").format(**names))
