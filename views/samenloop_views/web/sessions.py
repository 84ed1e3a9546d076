"""Sessions live in the database; the browser holds a random token and nothing else, the database only the token's hash."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import timedelta

from samenloop_views.database import Connection, ViewsDatabase

DDL = """
CREATE TABLE IF NOT EXISTS web.session(
    token_hash bytea PRIMARY KEY, user_key text NOT NULL, form_token text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(), seen_at timestamptz NOT NULL DEFAULT now());
"""


@dataclass(frozen=True, slots=True)
class Session:
    """`form_token` must come back in every form that changes something."""

    user_key: str
    form_token: str

    def accepts(self, form_token: str) -> bool:
        return hmac.compare_digest(self.form_token.encode(), form_token.encode())


class Sessions:
    """Ends a session that was idle for `idle`, and any session after `longest`."""

    def __init__(self, database: ViewsDatabase, idle: timedelta, longest: timedelta) -> None:
        self._database, self._idle, self._longest = database, idle, longest

    def prepare(self, connection: Connection) -> None:
        connection.execute(DDL)

    def open(self, user_key: str) -> str:
        """A new session and its token: always a fresh one, so that no token from before the log-in lives on."""
        token = secrets.token_urlsafe(32)
        with self._database.pool.connection() as connection:
            connection.execute("DELETE FROM web.session WHERE created_at < now() - %s", (self._longest,))
            connection.execute(
                "INSERT INTO web.session(token_hash, user_key, form_token) VALUES (%s, %s, %s)",
                (_hash(token), user_key, secrets.token_urlsafe(24)),
            )
        return token

    def find(self, token: str | None, *, used: bool = True) -> Session | None:
        """The session of a token while it lasts. `used` False: the page asked by itself, which keeps no session alive."""
        if not token:
            return None
        with self._database.pool.connection() as connection:
            row = connection.execute(
                "UPDATE web.session SET seen_at = CASE WHEN %s THEN now() ELSE seen_at END "
                "WHERE token_hash = %s AND seen_at > now() - %s::interval "
                "AND created_at > now() - %s::interval RETURNING user_key, form_token",
                (used, _hash(token), self._idle, self._longest),
            ).fetchone()
        return Session(str(row[0]), str(row[1])) if row else None

    def close(self, token: str | None) -> None:
        if token:
            with self._database.pool.connection() as connection:
                connection.execute("DELETE FROM web.session WHERE token_hash = %s", (_hash(token),))


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
