"""The stack's directory: short, fresh, marked with its owner, so that the next start can clear what a crash left."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import SystemRandom

import psutil

from samenloop_deploy.local.java import LocalStackError

_PREFIX = "samenloop-"
_OWNER = "owner.json"
_GRACE = 20.0
# Below the ports that systems hand out for outgoing connections: a client that keeps trying a stopped broker's port
# could otherwise be given that very port, connect to itself, and keep the broker from coming back.
_PORTS = range(20_000, 32_000)


def fresh_directory() -> Path:
    """A directory of our own for one run. Its path is short, since a Unix socket's may have some 100 characters."""
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    # Others may pass through it to the database's socket, and see nothing.
    directory.chmod(0o711)
    claim(directory)
    return directory


def claim(directory: Path) -> None:
    """Say that this process works here. Raises `LocalStackError` if another one that is alive does."""
    directory.mkdir(parents=True, exist_ok=True)
    if (owner := _owner(directory)) and owner.pid != os.getpid():
        raise LocalStackError(f"{directory} is in use by process {owner.pid}")
    me = psutil.Process()
    (directory / _OWNER).write_text(json.dumps({"pid": me.pid, "started": me.create_time()}), encoding="utf-8")


def release(directory: Path) -> None:
    (directory / _OWNER).unlink(missing_ok=True)


def clear_leftovers() -> list[Path]:
    """Stop the servers and remove the directories of runs whose owner is gone; returns those directories."""
    cleared = []
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            ours = directory.stat().st_uid == os.getuid() and (directory / _OWNER).is_file()
            if ours and _owner(directory) is None:
                stop_servers(directory)
                shutil.rmtree(directory, ignore_errors=True)
                cleared.append(directory)
        except FileNotFoundError:
            # Its reaper, or another start, is clearing the same directory.
            continue
    return cleared


def stop_servers(directory: Path) -> None:
    """End the processes that were started on this directory: it is named in their command line."""
    found = list(_servers(directory))
    for process in found:
        _signal(process, "terminate")
    _, stubborn = psutil.wait_procs(found, timeout=_GRACE)
    for process in stubborn:
        _signal(process, "kill")
    psutil.wait_procs(stubborn, timeout=_GRACE)


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    for port in SystemRandom().sample(_PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise LocalStackError(f"no free port on loopback between {_PORTS.start} and {_PORTS.stop}")


def _owner(directory: Path) -> psutil.Process | None:
    """The living process that claimed the directory, if any: same id and same birth."""
    try:
        claimed = json.loads((directory / _OWNER).read_text(encoding="utf-8"))
        process = psutil.Process(claimed["pid"])
        alive = process.create_time() == claimed["started"] and process.status() != psutil.STATUS_ZOMBIE
    except (FileNotFoundError, json.JSONDecodeError, KeyError, psutil.Error):
        return None
    return process if alive else None


def _servers(directory: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter(["cmdline"]):
        for argument in process.info["cmdline"] or ():
            if argument == str(directory) or argument.startswith(f"{directory}/"):
                yield process
                break


def _signal(process: psutil.Process, how: str) -> None:
    with suppress(psutil.NoSuchProcess):
        getattr(process, how)()
