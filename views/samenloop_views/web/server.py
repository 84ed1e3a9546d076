"""The web process: serves until it is told to stop."""

from __future__ import annotations

import logging
import socket
from types import FrameType

import uvicorn

from samenloop_processors.metrics import MetricsServer
from samenloop_views.database import ViewsDatabase
from samenloop_views.web.app import WebMetrics, build_app, prepare, services_of
from samenloop_views.web.live import Changes
from samenloop_views.web.settings import WebSettings

log = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Ends open streams at once when told to stop, and then returns: uvicorn itself would raise the signal anew."""

    def __init__(self, config: uvicorn.Config, changes: Changes) -> None:
        super().__init__(config)
        self._changes = changes

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True
        self._changes.stop()


def run_web(settings: WebSettings | None = None, port: int | None = None) -> int:
    """Serves until SIGTERM. The address is the first line on standard output. Returns the exit code."""
    settings = settings or WebSettings()  # type: ignore[call-arg]  # from the environment
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("samenloop_views").setLevel(logging.INFO)
    listening = socket.create_server((settings.host, settings.port if port is None else port))
    bound = listening.getsockname()[1]
    public_url = settings.public_url or f"http://{settings.host}:{bound}"
    origins = {public_url.rstrip("/"), *(f"http://{name}:{bound}" for name in ("127.0.0.1", "localhost"))}
    database = ViewsDatabase(settings.database_url.get_secret_value(), name="web", size=16)
    metrics = WebMetrics()
    server = MetricsServer(metrics.registry, settings.metrics_port)
    server.start()
    try:
        services = services_of(settings, database, public_url)
        prepare(database, services.sessions, services.log)
        config = uvicorn.Config(
            build_app(services, metrics, frozenset(origins if not services.secure else {public_url.rstrip("/")})),
            log_config=None,
            access_log=False,  # addresses of cases are nobody's business in a log file
            server_header=False,
            date_header=True,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=15,
        )
        print(public_url, flush=True)
        log.info("web: serving %s, metrics on 127.0.0.1:%d", public_url, server.port)
        Server(config, services.changes).run(sockets=[listening])
    finally:
        server.close()
        database.close()
    return 0
