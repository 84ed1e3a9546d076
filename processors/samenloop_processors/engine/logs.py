"""What a worker writes to standard error: one clear line per happening, no floods, no values from the data."""

from __future__ import annotations

import logging
import os
import sys
import time
import traceback
from pathlib import Path

import psycopg

from samenloop_processors.engine.errors import EngineError

LIBRARIES = ("faust", "mode", "aiokafka", "kafka", "psycopg")
# The first two quote the error that the worker tells in its own words, the third is a choice of the deployment.
_NOT_SAID = (
    "Crashed reason=",
    "We experienced a crash",
    "Exchanging credentials in the clear",
    "error ignored terminating",
)
_PACKAGE = "samenloop_"


class Limiter(logging.Filter):
    """A broker outage makes libraries write hundreds of lines: one per kind and `seconds`, without tracebacks.

    A traceback of theirs may quote statement values, and the worker writes its own line anyway.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if any(text in str(record.msg) for text in _NOT_SAID):
            return False
        record.exc_info = record.exc_text = None
        key, now = (record.name, str(record.msg)[:60]), time.monotonic()
        if now - self._last.get(key, float("-inf")) < self._seconds:
            return False
        self._last[key] = now
        return True


def set_up_logging(level: int = logging.INFO) -> None:
    """Own modules at `level`, libraries from WARNING (their tracebacks and repeats dropped)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("samenloop_processors").setLevel(level)
    limiter = Limiter()
    for handler_of_root in logging.getLogger().handlers:
        handler_of_root.addFilter(lambda record: not record.name.startswith(LIBRARIES) or limiter.filter(record))
    for noisy in ("faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.ERROR)


def one_line(error: BaseException) -> str:
    """An error for people, without its message unless it is ours: another's message may hold personal data."""
    if isinstance(error, EngineError):
        return str(error)
    state = f" {error.sqlstate}" if isinstance(error, psycopg.Error) and error.sqlstate else ""
    constraint = error.diag.constraint_name if isinstance(error, psycopg.Error) else None
    frames = [f for f in traceback.extract_tb(error.__traceback__) if _PACKAGE in f.filename or "/tests/" in f.filename]
    frames = [
        f for f in frames if f"{os.sep}engine{os.sep}" not in f.filename
    ] or frames  # a stage's own line says more
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    return f"{type(error).__name__}{state}{f' on {constraint}' if constraint else ''}{place}"
