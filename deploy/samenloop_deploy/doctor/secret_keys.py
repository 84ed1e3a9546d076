"""Keys and secrets: who may use which data key, and whether what this process was given can be a key at all."""

from __future__ import annotations

import os
from collections.abc import Mapping

from samenloop_deploy.doctor.checks import Check
from samenloop_deploy.doctor.databases import role_names
from samenloop_deploy.doctor.finding import CannotTell, Said, fine, some, wrong
from samenloop_deploy.doctor.scene import Scene


def key_rights(scene: Scene) -> Said:
    """Who may read, make and destroy which keys is the access rule of personal data: too much is as wrong as too little."""
    connection = scene.keys_database
    from samenloop_processors.keys import ACCESS, KeyKind

    names = role_names(scene, connection)
    tables = {KeyKind.CASE: "case_key", KeyKind.PERSON: "person_key"}
    if connection.execute("SELECT to_regclass('case_key'), to_regclass('person_key')").fetchone() in [(None, None)]:
        return wrong("the tables of keys are not there", "start intake once: it makes them; then grant the rights")
    little, much = [], []
    known = {
        r for (r,) in connection.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", ([*names.values()],))
    }
    for process, role in names.items():
        if role not in known or process not in ACCESS:
            continue
        access = ACCESS[process]
        for kind, table in tables.items():
            for verb, column, right in (
                ("read", "wrapped", kind in access.read),
                ("make", "wrapped", access.create and kind in access.read),
                ("destroy", "wrapped", access.destroy and kind in access.read),
                ("see the subjects of", "subject", access.create and kind in access.read),
            ):
                sql_right = {"make": "INSERT", "destroy": "UPDATE"}.get(verb, "SELECT")
                row = connection.execute(
                    "SELECT has_column_privilege(%s, %s, %s, %s)", (role, table, column, sql_right)
                ).fetchone()
                has = bool(row and row[0])
                if right and not has:
                    little.append(f"{role} may not {verb} {kind} keys")
                elif has and not right:
                    much.append(f"{role} may {verb} {kind} keys")
    if much:
        return wrong(f"too much: {some(much)}", "revoke it at once, and find out since when: it opens personal data")
    if little:
        return wrong(some(little), "as owner of the keys database: grant what docs/operations.md lists under Keys")
    return fine("each process reads the keys that it needs, and no others")


def key_encryption_key(scene: Scene) -> Said:
    """Its form, and whether it opens the keys that are stored already."""
    from samenloop_schemas import sealing

    try:
        kek = sealing.key_from_text(scene.given("SAMENLOOP_KEK"))
    except ValueError as error:
        return wrong(str(error), "set SAMENLOOP_KEK to the base64 of 32 random bytes")
    try:
        connection = scene.keys_database
    except CannotTell:
        return fine("has the right form")
    import psycopg

    from samenloop_processors.keys import KeyKind, KeyStore

    opened = 0
    store = KeyStore(scene.given("SAMENLOOP_KEYS_URL"), kek)
    try:
        for kind, query in (
            (KeyKind.CASE, "SELECT key_id FROM case_key WHERE wrapped IS NOT NULL LIMIT 1"),
            (KeyKind.PERSON, "SELECT key_id FROM person_key WHERE wrapped IS NOT NULL LIMIT 1"),
        ):
            try:
                some_key = [key_id for (key_id,) in connection.execute(query).fetchall()]
                opened += len(store.get_many(kind, some_key))
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedTable):
                continue
            except sealing.NotOpened:
                todo = "set SAMENLOOP_KEK to the key under which this store was made: without it nothing can be read"
                return wrong("does not open the keys in the keys database", todo)
    finally:
        store.close()
    return fine("opens the keys in the keys database" if opened else "has the right form")


def matching_key(scene: Scene) -> Said:
    """Intake's: under it a BSN becomes a token. Another key would make every known person a stranger."""
    return _form(scene, "SAMENLOOP_MATCHING_KEY", "the matching key of this hub, kept where its backups are kept")


def hub_key(scene: Scene) -> Said:
    """Intake's: what partners seal opens with it. Beside a public key it must be the half that belongs to it."""
    from samenloop_schemas import sealing

    said = _form(
        scene, "SAMENLOOP_HUB_PRIVATE_KEY", "the hub's private key, of which the partners hold the public half"
    )
    public = os.environ.get("SAMENLOOP_HUB_PUBLIC_KEY")
    if said.verdict != "ok" or not public:
        return said
    key = sealing.private_key(sealing.key_from_text(scene.given("SAMENLOOP_HUB_PRIVATE_KEY")))
    if sealing.key_to_text(key.public_key().public_bytes_raw()) != public:
        return wrong(
            "SAMENLOOP_HUB_PUBLIC_KEY is not the half that belongs to it",
            "give partners the public half of this key: what is sealed for another cannot be opened",
        )
    return fine("fits the public key")


def _form(scene: Scene, variable: str, what: str) -> Said:
    from samenloop_schemas import sealing

    try:
        sealing.key_from_text(scene.given(variable))
    except ValueError as error:
        return wrong(str(error), f"set {variable} to {what}: the base64 of 32 bytes")
    return fine("has the right form")


CHECKS: Mapping[str, Check] = {
    "rights on keys": key_rights,
    "key-encryption key": key_encryption_key,
    "matching key": matching_key,
    "hub key": hub_key,
}
