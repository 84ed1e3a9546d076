"""What a connector has to remember itself, beside its cases: in the edge's own file, encrypted, on disk when a call returns.

Made by the runner and handed to a connector that has a method ``attach(notebook)``. Any thread may use it. A *note* stands
under a kind and a name until it is written over; the *tray* of a kind holds what came in and has still to be looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from samenloop_connectors.sdk.errors import ConfigurationError
from samenloop_producers.keys import EdgeKeys
from samenloop_producers.outbox import EdgeStore
from samenloop_schemas import ids, sealing

_DDL = (
    "CREATE TABLE IF NOT EXISTS note (ref TEXT PRIMARY KEY, kind TEXT NOT NULL, body BLOB NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS note_kind ON note (kind)",
    "CREATE TABLE IF NOT EXISTS tray (seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body BLOB NOT NULL)",
)

Note = Mapping[str, Any]
"""Whatever JSON can hold."""


class Notebook:
    """Names and bodies lie encrypted under the edge secret; kinds are in clear. Raises ConfigurationError when the file was
    made under another edge secret."""

    def __init__(self, store: EdgeStore, keys: EdgeKeys) -> None:
        self._store = store
        self._keys = keys
        with store.transaction() as db:
            for statement in _DDL:
                db.execute(statement)

    def digest(self, *parts: str) -> str:
        """A keyed hash, the same as long as the edge secret is."""
        return self._keys.digest("notebook", *parts)

    def note(self, kind: str, name: str) -> Note | None:
        ref = self._ref(kind, name)
        row = self._store.connection.execute("SELECT body FROM note WHERE ref = ?", (ref,)).fetchone()
        return self._open(f"note {ref}", row[0])["note"] if row else None

    def notes(self, kind: str) -> dict[str, Note]:
        """All notes of a kind by name."""
        rows = self._store.connection.execute("SELECT ref, body FROM note WHERE kind = ?", (kind,))
        found = [self._open(f"note {ref}", body) for ref, body in rows]
        return {each["name"]: each["note"] for each in found}

    def write(self, kind: str, notes: Mapping[str, Note | None], clear: Iterable[int] = ()) -> None:
        """Write notes (None forgets one) and clear what was looked at from the tray, all or nothing."""
        with self._store.transaction() as db:
            for name, body in notes.items():
                ref = self._ref(kind, name)
                if body is None:
                    db.execute("DELETE FROM note WHERE ref = ?", (ref,))
                else:
                    locked = self._keys.lock(f"note {ref}", ids.canonical_json({"name": name, "note": dict(body)}))
                    db.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (ref, kind, locked))
            db.executemany("DELETE FROM tray WHERE seq = ?", [(seq,) for seq in clear])

    def lay(self, kind: str, body: Note) -> None:
        """Put something into the tray; it survives a power cut once this returns."""
        locked = self._keys.lock(f"tray {kind}", ids.canonical_json(dict(body)))
        with self._store.transaction() as db:
            db.execute("INSERT INTO tray (kind, body) VALUES (?, ?)", (kind, locked))

    def tray(self, kind: str, limit: int = 10_000) -> list[tuple[int, Note]]:
        """What lies in the tray, oldest first, with the numbers by which `write` clears it."""
        rows = self._store.connection.execute(
            "SELECT seq, body FROM tray WHERE kind = ? ORDER BY seq LIMIT ?", (kind, limit)
        )
        return [(seq, self._open(f"tray {kind}", body)) for seq, body in rows]

    def _ref(self, kind: str, name: str) -> str:
        return self._keys.digest("note", kind, name)

    def _open(self, place: str, body: bytes) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._keys.unlock(place, body))
        except sealing.NotOpened:
            raise ConfigurationError(
                f"{self._store.path} was made under another edge secret (SAMENLOOP_EDGE_SECRET), or is damaged"
            ) from None
        return found
