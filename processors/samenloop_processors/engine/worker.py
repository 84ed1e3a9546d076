"""`run_stage`: starts one stage as a process, and gives its end a meaning.

Exit codes: 0 stopped on request; 1 something is wrong that no retry repairs; 2 wrong configuration; 3 start again (the
schema was replaced by a rebuild, or broker or database were not there at the start).
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import faust
import psycopg

from samenloop_processors.engine.api import Stage
from samenloop_processors.engine.errors import EngineError, Unreachable, is_transient
from samenloop_processors.engine.logs import one_line, set_up_logging
from samenloop_processors.engine.positions import LogInspector, Logs, check_logs
from samenloop_processors.engine.runtime import PATIENCE_S, StageRuntime
from samenloop_processors.engine.schema import connect, ensure_live
from samenloop_processors.metrics import HubMetrics, MetricsServer
from samenloop_processors.settings import HubSettings
from samenloop_schemas.kafka_access import KafkaAccess

T = TypeVar("T")
log = logging.getLogger(__name__)

FAILED = 1


class Worker(faust.Worker):
    """Faust's worker with our logging and without its debugger on a signal."""

    logger = logging.getLogger("faust.engine")

    def _setup_logging(self) -> None:
        pass

    def _enter_debugger(self) -> None:
        pass

    async def on_first_start(self) -> None:
        await super().on_first_start()
        watch_parent(self.loop)

    def carp(self, msg: str) -> None:
        pass


def run_stage(
    stage: Stage,
    settings: HubSettings | None = None,
    access: KafkaAccess | None = None,
    *,
    metrics: HubMetrics | None = None,
) -> int:
    """Runs until SIGTERM or an error. Returns the exit code; the reason is the last line on standard error."""
    set_up_logging()
    try:
        settings = settings or HubSettings()  # type: ignore[call-arg]  # from the environment
        access = access or settings.kafka()
        return _run(stage, settings, access, metrics or HubMetrics())
    except EngineError as error:
        return _stopped(stage, error)


def _run(stage: Stage, settings: HubSettings, access: KafkaAccess, metrics: HubMetrics) -> int:
    logs, schema = prepare(stage, settings, access)
    runtime = StageRuntime(stage, settings, access, schema, logs, metrics)
    server = MetricsServer(
        metrics.registry, settings.metrics_port, lambda: runtime.error is None, lambda: runtime.ready
    )
    server.start()
    log.info("%s: starting on schema %s, metrics on 127.0.0.1:%d", stage.name, schema, server.port)
    ended: Any = None
    try:
        with open(os.devnull, "w") as nowhere:
            Worker(runtime.app, stderr=nowhere, stdout=nowhere).execute_from_commandline()
    except SystemExit as end:
        ended = end.code
    finally:
        server.close()
        runtime.close()
    if runtime.error is not None:
        return _stopped(stage, runtime.error)
    if ended:
        crash = runtime.app.crash_reason
        return _stopped(stage, crash or EngineError(f"Faust ended with code {ended}"))
    log.info("%s: stopped", stage.name)
    return 0


def prepare(stage: Stage, settings: HubSettings, access: KafkaAccess) -> tuple[Logs, str]:
    """Looks at the topics, makes what is missing of the schema, and sees that both belong together."""
    inspector = LogInspector(access)
    try:
        logs = patiently(lambda: inspector.look({*stage.inputs, *stage.outputs}), stage.name)
    finally:
        inspector.close()
    partitions = logs.partitions(stage.name)

    def ensure() -> str:
        with connect(settings.database_url.get_secret_value(), name=f"stage {stage.name}") as connection:
            schema = ensure_live(connection, stage, partitions)
            connection.execute("SELECT set_config('search_path', %s, false)", (f'"{schema}"',))
            check_logs(connection, stage.name, stage.inputs, logs)
        return schema

    return logs, patiently(ensure, stage.name)


def patiently(attempt: Callable[[], T], stage: str) -> T:
    """Tries until `PATIENCE_S` are over; then `Unreachable`."""
    give_up, wait = time.monotonic() + PATIENCE_S, 0.2
    while True:
        try:
            return attempt()
        except (Unreachable, psycopg.Error) as error:
            if not isinstance(error, Unreachable) and not is_transient(error):
                raise
            if time.monotonic() > give_up:
                raise Unreachable(one_line(error)) from error
            log.warning("%s: %s; trying again", stage, one_line(error))
        time.sleep(wait)
        wait = min(2 * wait, 5.0)


def watch_parent(loop: Any) -> None:
    """Ends this process, in good order, when the supervisor's end of the pipe closes."""
    text = os.environ.get("SAMENLOOP_PARENT_FD")
    if not text:
        return
    fd = int(text)

    def closed() -> None:
        if not os.read(fd, 1024):
            loop.remove_reader(fd)
            os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(fd, closed)


def _stopped(stage: Stage, error: BaseException) -> int:
    print(f"samenloop stage {stage.name}: stopped: {one_line(error)}", file=sys.stderr, flush=True)
    return error.exit_code if isinstance(error, EngineError) else FAILED
