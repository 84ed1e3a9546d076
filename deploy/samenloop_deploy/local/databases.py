"""The two databases of a hub, `samenloop` and `keys`, with one role per process: who may connect, make and read what.

In `keys` the tables stand ready and belong to the administrator; who may use which is the key store's own rule
(`samenloop_processors.keys.ACCESS`).
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

from samenloop_processors import keys

ROLES = ("intake", "clients", "overlaps", "views", "web", "notifier", "operator")
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
            connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                    sql.Identifier(self.keys), sql.SQL(", ").join(roles[role] for role in keys.ACCESS)
                )
            )
        with psycopg.connect(self.admin_url(), autocommit=True) as connection:
            for owner, readers in _READERS.items():
                for right, kind in (("USAGE", "SCHEMAS"), ("SELECT", "TABLES")):
                    connection.execute(
                        sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {} GRANT {} ON {} TO {}").format(
                            roles[owner],
                            sql.SQL(right),
                            sql.SQL(kind),
                            sql.SQL(", ").join(roles[reader] for reader in readers),
                        )
                    )
        with psycopg.connect(self.admin_keys_url(), autocommit=True) as connection:
            # For intake's own `keys.prepare`, which finds the tables there.
            connection.execute(sql.SQL("GRANT CREATE ON SCHEMA public TO {}").format(roles["intake"]))
        keys.prepare(self.admin_keys_url())
        self.grant_keys()

    def grant_keys(self) -> None:
        """Give each role its access to the tables of keys, and take away any other. `create` has done so already."""
        keys.grant(self.admin_keys_url(), {self.logins[role].name: role for role in keys.ACCESS})

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


def new_logins(suffix: str = "", passwords: Callable[[], str] = lambda: secrets.token_urlsafe(18)) -> dict[str, Login]:
    return {role: Login(role + suffix, passwords()) for role in ROLES}


def on_database(url: str, database: str) -> str:
    """The same server and user, another database."""
    return re.sub(r"^(\w+://[^/?]*)/?[^?]*", lambda found: f"{found[1]}/{quote(database, safe='')}", url, count=1)


def as_user(url: str, user: str, password: str) -> str:
    """The same server and database, another user."""
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@"
    return re.sub(r"^(\w+://)(?:[^/?@]*@)?", lambda found: found[1] + login, url, count=1)
