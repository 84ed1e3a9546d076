"""PostgreSQL: the server, the hub's two databases and a role per process."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from samenloop_deploy.doctor.checks import Check
from samenloop_deploy.doctor.finding import Said, away, fine, some, warn, wrong
from samenloop_deploy.doctor.scene import CONNECT_TIMEOUT_S, Scene

if TYPE_CHECKING:
    import psycopg

MAX_CLOCK_SKEW_SECONDS: Final = 60
OLDEST_POSTGRES: Final = 17
BUSY_SHARE: Final = 0.85
"""Of the server's connections in use, above which the next process may find none."""


def database(scene: Scene) -> Said:
    return _connects(scene, "DATABASE_URL")


def keys_database(scene: Scene) -> Said:
    return _connects(scene, "SAMENLOOP_KEYS_URL")


def _connects(scene: Scene, variable: str) -> Said:
    url = scene.given(variable)
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            version = connection.info.server_version // 10000
            name = connection.info.dbname
    except psycopg.Error as error:
        return _refusal(variable, error)
    if version < OLDEST_POSTGRES:
        return wrong(f"PostgreSQL {version}", f"use PostgreSQL {OLDEST_POSTGRES} or newer (transaction_timeout)")
    return fine(f"PostgreSQL {version}, database {name}")


def _refusal(variable: str, error: Exception) -> Said:
    """What the server says is all that libpq hands on: it has no code for a log-in that failed."""
    said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
    said = said.split("FATAL:")[-1].strip()
    if "does not exist" in said and said.startswith("database"):
        return wrong(said, f"make it, or correct {variable}: the hub has one database, and one of its own for keys")
    if "password authentication failed" in said or ("role" in said and "does not exist" in said):
        return wrong(said, f"check role and password in {variable}; roles are one per process")
    if "permission denied for database" in said:
        return wrong(said, f"GRANT CONNECT on it to this role, or correct {variable}")
    if "too many clients" in said or "remaining connection slots" in said:
        return away(said, "raise max_connections, or find out who holds so many (pg_stat_activity)")
    return away(said, f"check {variable}, the network and the server; stages wait for it and lose nothing")


def clock(scene: Scene) -> Said:
    row = scene.database.execute("SELECT clock_timestamp()").fetchone()
    assert row
    skew = (row[0] - datetime.now(UTC)).total_seconds()
    if abs(skew) > MAX_CLOCK_SKEW_SECONDS:
        return wrong(
            f"the database is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}",
            "run a time service (NTP) on both machines",
        )
    return fine(f"{abs(skew):.1f} s apart")


def connections(scene: Scene) -> Said:
    row = scene.database.execute(
        "SELECT count(*), current_setting('max_connections')::int FROM pg_stat_activity WHERE backend_type = 'client backend'"
    ).fetchone()
    assert row
    used, most = row
    if used > BUSY_SHARE * most:
        return warn(f"{used} of {most} in use", "raise max_connections, or find out who holds them (pg_stat_activity)")
    return fine(f"{used} of {most} in use")


def durability(scene: Scene) -> Said:
    """Settings with which a committed position or effect may be gone after a power cut."""
    off = [
        name
        for name in ("fsync", "full_page_writes", "synchronous_commit")
        if (row := scene.database.execute("SELECT current_setting(%s)", (name,)).fetchone()) and row[0] == "off"
    ]
    if off:
        return wrong(
            f"{', '.join(off)} is off: a power cut may lose what was confirmed", "turn it on in postgresql.conf"
        )
    return fine("commits reach the disk")


def roles(scene: Scene) -> Said:
    """One role per process, each able to log in."""
    wanted = role_names(scene, scene.database)
    found = dict(
        scene.database.execute(
            "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname = ANY(%s)", (list(wanted.values()),)
        ).fetchall()
    )
    if missing := [name for name in wanted.values() if not found.get(name)]:
        return wrong(
            f"no role that can log in: {some(missing, 8)}",
            "CREATE ROLE ... LOGIN PASSWORD ...; docs/operations.md lists what each may do",
        )
    row = scene.database.execute(
        "SELECT current_user, has_database_privilege(current_database(), 'CREATE'), "
        "(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)"
    ).fetchone()
    assert row
    if not row[1]:
        return wrong(f"{row[0]} may not make its schema in this database", f"GRANT CREATE ON DATABASE ... TO {row[0]}")
    return fine(f"{len(wanted)} roles; we are {row[0]}")


def role_names(scene: Scene, connection: psycopg.Connection[Any]) -> dict[str, str]:
    """By process. On a server that others share, all carry the suffix that ours carries."""
    from samenloop_deploy.local.databases import ROLES

    row = connection.execute("SELECT current_user").fetchone()
    assert row
    suffix = next((row[0].removeprefix(role) for role in ROLES if row[0].startswith(f"{role}_")), "")
    return {role: role + suffix for role in ROLES}


CHECKS: Mapping[str, Check] = {
    "database": database,
    "keys database": keys_database,
    "clock against the database": clock,
    "database connections": connections,
    "durability": durability,
    "roles": roles,
}
