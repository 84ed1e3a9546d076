"""The two databases of a hub, `samenloop` and `keys`, with one role per process: who may connect, make and read what.

The table grants in `keys` are the access rule of the key store (`grant_keys`): `clients` opens identities, `overlaps`
opens facts, intake makes keys for both.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import quote

import psycopg
from psycopg import sql

ROLES = ("intake", "clients", "overlaps", "views", "web", "notifier", "operator")
KEY_OWNER = "intake"
KEY_READERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "person_key": ("clients", "views", "web"),
        "case_key": ("overlaps", "views", "web", "notifier"),
    }
)
# What a process makes in `samenloop` is its own; these may read along: the web shows the views, the operator looks.
_READERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "intake": ("operator",),
        "clients": ("operator",),
        "overlaps": ("operator",),
        "views": ("web", "notifier", "operator"),
        "web": ("notifier", "operator"),
        "notifier": ("operator",),
    }
)


@dataclass(frozen=True, slots=True)
class Login:
    """A role as the server knows it; on a shared server its name carries a suffix."""

    name: str
    password: str


@dataclass(frozen=True, slots=True)
class Databases:
    """One pair of databases on a server, and the addresses under which each role reaches them."""

    server: str
    logins: Mapping[str, Login]
    samenloop: str
    keys: str

    def url(self, role: str) -> str:
        return self._url(role, self.samenloop)

    def keys_url(self, role: str) -> str:
        return self._url(role, self.keys)

    def admin_url(self) -> str:
        """The `samenloop` database as the server's administrator: for tests that look behind the roles."""
        return on_database(self.server, self.samenloop)

    def admin_keys_url(self) -> str:
        return on_database(self.server, self.keys)

    def create(self) -> None:
        """Make both databases, or see to the rights of those that are there."""
        roles = {role: sql.Identifier(login.name) for role, login in self.logins.items()}
        with psycopg.connect(self.server, autocommit=True) as connection:
            for name in (self.samenloop, self.keys):
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
                connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(name)))
            connection.execute(
                sql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(
                    sql.Identifier(self.samenloop), sql.SQL(", ").join(roles.values())
                )
            )
            readers = {KEY_OWNER, *(reader for readers in KEY_READERS.values() for reader in readers)}
            connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                    sql.Identifier(self.keys), sql.SQL(", ").join(roles[role] for role in sorted(readers))
                )
            )
        with psycopg.connect(self.admin_url(), autocommit=True) as connection:
            for owner, reading in _READERS.items():
                for right, kind in (("USAGE", "SCHEMAS"), ("SELECT", "TABLES")):
                    connection.execute(
                        sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT {} ON {} TO {}").format(
                            roles[owner],
                            sql.SQL(right),
                            sql.SQL(kind),
                            sql.SQL(", ").join(roles[reader] for reader in reading),
                        )
                    )
        with psycopg.connect(self.admin_keys_url(), autocommit=True) as connection:
            connection.execute(sql.SQL("GRANT CREATE, USAGE ON SCHEMA public TO {}").format(roles[KEY_OWNER]))

    def grant_keys(self) -> None:
        """Let each process read the kind of keys that it may use. Call it once the key store has made its tables."""
        grant_keys(self.keys_url(KEY_OWNER), {role: login.name for role, login in self.logins.items()})

    def drop(self) -> None:
        """Remove both databases, whoever is still connected."""
        with psycopg.connect(self.server, autocommit=True) as connection:
            for name in (self.samenloop, self.keys):
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _url(self, role: str, database: str) -> str:
        login = self.logins[role]
        return on_database(as_user(self.server, login.name, login.password), database)


def create_roles(server: str, logins: Mapping[str, Login]) -> None:
    """Make the roles, or give those that are there the password of this run."""
    with psycopg.connect(server, autocommit=True) as connection:
        for login in logins.values():
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [login.name]).fetchone()
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    sql.SQL("ALTER" if known else "CREATE"), sql.Identifier(login.name), sql.Literal(login.password)
                )
            )


def drop_roles(server: str, logins: Mapping[str, Login]) -> None:
    """Remove roles whose databases are gone."""
    with psycopg.connect(server, autocommit=True) as connection:
        for login in logins.values():
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(login.name)))


def grant_keys(url: str, role_names: Mapping[str, str] | None = None) -> None:
    """Grant SELECT per table of keys, connected as their owner. ``role_names`` maps our roles to the server's names."""
    with psycopg.connect(url) as connection:
        for table, readers in KEY_READERS.items():
            names = [sql.Identifier((role_names or {}).get(reader, reader)) for reader in readers]
            connection.execute(
                sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(table), sql.SQL(", ").join(names))
            )


def new_logins(suffix: str = "", passwords: Callable[[], str] = lambda: secrets.token_urlsafe(18)) -> dict[str, Login]:
    return {role: Login(role + suffix, passwords()) for role in ROLES}


def on_database(url: str, database: str) -> str:
    """The same server and user, another database."""
    return re.sub(r"^(\w+://[^/?]*)/?[^?]*", lambda found: f"{found[1]}/{quote(database, safe='')}", url, count=1)


def as_user(url: str, user: str, password: str) -> str:
    """The same server and database, another user."""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return re.sub(r"^(\w+://)(?:[^/?@]*@)?", lambda found: found[1] + login, url, count=1)
