"""`run_stage`: starts one stage as a process, and gives its end a meaning.

Exit codes: 0 stopped on request; 1 something is wrong that no retry repairs; 2 wrong configuration; 3 start again (the
schema was replaced by a rebuild, or broker or database were not there at the start).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO, TypeVar

import faust
import psycopg

from samenloop_processors.engine.api import Stage
from samenloop_processors.engine.errors import EngineError, Unreachable, is_transient
from samenloop_processors.engine.logs import one_line, set_up_logging
from samenloop_processors.engine.positions import LogInspector, Logs, check_logs
from samenloop_processors.engine.runtime import PATIENCE_S, StageRuntime
from samenloop_processors.engine.schema import connect, ensure_live
from samenloop_processors.engine.stopping import StopRequest, StopRequested
from samenloop_processors.metrics import HubMetrics, MetricsServer
from samenloop_processors.settings import HubSettings
from samenloop_schemas.kafka_access import KafkaAccess

T = TypeVar("T")
log = logging.getLogger(__name__)

FAILED = 1


class Worker(faust.Worker):
    """Faust's worker with our logging, our signals, and without its debugger on one of them."""

    logger = logging.getLogger("faust.engine")

    def __init__(self, app: faust.App, stop: StopRequest, nowhere: IO[str]) -> None:
        super().__init__(app, stderr=nowhere, stdout=nowhere)
        self._stop_request = stop

    def install_signal_handlers(self) -> None:
        self._stop_request.deliver_to(self.loop, self._on_sigterm)
        self._stop_request.watch_parent(self.loop)
        if self._stop_request.requested:
            self._on_sigterm()

    def _setup_logging(self) -> None:
        pass

    def carp(self, msg: str) -> None:
        pass


def run_stage(
    stage: Stage,
    settings: HubSettings | None = None,
    access: KafkaAccess | None = None,
    *,
    metrics: HubMetrics | None = None,
) -> int:
    """Runs until SIGTERM or an error. Returns the exit code; the reason is the last line on standard error.

    The process is meant to end with it: signals to stop are ignored from then on.
    """
    set_up_logging()
    stop = StopRequest()
    stop.listen()
    try:
        settings = settings or HubSettings()  # type: ignore[call-arg]  # from the environment
        access = access or settings.kafka()
        return _run(stage, settings, access, metrics or HubMetrics(), stop)
    except StopRequested:
        log.info("%s: stopped before it ran", stage.name)
        return 0
    except EngineError as error:
        return _stopped(stage, error)
    finally:
        stop.done()


def _run(stage: Stage, settings: HubSettings, access: KafkaAccess, metrics: HubMetrics, stop: StopRequest) -> int:
    logs, schema = prepare(stage, settings, access)
    runtime = StageRuntime(stage, settings, access, schema, logs, metrics)
    server = MetricsServer(
        metrics.registry, settings.metrics_port, lambda: runtime.error is None, lambda: runtime.ready
    )
    server.start()
    log.info("%s: starting on schema %s, metrics on 127.0.0.1:%d", stage.name, schema, server.port)
    try:
        with open(os.devnull, "w") as nowhere, suppress(SystemExit):
            Worker(runtime.app, stop, nowhere).execute_from_commandline()
    finally:
        server.close()
        runtime.close()
    if error := runtime.error or runtime.app.crash_reason:
        return _stopped(stage, error)
    if not stop.requested:
        return _stopped(stage, EngineError("Faust ended of its own accord"))
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


def _stopped(stage: Stage, error: BaseException) -> int:
    print(f"samenloop stage {stage.name}: stopped: {one_line(error)}", file=sys.stderr, flush=True)
    return error.exit_code if isinstance(error, EngineError) else FAILED
